//! A small matrix of simulation-based calibration; `cargo run --release -p validation --bin calibration` has the large one.

use validation::calibration::{Scenario, calibrate};
use validation::simulation::{Family, Latent};

const REPLICATES: usize = 200;
/// Of three pairs each is failed by a right engine with a probability of 0.003 at most; the seeds are fixed.
const LEVEL: f64 = 0.003;

fn pair(latent: Latent, family: Family) -> Scenario<'static> {
    Scenario { latent, family, approximation: "auto", wrong_prior: None }
}

#[test]
fn what_the_data_came_from_is_uniform_under_the_posterior() {
    for (latent, family) in
        [(Latent::Iid, Family::Poisson), (Latent::Rw1, Family::Gaussian), (Latent::Besag, Family::Binomial)]
    {
        let own = calibrate(&pair(latent, family), REPLICATES);
        assert!(own.failed.is_empty(), "{latent:?} {family:?}: {:?}", own.failed);
        assert!(own.p() > LEVEL, "{latent:?} {family:?}: {:?} p {:.4}", own.worst(), own.p());
    }
}

#[test]
fn a_wrong_prior_is_found() {
    // the precision's prior mean is 4 where the data came from, and 1/2 in the fit
    let wrong = Scenario { wrong_prior: Some("loggamma(4, 8)"), ..pair(Latent::Iid, Family::Poisson) };
    let own = calibrate(&wrong, REPLICATES);
    assert!(own.p() < 1e-6, "{:?} p {:.4}", own.worst(), own.p());
    let worst = own.worst().map(|test| test.of.clone()).unwrap_or_default();
    assert!(worst.starts_with("hyper"), "{worst}");
}
