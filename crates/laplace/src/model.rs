//! A latent Gaussian model: effects, design, likelihoods, hyperparameters; validated once, analysed once.

use std::ops::Range;
use std::sync::Arc;

use gmrf::{Hyperparameter, HyperparameterBlock, LatentModel, LinearConstraints, SparsityPattern, SymbolicFactor};

use crate::design::Design;
use crate::error::LaplaceError;
use crate::likelihood::Likelihood;
use crate::runs::PairSlots;

/// A latent effect with the name that errors and results call it by.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The name.
    pub name: String,
    /// Its prior given the hyperparameters.
    pub model: Arc<dyn LatentModel>,
}

/// A block of consecutive rows with one family.
#[derive(Debug, Clone)]
pub struct Observations {
    /// The name: `likelihood`, or one for each block.
    pub name: String,
    /// The family with its data.
    pub likelihood: Arc<dyn Likelihood>,
}

/// Whose hyperparameter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The likelihood block with this index.
    Likelihood(usize),
    /// The effect with this index.
    Effect(usize),
    /// The scaling of the design with this index.
    Scaling(usize),
}

/// A hyperparameter of the model in its place.
#[derive(Debug, Clone)]
pub struct ModelHyperparameter {
    /// Whose it is.
    pub owner: Owner,
    /// Its index among the owner's hyperparameters, fixed ones included.
    pub index: usize,
    /// Its place in the vector of free hyperparameters, `None` if fixed.
    pub free: Option<usize>,
    /// `OWNER.NAME`, as results call it.
    pub label: String,
    /// Scales, initial value, whether fixed.
    pub parameter: Hyperparameter,
}

/// A validated model `y | η, θ`, `η = A(θ) x + o`, `x | θ`, `θ`, with the symbolic analysis of its posterior precision.
#[derive(Debug)]
pub struct LatentGaussianModel {
    effects: Vec<Effect>,
    /// Nodes of each effect.
    effect_nodes: Vec<Range<usize>>,
    observations: Vec<Observations>,
    /// Rows of each block of observations.
    observation_rows: Vec<Range<usize>>,
    design: Arc<Design>,
    hyperparameters: Vec<ModelHyperparameter>,
    free_count: usize,
    symbolic: Arc<SymbolicFactor>,
    /// For each entry of each effect's pattern, its place in the pattern of `H`.
    pub(crate) precision_slots: Vec<Vec<usize>>,
    /// The places in the pattern of `H` of the pairs of nodes of every row of `A`.
    pub(crate) pair_slots: PairSlots,
}

impl LatentGaussianModel {
    /// Joins effects, observations and design, and analyses the pattern of `H = Q + AᵀWA`.
    ///
    /// The nodes of the effects stand one after the other in `x`, the rows of the likelihoods one after the other in `η`.
    /// The pattern holds `AᵀA` for every row, missing responses included.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if design, effects and observations do not fit, [`LaplaceError::InvalidModel`] if
    /// there is nothing to estimate or a hyperparameter has no finite starting value.
    pub fn new(effects: Vec<Effect>, observations: Vec<Observations>, design: Design) -> Result<Self, LaplaceError> {
        Self::new_like(effects, observations, design, None)
    }

