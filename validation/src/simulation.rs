//! Data from the prior: hyperparameters, latent field, response, drawn without the engine's matrices.
//!
//! `η_i = β₀ + β₁z_i + x_{g(i)}` (coefficients: `+ w_{g(i)} z_i`), `g` running over `NODES` nodes `ROWS` times; `β₀ ~ N(0, 1)`,
//! `β₁ ~ N(0, 1/4)`. Intrinsic fields are drawn in the eigenvectors of their structure matrix, without its null space.

use faer::{Mat, Side};
use inla::{Effect, Fit, Graph, ModelBuilder, Table};
use rand::RngExt as _;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Beta, Binomial, ChiSquared, Distribution as _, Gamma, Poisson, StandardNormal};

use crate::cases::Failure;

/// Nodes of the latent field: a lattice of three by four for those on a graph.
const NODES: usize = 12;
/// Rows of each node.
const ROWS: usize = 3;
/// Prior precisions of intercept and slope.
const COEFFICIENTS: (f64, f64) = (1.0, 4.0);
/// Shape and rate of the Gamma priors of every precision and size.
const GAMMA: (f64, f64) = (4.0, 1.0);
/// Degrees of freedom and the diagonal of the rate of the Wishart prior of `Σ⁻¹`.
const WISHART: (f64, f64) = (8.0, 2.0);
/// Trials of a binomial row, exposure of a count.
const TRIALS: u32 = 5;
const EXPOSURE: f64 = 3.0;

/// The latent models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent {
    /// Independent nodes.
    Iid,
    /// First-order random walk, unscaled.
    Rw1,
    /// Cyclic second-order random walk, scaled.
    Rw2,
    /// Autoregression, `θ_ρ ~ N(1, 1)`.
    Ar1,
    /// Besag's field, scaled.
    Besag,
    /// bym2, `φ` uniform.
    Bym2,
    /// `(1 + z | g)`.
    Coefficients,
}

/// The likelihoods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Gaussian, its precision unknown.
    Gaussian,
    /// Poisson counts.
    Poisson,
    /// Binomial, five trials.
    Binomial,
    /// Negative binomial counts, its size unknown.
    NegativeBinomial,
    /// Gamma, its precision unknown.
    Gamma,
}

impl Latent {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Iid, Self::Rw1, Self::Rw2, Self::Ar1, Self::Besag, Self::Bym2, Self::Coefficients];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iid => "iid",
            Self::Rw1 => "rw1",
            Self::Rw2 => "rw2 (cyclic)",
            Self::Ar1 => "ar1",
            Self::Besag => "besag",
            Self::Bym2 => "bym2",
            Self::Coefficients => "(1 + z given g)",
        }
    }
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Gaussian, Self::Poisson, Self::Binomial, Self::NegativeBinomial, Self::Gamma];

    /// The engine's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Poisson => "poisson",
            Self::Binomial => "binomial",
            Self::NegativeBinomial => "nbinomial",
            Self::Gamma => "gamma",
        }
    }

    /// The hyperparameter, where there is one.
    fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Gaussian | Self::Gamma => Some("precision"),
            Self::NegativeBinomial => Some("size"),
            Self::Poisson | Self::Binomial => None,
        }
    }

    /// A response of the predictor `eta`.
    fn draw(self, eta: f64, parameter: f64, random: &mut ChaCha12Rng) -> Result<f64, Failure> {
        let mean = eta.exp();
        Ok(match self {
            Self::Gaussian => eta + normal(random) / parameter.sqrt(),
            Self::Poisson => Poisson::new(EXPOSURE * mean)?.sample(random),
            Self::Binomial => Binomial::new(u64::from(TRIALS), 1.0 / (1.0 + 1.0 / mean))?.sample(random) as f64,
            Self::NegativeBinomial => {
                let rate = Gamma::new(parameter, EXPOSURE * mean / parameter)?.sample(random);
                if rate > 0.0 { Poisson::new(rate)?.sample(random) } else { 0.0 }
            }
            Self::Gamma => Gamma::new(parameter, mean / parameter)?.sample(random),
        })
    }
}

fn normal(random: &mut ChaCha12Rng) -> f64 {
    StandardNormal.sample(random)
}

fn gamma(random: &mut ChaCha12Rng) -> Result<f64, Failure> {
    Ok(Gamma::new(GAMMA.0, 1.0 / GAMMA.1)?.sample(random))
}

/// Data with everything that they came from.
#[derive(Debug)]
pub struct Simulated {
    latent: Latent,
    family: Family,
    /// Every scalar by the name of [`marginals`](crate::marginals).
    pub truth: Vec<(String, f64)>,
    /// The linear predictor of every row.
    pub predictor: Vec<f64>,
    covariate: Vec<f64>,
    response: Vec<f64>,
}

