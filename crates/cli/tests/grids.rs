//! Two variances that compete: a posterior bent like a hook, on grids of any spacing.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::path::Path;

use inla::{Fit, Resources, Table};
use inla_cli::ModelFile;

#[test]
fn standard_deviations_of_competing_effects_do_not_depend_on_the_spacing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = ModelFile::read(&root.join("examples/nc_sids/besag_iid.toml")).unwrap();
    let table = Table::from_csv_path(&file.data).unwrap();
    let resources = Resources { directory: Some(file.directory.clone()), ..Resources::default() };
    let fitted = |step: Option<f64>| {
        let mut specification = file.specification.clone();
        specification.fit.integration = "grid".to_owned();
        specification.fit.grid_step = step;
        let fit = Fit::new(&specification, &table, &resources).unwrap();
        let sd = |name: &str| fit.hyperparameters().iter().find(|h| h.name == name).unwrap().summary();
        [sd("county.sd"), sd("unstructured.sd")]
    };
    let wide = fitted(Some(0.5));
    for step in [None, Some(1.0), Some(0.25)] {
        for (own, wide) in fitted(step).iter().zip(&wide) {
            // the scoreboard's bars of 0.02, a hundredth more for the tail that ends nearer to the drop on a finer lattice
            assert!((own.mean - wide.mean).abs() < 0.02 * wide.sd, "{step:?}: {own:?} {wide:?}");
            assert!((own.sd / wide.sd - 1.0).abs() < 0.03, "{step:?}: {own:?} {wide:?}");
            // densities there are a quarter of the greatest and a twentieth: probabilities differ by 0.01 and 0.002
            assert!((own.q0_5 - wide.q0_5).abs() < 0.05 * wide.sd, "{step:?}: {own:?} {wide:?}");
            assert!((own.q0_975 - wide.q0_975).abs() < 0.1 * wide.sd, "{step:?}: {own:?} {wide:?}");
        }
    }
}