    /// The same with the analysis of an earlier model where that has the same pattern and constraints.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_like(
        effects: Vec<Effect>,
        observations: Vec<Observations>,
        mut design: Design,
        analysis: Option<&Arc<SymbolicFactor>>,
    ) -> Result<Self, LaplaceError> {
        design.settle();
        let effect_nodes = ranges(effects.iter().map(|e| e.model.pattern().order()));
        let observation_rows = ranges(observations.iter().map(|o| o.likelihood.len()));
        let nodes = effect_nodes.last().map_or(0, |r| r.end);
        let rows = observation_rows.last().map_or(0, |r| r.end);
        if nodes == 0 {
            return Err(invalid("there is nothing to estimate: add an intercept, a covariate or an effect"));
        }
        if rows == 0 {
            return Err(invalid("there are no observations"));
        }
        expect_length("design nodes", nodes, design.nodes())?;
        expect_length("design rows", rows, design.rows())?;
        let (hyperparameters, free_count) = hyperparameters(&effects, &observations, &design)?;
        let pattern = Arc::new(posterior_pattern(&effects, &effect_nodes, &design)?);
        let mut constraints = LinearConstraints::none(nodes);
        for (effect, range) in effects.iter().zip(&effect_nodes) {
            constraints.append_block(effect.model.constraints(), range.start)?;
        }
        let symbolic = analysed(&effects, &effect_nodes, (&pattern, &constraints), analysis)?;
        let precision_slots = effects
            .iter()
            .zip(&effect_nodes)
            .map(|(effect, range)| {
                let entries = effect.model.pattern().entries();
                entries.map(|(i, j)| slot(&pattern, i + range.start, j + range.start)).collect()
            })
            .collect();
        let pair_slots = PairSlots::new(&pattern, &design);
        Ok(Self {
            effects,
            effect_nodes,
            observations,
            observation_rows,
            design: Arc::new(design),
            hyperparameters,
            free_count,
            symbolic,
            precision_slots,
            pair_slots,
        })
    }

    /// The effects in the order of their nodes.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The nodes of effect `k` in `x`.
    pub fn effect_nodes(&self, k: usize) -> Range<usize> {
        self.effect_nodes[k].clone()
    }

    /// The blocks of observations in the order of their rows.
    pub fn observations(&self) -> &[Observations] {
        &self.observations
    }

    /// The rows of block `k`.
    pub fn observation_rows(&self, k: usize) -> Range<usize> {
        self.observation_rows[k].clone()
    }

    /// The design, scaled entries without what is scaled.
    pub fn design(&self) -> &Arc<Design> {
        &self.design
    }

    /// `n`, the number of nodes.
    pub fn nodes(&self) -> usize {
        self.design.nodes()
    }

    /// `m`, the number of rows.
    pub fn rows(&self) -> usize {
        self.design.rows()
    }

    /// All hyperparameters: those of the likelihoods first, then of the effects and of the scalings, fixed ones included.
    pub fn hyperparameters(&self) -> &[ModelHyperparameter] {
        &self.hyperparameters
    }

    /// `p`, the number of free hyperparameters.
    pub fn free_count(&self) -> usize {
        self.free_count
    }

    /// The starting values of the free hyperparameters, length `p`.
    pub fn initial_theta(&self) -> Vec<f64> {
        self.hyperparameters.iter().filter(|h| h.free.is_some()).map(|h| h.parameter.initial).collect()
    }

    /// The analysed pattern of `H` under all constraints.
    pub fn symbolic(&self) -> &Arc<SymbolicFactor> {
        &self.symbolic
    }

    /// Whether the likelihood is Gaussian in every row, so that the Laplace approximation is exact.
    pub fn is_gaussian(&self) -> bool {
        self.observations.iter().all(|o| o.likelihood.is_gaussian())
    }

    /// All hyperparameters of `owner`, fixed ones included, from the free ones.
    pub fn owner_theta(&self, owner: Owner, free: &[f64]) -> Vec<f64> {
        self.hyperparameters
            .iter()
            .filter(|h| h.owner == owner)
            .map(|h| h.free.map_or(h.parameter.initial, |f| free[f]))
            .collect()
    }

    /// The places of the owner's hyperparameters among the free ones, in the owner's order.
    pub(crate) fn owner_free(&self, owner: Owner) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.hyperparameters.iter().filter(move |h| h.owner == owner).filter_map(|h| h.free.map(|free| (h.index, free)))
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = (Owner, &[HyperparameterBlock])> + '_ {
        let likelihoods = self.observations.iter().enumerate();
        let likelihoods = likelihoods.map(|(k, o)| (Owner::Likelihood(k), o.likelihood.hyperparameters()));
        let effects = self.effects.iter().enumerate();
        let scalings = self.design.scalings().iter().enumerate();
        likelihoods
            .chain(effects.map(|(k, e)| (Owner::Effect(k), e.model.hyperparameters())))
            .chain(scalings.map(|(k, s)| (Owner::Scaling(k), std::slice::from_ref(&s.block))))
    }

    /// Functions of the hyperparameters that the effects report in the place of internal ones, with their labels `EFFECT.NAME`.
    pub fn derived(&self) -> Vec<(String, Hyperparameter)> {
        let of = |effect: &Effect| {
            let name = effect.name.clone();
            effect.model.derived().iter().map(move |d| (format!("{name}.{}", d.name), d.clone())).collect::<Vec<_>>()
        };
        self.effects.iter().flat_map(of).collect()
    }

    /// Their values on the internal scales from the free hyperparameters, in order.
    pub fn derived_values(&self, free: &[f64]) -> Vec<f64> {
        let mut all = Vec::new();
        for (k, effect) in self.effects.iter().enumerate().filter(|(_, effect)| !effect.model.derived().is_empty()) {
            let start = all.len();
            all.resize(start + effect.model.derived().len(), 0.0);
            effect.model.fill_derived(&self.owner_theta(Owner::Effect(k), free), &mut all[start..]);
        }
        all
    }

    /// `log π(θ)` of the free hyperparameters, its gradient added to `gradient` (length `p`).
    ///
    /// A block whose hyperparameters are all fixed contributes nothing.
    pub fn log_prior(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let mut total = 0.0;
        for (owner, blocks) in self.owners() {
            let values = self.owner_theta(owner, theta);
            let mut start = 0;
            for block in blocks {
                let length = block.parameters.len();
                let range = start..start + length;
                start += length;
                if block.parameters.iter().all(|p| p.fixed) {
                    continue;
                }
                let mut slope = vec![0.0; length];
                total += block.prior.log_density(&values[range.clone()], &mut slope);
                for (index, free) in self.owner_free(owner).filter(|(index, _)| range.contains(index)) {
                    gradient[free] += slope[index - range.start];
                }
            }
        }
        total
    }

    /// The effect that a node belongs to.
    pub fn effect_of_node(&self, node: usize) -> &str {
        let k = self.effect_nodes.partition_point(|range| range.end <= node);
        self.effects.get(k).map_or("", |effect| effect.name.as_str())
    }
}