/// Edges of the ring, the path or the lattice on which the field lives.
fn edges(latent: Latent) -> Vec<(usize, usize)> {
    match latent {
        Latent::Rw1 => (1..NODES).map(|i| (i - 1, i)).collect(),
        _ => {
            let right = (0..NODES).filter(|i| i % 4 < 3).map(|i| (i, i + 1));
            right.chain((0..NODES - 4).map(|i| (i, i + 4))).collect()
        }
    }
}

/// The structure matrix of an intrinsic field: `Σ (x_i − x_j)²` over edges, or `Σ (x_{i−1} − 2x_i + x_{i+1})²` round a ring.
fn structure(latent: Latent) -> Mat<f64> {
    let mut matrix = Mat::<f64>::zeros(NODES, NODES);
    let mut add = |row: &[(usize, f64)]| {
        row.iter().for_each(|&(i, a)| row.iter().for_each(|&(j, b)| matrix[(i, j)] += a * b));
    };
    if latent == Latent::Rw2 {
        (0..NODES).for_each(|i| add(&[(i, 1.0), ((i + 1) % NODES, -2.0), ((i + 2) % NODES, 1.0)]));
    } else {
        edges(latent).into_iter().for_each(|(i, j)| add(&[(i, 1.0), (j, -1.0)]));
    }
    matrix
}

/// A draw of the field with density `∝ exp(−½ xᵀRx)` on the vectors that sum to zero; `scaled`: divided so that the geometric mean of its
/// variances is one.
fn intrinsic(latent: Latent, scaled: bool, random: &mut ChaCha12Rng) -> Result<Vec<f64>, Failure> {
    let eigen = structure(latent).self_adjoint_eigen(Side::Lower).map_err(|e| format!("{e:?}"))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    // the constants are the first eigenvector
    let spread = |k: usize| 1.0 / values[k].sqrt();
    let z: Vec<f64> = (0..NODES).map(|_| normal(random)).collect();
    let at = |i: usize| (1..NODES).map(|k| vectors[(i, k)] * spread(k) * z[k]).sum::<f64>();
    let variance = |i: usize| (1..NODES).map(|k| (vectors[(i, k)] * spread(k)).powi(2)).sum::<f64>();
    let mean_log = (0..NODES).map(|i| variance(i).ln()).sum::<f64>() / NODES as f64;
    let scale = if scaled { (-0.5 * mean_log).exp() } else { 1.0 };
    Ok((0..NODES).map(|i| scale * at(i)).collect())
}

/// The field in the predictor, by node, and the slopes of coefficients; `truth` takes what is known of it.
fn field(latent: Latent, truth: &mut Vec<(String, f64)>, random: &mut ChaCha12Rng) -> Result<[Vec<f64>; 2], Failure> {
    let tau = gamma(random)?;
    let mut levels = |part: &str, values: &[f64]| {
        truth.extend(values.iter().enumerate().map(|(k, x)| (format!("random.g{part}.{}", k + 1), *x)));
    };
    let unit: Vec<f64> = match latent {
        Latent::Iid => (0..NODES).map(|_| normal(random)).collect(),
        Latent::Rw1 | Latent::Rw2 | Latent::Besag => intrinsic(latent, latent != Latent::Rw1, random)?,
        Latent::Ar1 => {
            let theta = 1.0 + normal(random);
            let rho = (0.5 * theta).tanh();
            let mut walk = vec![normal(random)];
            (1..NODES).for_each(|k| walk.push(rho * walk[k - 1] + (1.0 - rho * rho).sqrt() * normal(random)));
            levels("", &walk.iter().map(|x| x / tau.sqrt()).collect::<Vec<_>>());
            truth.extend([
                ("hyper_internal.g.rho".to_owned(), theta),
                ("hyper_internal.g.precision".to_owned(), tau.ln()),
            ]);
            return Ok([walk.iter().map(|x| x / tau.sqrt()).collect(), vec![0.0; NODES]]);
        }
        Latent::Bym2 => {
            let phi: f64 = Beta::new(1.0, 1.0)?.sample(random);
            let spatial = intrinsic(latent, true, random)?;
            levels(":structured", &spatial);
            let whole = spatial.iter().map(|u| (1.0 - phi).sqrt() * normal(random) + phi.sqrt() * u).collect();
            truth.push(("hyper_internal.g.phi".to_owned(), (phi / (1.0 - phi)).ln()));
            whole
        }
        Latent::Coefficients => return coefficients(truth, random),
    };
    let values: Vec<f64> = unit.iter().map(|x| x / tau.sqrt()).collect();
    truth.extend(values.iter().enumerate().map(|(k, x)| (format!("random.g.{}", k + 1), *x)));
    truth.push(("hyper_internal.g.precision".to_owned(), tau.ln()));
    Ok([values, vec![0.0; NODES]])
}

