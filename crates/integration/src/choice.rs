//! Which design the automatic strategy stands for: what an evaluation takes decides how many are affordable.

use laplace::LatentGaussianModel;

use crate::posterior::Strategy;

/// Marginals of more than two hyperparameters are read from the axes, and of fewer where there is no lattice; the composite design is
/// stretched along them.
pub(crate) fn needs_axes(strategy: Strategy, p: usize) -> bool {
    let stands_on_them =
        matches!(strategy, Strategy::CentralComposite | Strategy::GaussHermite(_) | Strategy::Importance);
    !is_sampled(strategy) && (p > 2 || (p > 0 && stands_on_them))
}

pub(crate) fn is_sampled(strategy: Strategy) -> bool {
    matches!(strategy, Strategy::Nuts(_))
}

/// Operations of a factor, and [`work`], below which some 270 evaluations for three hyperparameters take a fraction of a second.
const CHEAP: f64 = 1e5;
const CHEAP_WORK: f64 = 1e6;
/// Hyperparameters up to which a composite design has fewer points than draws that would serve better.
const MOST_COMPOSITE: usize = 8;
/// Hyperparameters up to which draws are as few as the points of a composite design, and up to which they are taken without being asked
/// for.
const FEW_DRAWN: usize = 15;
const MOST_DRAWN: usize = 50;
/// What an evaluation does for each row and for each entry of the design, in operations of a factor that take as long; a share of it where
/// one Newton step is all.
const ROW: f64 = 500.0;
const ENTRY: f64 = 100.0;
const GAUSSIAN_SHARE: f64 = 0.3;

/// Operations of a factor, and those that take as long as what an evaluation does beside it.
pub(crate) fn work(model: &LatentGaussianModel) -> f64 {
    let rows = ROW * model.rows() as f64 + ENTRY * model.design().nnz() as f64;
    model.symbolic().operations() + if model.is_gaussian() { GAUSSIAN_SHARE * rows } else { rows }
}

/// [`work`] up to which some 2500 evaluations take ten seconds or so, and some 20 000 a minute.
pub(crate) const AFFORDABLE_DRAWS: f64 = 5e6;
pub(crate) const AFFORDABLE_CHAINS: f64 = 1e6;
/// The same where nothing but a single point is left beside draws: a minute or two.
const PATIENT_DRAWS: f64 = 5e7;

/// The strategy that `Automatic` stands for, and its name.
pub(crate) fn chosen(strategy: Strategy, model: &LatentGaussianModel) -> (Strategy, &'static str) {
    let (p, operations, work) = (model.free_count(), model.symbolic().operations(), work(model));
    let strategy = match strategy {
        Strategy::Automatic if p <= 2 || (p == 3 && operations < CHEAP && work < CHEAP_WORK) => Strategy::Grid(None),
        Strategy::Automatic if p <= MOST_COMPOSITE => Strategy::CentralComposite,
        Strategy::Automatic if p <= FEW_DRAWN || (p <= MOST_DRAWN && work < PATIENT_DRAWS) => Strategy::Importance,
        Strategy::Automatic => Strategy::EmpiricalBayes,
        other => other,
    };
    let name = match strategy {
        _ if p == 0 => "single point",
        Strategy::Grid(_) => "grid",
        Strategy::CentralComposite => "ccd",
        Strategy::GaussHermite(_) => "gauss-hermite",
        Strategy::Importance => "importance",
        Strategy::Nuts(_) => "nuts",
        Strategy::EmpiricalBayes | Strategy::Automatic => "eb",
    };
    (strategy, name)
}

/// Design points of a density near a Gaussian.
pub(crate) fn predicted_points(strategy: Strategy, model: &LatentGaussianModel) -> usize {
    let p = model.free_count();
    let (strategy, _) = chosen(strategy, model);
    match strategy {
        _ if p == 0 => 1,
        // half of the lattice points in a ball of radius 4, and its rim
        Strategy::Grid(_) => [12, 45, 180, 900, 4500][p.min(5) - 1],
        Strategy::GaussHermite(k) => k.saturating_pow(p as u32).min(100_000),
        // a fraction of the factorial design, the axes and the centre; and the skeleton
        Strategy::CentralComposite => 1 + 4 * p + (1 << p.min(7)),
        Strategy::Importance => 1 + 4 * p + crate::sampling::importance::draws(p),
        Strategy::Nuts(_) => crate::sampling::kept(model.nodes() + model.rows()),
        Strategy::EmpiricalBayes | Strategy::Automatic => 1,
    }
}