fn invalid(reason: &str) -> LaplaceError {
    LaplaceError::InvalidModel { reason: reason.to_owned() }
}

pub(crate) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), LaplaceError> {
    if expected == found { Ok(()) } else { Err(LaplaceError::LengthMismatch { what, expected, found }) }
}

fn ranges(lengths: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut start = 0;
    lengths
        .map(|length| {
            start += length;
            start - length..start
        })
        .collect()
}

/// The earlier analysis if it is of this pattern, else one that takes over the order of the largest effect that has been analysed.
fn analysed(
    effects: &[Effect],
    effect_nodes: &[Range<usize>],
    (pattern, constraints): (&Arc<SparsityPattern>, &LinearConstraints),
    earlier: Option<&Arc<SymbolicFactor>>,
) -> Result<Arc<SymbolicFactor>, LaplaceError> {
    let known = effects.iter().zip(effect_nodes).filter_map(|(effect, nodes)| Some((nodes, effect.model.analysis()?)));
    let same = |earlier: &&Arc<SymbolicFactor>| earlier.pattern() == pattern && earlier.constraints() == constraints;
    let symbolic = match (earlier.filter(same), known.max_by_key(|(nodes, _)| nodes.len())) {
        (Some(earlier), _) => earlier.clone(),
        (None, Some((nodes, part))) => SymbolicFactor::analyze_around(pattern, constraints, (nodes.start, part))?,
        (None, None) => SymbolicFactor::analyze(pattern, constraints)?,
    };
    Ok(symbolic)
}

fn slot(pattern: &SparsityPattern, i: usize, j: usize) -> usize {
    pattern.position(i, j).expect("the posterior pattern was made from this entry")
}

fn hyperparameters(
    effects: &[Effect],
    observations: &[Observations],
    design: &Design,
) -> Result<(Vec<ModelHyperparameter>, usize), LaplaceError> {
    let likelihoods = observations.iter().enumerate();
    let likelihoods = likelihoods.map(|(k, o)| (Owner::Likelihood(k), &o.name, o.likelihood.hyperparameters()));
    let latent = effects.iter().enumerate();
    let latent = latent.map(|(k, e)| (Owner::Effect(k), &e.name, e.model.hyperparameters()));
    let scalings = design.scalings().iter().enumerate();
    let scalings = scalings.map(|(k, s)| (Owner::Scaling(k), &s.name, std::slice::from_ref(&s.block)));
    if let Some(scaling) = design.scalings().iter().find(|s| s.block.parameters.len() != 1) {
        let reason =
            format!("scaling {} has {} hyperparameters, not one", scaling.name, scaling.block.parameters.len());
        return Err(LaplaceError::InvalidModel { reason });
    }
    let (mut all, mut free_count) = (Vec::new(), 0);
    for (owner, name, blocks) in likelihoods.chain(latent).chain(scalings) {
        for (index, parameter) in blocks.iter().flat_map(|b| &b.parameters).enumerate() {
            let label = format!("{name}.{}", parameter.name);
            if !parameter.initial.is_finite() {
                return Err(LaplaceError::InvalidModel { reason: format!("{label} has no finite starting value") });
            }
            let free = (!parameter.fixed).then_some(free_count);
            free_count += usize::from(free.is_some());
            all.push(ModelHyperparameter { owner, index, free, label, parameter: parameter.clone() });
        }
    }
    Ok((all, free_count))
}

fn posterior_pattern(
    effects: &[Effect],
    effect_nodes: &[Range<usize>],
    design: &Design,
) -> Result<SparsityPattern, LaplaceError> {
    let prior = effects
        .iter()
        .zip(effect_nodes)
        .flat_map(|(e, range)| e.model.pattern().entries().map(move |(i, j)| (i + range.start, j + range.start)));
    let data = design.each_run().flat_map(|run| {
        let pairs = run.nodes.iter().enumerate();
        pairs.flat_map(move |(a, &row)| run.nodes[..=a].iter().map(move |&column| (row, column)))
    });
    Ok(SparsityPattern::from_entries(design.nodes(), prior.chain(data))?)
}
