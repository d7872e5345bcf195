//! The nodes and linear predictors whose densities the rung `laplace` finds, what that takes, and where each predictor's is read.

use laplace::{Determinant, Held, LatentGaussianModel, Moment};

use crate::error::IntegrationError;
use crate::marginal::Map;
use crate::posterior::ExploreOptions;
use crate::profiled::VALUES;

/// Operations at a point up to which determinants are exact, some ten seconds (3·10⁸ take 0.3), and linear predictors are held unasked; those
/// beyond which nodes must be chosen and linear predictors are refused.
const EXACT_WORK: f64 = 1e10;
const MOST_WORK: f64 = 4e10;
/// Steps for a value, and operations of a row in each.
const STEPS: f64 = 5.0;
const ROW: f64 = 50.0;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Requested {
    /// Nodes of `x`, ascending.
    pub nodes: Vec<usize>,
    /// How determinants are found while these are held.
    pub determinant: Determinant,
    /// The linear predictors, where they are covered.
    pub predictors: Option<RequestedPredictors>,
    /// All this in words.
    pub(crate) words: String,
}

/// The linear predictors of all rows.
#[derive(Debug, Clone)]
pub struct RequestedPredictors {
    /// Rows that are held themselves, ascending: the first of those alike, unless a node tells.
    pub rows: Vec<usize>,
    /// How determinants are found while these are held.
    pub determinant: Determinant,
    /// For every row where its density is read; none for a row without entries.
    pub(crate) sources: Vec<Option<Source>>,
}

/// A linear predictor is `scale` times what is held plus `shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// Its place, nodes before rows.
    pub(crate) held: usize,
    scale: f64,
    shift: f64,
}

impl Source {
    pub(crate) fn map(&self) -> Map {
        Map::Affine { scale: self.scale, shift: self.shift }
    }

    pub(crate) fn moment(&self, of: Moment) -> Moment {
        Moment {
            mean: self.shift + self.scale * of.mean,
            variance: self.scale * self.scale * of.variance,
            skewness: self.scale.signum() * of.skewness,
        }
    }
}

/// Operations for one that is held, at all values.
struct Work {
    updated: f64,
    exact: f64,
}

impl Work {
    fn new(model: &LatentGaussianModel) -> Self {
        let solve = 4.0 * model.symbolic().factor_values() as f64 + model.design().nnz() as f64;
        let updated = VALUES.len() as f64 * STEPS * (solve + ROW * model.rows() as f64);
        Self { updated, exact: updated + VALUES.len() as f64 * 2.0 * model.symbolic().operations() }
    }

    /// How determinants of so many are found beside other operations, and what that takes in all.
    fn determinant(&self, count: usize, beside: f64) -> (Determinant, f64) {
        let [exact, updated] = [self.exact, self.updated].map(|each| beside + count as f64 * each);
        if exact <= EXACT_WORK { (Determinant::Exact, exact) } else { (Determinant::Updated, updated) }
    }

    /// The greatest number that is affordable.
    fn most(&self) -> usize {
        (MOST_WORK / self.updated) as usize
    }
}

impl Requested {
    /// The nodes that are asked for, or all of them; the linear predictors if they are asked for, or all nodes are and it takes seconds.
    /// Determinants are exact where these are affordable.
    pub(crate) fn new(model: &LatentGaussianModel, options: &ExploreOptions) -> Result<Self, IntegrationError> {
        let mut nodes = options.laplace_nodes.clone().unwrap_or_else(|| (0..model.nodes()).collect());
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(node) = nodes.iter().find(|node| **node >= model.nodes()) {
            let reason = format!("node {node} of {} is asked for", model.nodes());
            return Err(IntegrationError::InvalidOption { option: "laplace_nodes", reason });
        }
        let work = Work::new(model);
        let most = work.most();
        if nodes.len() > most {
            return Err(IntegrationError::TooManyNodes { nodes: nodes.len(), most });
        }
        let (determinant, beside) = work.determinant(nodes.len(), 0.0);
        let predictors = match (options.laplace_predictors, &options.laplace_nodes) {
            (Some(false), _) => Err("as asked for"),
            (None, Some(_)) => Err("as nodes are named and laplace_predictors = true is not given"),
            (asked, _) => {
                let (rows, sources) = sources(model, &nodes);
                let (count, most) = (rows.len(), most - nodes.len());
                match asked {
                    Some(_) if count > most => {
                        return Err(IntegrationError::TooManyPredictors {
                            predictors: count,
                            nodes: nodes.len(),
                            most,
                        });
                    }
                    _ => {
                        let (determinant, all) = work.determinant(count, beside);
                        match asked.is_some() || all <= EXACT_WORK {
                            true => Ok(RequestedPredictors { rows, determinant, sources }),
                            false => Err("as theirs would take long"),
                        }
                    }
                }
            }
        };
        let words = words((nodes.len(), determinant), &predictors, model);
        Ok(Self { nodes, determinant, predictors: predictors.ok(), words })
    }

    /// How many nodes and rows are held.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len() + self.predictors.as_ref().map_or(0, |predictors| predictors.rows.len())
    }

    /// What is held, with the determinants to take.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Vec<Held>, Determinant)> + '_ {
        let nodes = (self.nodes.iter().copied().map(Held::Node).collect(), self.determinant);
        let rows = |predictors: &RequestedPredictors| {
            (predictors.rows.iter().copied().map(Held::Predictor).collect(), predictors.determinant)
        };
        std::iter::once(nodes).chain(self.predictors.iter().map(rows))
    }
}

/// The rows that must be held themselves beside `nodes`, and where every row is read: a multiple of a node off that node, rows alike off the
/// first of them, whatever their offsets.
fn sources(model: &LatentGaussianModel, nodes: &[usize]) -> (Vec<usize>, Vec<Option<Source>>) {
    let design = model.design();
    let offset = design.offset();
    let (mut rows, mut sources): (Vec<usize>, Vec<Option<Source>>) = (Vec::new(), Vec::with_capacity(model.rows()));
    for (i, first) in design.first_alike().into_iter().enumerate() {
        let multiple = match design.row(i) {
            ([node], [scale]) if !design.is_scaled(i) => nodes.binary_search(node).ok().map(|held| (held, *scale)),
            _ => None,
        };
        let source = match multiple {
            _ if design.row(i).0.is_empty() => None,
            Some((held, scale)) => Some(Source { held, scale, shift: offset[i] }),
            None if first < i => {
                sources[first].map(|source| Source { shift: source.shift + (offset[i] - offset[first]), ..source })
            }
            None => {
                rows.push(i);
                Some(Source { held: nodes.len() + rows.len() - 1, scale: 1.0, shift: 0.0 })
            }
        };
        sources.push(source);
    }
    (rows, sources)
}

fn words(
    (nodes, determinant): (usize, Determinant),
    predictors: &Result<RequestedPredictors, &str>,
    model: &LatentGaussianModel,
) -> String {
    let by = |determinant: Determinant| match determinant {
        Determinant::Exact => "exact determinants",
        Determinant::Updated => "determinants updated from the covariance at the mode",
    };
    let nodes = format!("the densities of {nodes} of {} nodes by {}", model.nodes(), by(determinant));
    match predictors {
        Ok(predictors) if predictors.rows.is_empty() => format!("{nodes}, and off these of the linear predictors"),
        Ok(predictors) if predictors.determinant == determinant => format!("{nodes}, and so of the linear predictors"),
        Ok(predictors) => format!("{nodes}, of the linear predictors by {}", by(predictors.determinant)),
        Err(reason) => format!("{nodes}; linear predictors are those of simplified-laplace, {reason}"),
    }
}