/// Two coefficients of every node, `Σ⁻¹ = AAᵀ` by Bartlett's decomposition.
fn coefficients(truth: &mut Vec<(String, f64)>, random: &mut ChaCha12Rng) -> Result<[Vec<f64>; 2], Failure> {
    let scale = 1.0 / WISHART.1.sqrt();
    let a = scale * ChiSquared::new(WISHART.0)?.sample(random).sqrt();
    let (b, c) = (scale * normal(random), scale * ChiSquared::new(WISHART.0 - 1.0)?.sample(random).sqrt());
    // x = A⁻ᵀz has the precision AAᵀ, A = [[a, 0], [b, c]]
    let draw = |random: &mut ChaCha12Rng| {
        let slope = normal(random) / c;
        ((normal(random) - b * slope) / a, slope)
    };
    let (levels, slopes): (Vec<f64>, Vec<f64>) = (0..NODES).map(|_| draw(random)).unzip();
    for (name, values) in [("(Intercept)", &levels), ("z", &slopes)] {
        truth.extend(values.iter().enumerate().map(|(k, x)| (format!("random.g:{name}.{}", k + 1), *x)));
    }
    // Σ = A⁻ᵀA⁻¹
    let covariance = [1.0 / (a * a) + (b / (a * c)).powi(2), -b / (a * c * c), 1.0 / (c * c)];
    let [first, both, second] = covariance;
    truth.push(("hyper.g.sd[(Intercept)]".to_owned(), first.sqrt()));
    truth.push(("hyper.g.sd[z]".to_owned(), second.sqrt()));
    truth.push(("hyper.g.rho[(Intercept),z]".to_owned(), both / (first * second).sqrt()));
    Ok([levels, slopes])
}

impl Simulated {
    /// Draws everything.
    ///
    /// # Errors
    /// A rate so large that no count can be drawn.
    pub fn new(latent: Latent, family: Family, random: &mut ChaCha12Rng) -> Result<Self, Failure> {
        let intercept = normal(random) / COEFFICIENTS.0.sqrt();
        let slope = normal(random) / COEFFICIENTS.1.sqrt();
        let mut truth = vec![("fixed.(Intercept)".to_owned(), intercept), ("fixed.z".to_owned(), slope)];
        let [levels, slopes] = field(latent, &mut truth, random)?;
        let parameter = gamma(random)?;
        if let Some(name) = family.parameter() {
            truth.push((format!("hyper_internal.likelihood.{name}"), parameter.ln()));
        }
        let covariate: Vec<f64> = (0..NODES * ROWS).map(|_| 2.0 * random.random::<f64>() - 1.0).collect();
        let eta = |(i, z): (usize, &f64)| intercept + slope * z + levels[i % NODES] + slopes[i % NODES] * z;
        let predictor: Vec<f64> = covariate.iter().enumerate().map(eta).collect();
        let response: Result<Vec<f64>, Failure> =
            predictor.iter().map(|eta| family.draw(*eta, parameter, random)).collect();
        Ok(Self { latent, family, truth, predictor, covariate, response: response? })
    }

    /// The engine's fit on one thread, with the priors that the data came from but `precision`, that of the field's precision if given.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn fit(&self, approximation: &str, precision: Option<&str>) -> Result<Fit, Failure> {
        let rows = NODES * ROWS;
        let nodes: Vec<f64> = (0..rows).map(|i| (i % NODES + 1) as f64).collect();
        let table = Table::new()
            .with_numeric("y", &self.response)?
            .with_numeric("z", &self.covariate)?
            .with_numeric("g", &nodes)?
            .with_numeric("trials", &vec![f64::from(TRIALS); rows])?
            .with_numeric("exposure", &vec![EXPOSURE; rows])?;
        let prior = format!("loggamma({}, {})", GAMMA.0, GAMMA.1);
        let own = |model: &str| Effect::new("g", model).option("precision", precision.unwrap_or(&prior));
        let graph = || Graph::from_edges(NODES, edges(self.latent));
        let effect = match self.latent {
            Latent::Iid => own("iid"),
            Latent::Rw1 => own("rw1"),
            Latent::Rw2 => own("rw2").option("cyclic", "TRUE").option("scale_model", "TRUE"),
            Latent::Ar1 => own("ar1").option("rho", "normal(1, 1)"),
            Latent::Besag => own("besag").graph(graph()?).option("scale_model", "TRUE"),
            Latent::Bym2 => own("bym2").graph(graph()?).option("phi", "logitbeta(1, 1)"),
            Latent::Coefficients => {
                let wishart = format!("wishart({}, {}, {}, 0)", WISHART.0, WISHART.1, WISHART.1);
                Effect::new("g", "iidkd").option("coefficients", "\"1 + z\"").option("covariance", &wishart)
            }
        };
        let mut model = ModelBuilder::new("y", self.family.name()).fixed("z").effect(effect);
        model = model.intercept_precision(COEFFICIENTS.0).fixed_precision(COEFFICIENTS.1);
        if let Some(name) = self.family.parameter() {
            model = model.likelihood(name, &prior);
        }
        model = match self.family {
            Family::Binomial => model.trials("trials"),
            Family::Poisson | Family::NegativeBinomial => model.exposure("exposure"),
            _ => model,
        };
        Ok(model.approximation(approximation).threads(1).fit(&table)?)
    }
}
