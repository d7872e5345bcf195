//! Fitting a described model to a table, and what one may ask of the fit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gmrf::{Graph, Reported, SymbolicFactor};
use integration::{ExploreOptions, Map, Marginal, Parallel, Posterior, Rung, Sequential, Summary};

use crate::assemble::{Assembled, assemble};
use crate::error::InlaError;
use crate::options::{explore_options, laplace_nodes};
use crate::specification::ModelSpecification;
use crate::table::Table;

/// Where a description's files are found, and graphs that are in memory already.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Relative paths start here; `None`: the working directory.
    pub directory: Option<PathBuf>,
    /// Graphs by the names of their effects; they take precedence over files.
    pub graphs: HashMap<String, Graph>,
    /// The [`analysis`](Fit::analysis) of an earlier fit: a fit of the same structure to other data takes it over.
    pub analysis: Option<Arc<SymbolicFactor>>,
}

impl Resources {
    /// Reads a text file of the description.
    pub(crate) fn read(&self, path: &str) -> Result<String, InlaError> {
        let full = self.directory.as_ref().map_or_else(|| PathBuf::from(path), |directory| directory.join(path));
        let failed = |reason: String| InlaError::UnreadableFile { path: full.display().to_string(), reason };
        let bytes = std::fs::read(&full).map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))
    }
}

/// A marginal with its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its name in results.
    pub name: String,
    /// The marginal.
    pub marginal: Marginal,
}

impl Named {
    /// Mean, standard deviation, quantiles and mode.
    pub fn summary(&self) -> Summary {
        self.marginal.summary()
    }
}

/// The posterior of a model, with names.
#[derive(Debug)]
pub struct Fit {
    specification: ModelSpecification,
    assembled: Assembled,
    posterior: Posterior,
    elapsed: Duration,
}

/// Below this many operations for one factor and pass over the data, threads cost more than they give.
const WORTH_THREADS: f64 = 2e4;

/// A model with its data, checked and analysed, before the first evaluation.
#[derive(Debug)]
pub struct Prepared {
    specification: ModelSpecification,
    assembled: Assembled,
    options: ExploreOptions,
    elapsed: Duration,
}

impl Prepared {
    /// Joins a description and a table.
    ///
    /// # Errors
    /// [`InlaError`]: what is wrong with the description, the data or the model, where, and what to do.
    pub fn new(specification: &ModelSpecification, table: &Table, resources: &Resources) -> Result<Self, InlaError> {
        let started = Instant::now();
        let mut options = explore_options(&specification.fit)?;
        let assembled = assemble(specification, table, resources)?;
        options.laplace_nodes = laplace_nodes(&specification.fit.laplace_nodes, &assembled)?;
        Ok(Self { specification: specification.clone(), assembled, options, elapsed: started.elapsed() })
    }

    /// Bytes that the fit is predicted to take: factors and selected inverses of the points evaluated at a time, moments of the
    /// design's points, marginals. A density far from Gaussian takes more points than are counted here.
    pub fn predicted_memory(&self) -> usize {
        let threads = match self.specification.fit.threads {
            0 => rayon::current_num_threads(),
            threads => threads,
        };
        Posterior::predicted_memory(&self.assembled.model, threads, &self.options)
    }

    /// Explores the posterior.
    ///
    /// # Errors
    /// [`InlaError`]: the model has no mode or cannot be evaluated.
    pub fn fit(self) -> Result<Fit, InlaError> {
        let started = Instant::now();
        let mut posterior = explore(&self.assembled, &self.options, self.specification.fit.threads)?;
        into_table_order(&mut posterior, &self.assembled.order);
        let elapsed = self.elapsed + started.elapsed();
        Ok(Fit { specification: self.specification, assembled: self.assembled, posterior, elapsed })
    }
}

impl Fit {
    /// Fits a description to a table.
    ///
    /// # Errors
    /// Those of [`Prepared::new`] and [`Prepared::fit`].
    pub fn new(specification: &ModelSpecification, table: &Table, resources: &Resources) -> Result<Self, InlaError> {
        Prepared::new(specification, table, resources)?.fit()
    }

    /// The analysed pattern of the posterior precision, for [`Resources::analysis`] of the next fit.
    pub fn analysis(&self) -> &Arc<SymbolicFactor> {
        self.assembled.model.symbolic()
    }

    /// The description that was fitted.
    pub fn specification(&self) -> &ModelSpecification {
        &self.specification
    }

    /// The posterior by node, row and hyperparameter, without names.
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// Wall-clock time from the table to the posterior.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The family.
    pub fn family(&self) -> &str {
        &self.assembled.family
    }

    /// Coefficients of the fixed effects: `(Intercept)`, `x`, `treatmentB`.
    pub fn fixed(&self) -> Vec<Named> {
        let names = self.assembled.fixed.iter().zip(&self.posterior.nodes);
        names.map(|(name, marginal)| Named { name: name.clone(), marginal: marginal.clone() }).collect()
    }

    /// Free hyperparameters on every scale that people report: `plate.precision`, `plate.sd`; of a covariance matrix its standard
    /// deviations, correlations, variances and covariances, `school.sd[ses]`, `school.rho[(Intercept),ses]`.
    pub fn hyperparameters(&self) -> Vec<Named> {
        let mut named = Vec::new();
        for hyperparameter in self.assembled.model.hyperparameters() {
            let Some(free) = hyperparameter.free.filter(|_| !hyperparameter.parameter.internal) else { continue };
            let parameter = &hyperparameter.parameter;
            let own = Reported { name: parameter.name.clone(), transform: parameter.transform };
            let owner = hyperparameter.label.strip_suffix(&parameter.name).unwrap_or(&hyperparameter.label);
            for scale in std::iter::once(&own).chain(&parameter.also_reported) {
                let marginal = self.posterior.hyperparameters[free].clone();
                let marginal = marginal.mapped(Map::Hyperparameter(scale.transform));
                named.push(Named { name: format!("{owner}{}", scale.name), marginal });
            }
        }
        for ((label, derived), marginal) in self.assembled.model.derived().iter().zip(&self.posterior.derived) {
            let owner = label.strip_suffix(&derived.name).unwrap_or(label);
            let own = Reported { name: derived.name.clone(), transform: derived.transform };
            named.extend(std::iter::once(&own).chain(&derived.also_reported).map(|scale| Named {
                name: format!("{owner}{}", scale.name),
                marginal: marginal.clone().mapped(Map::Hyperparameter(scale.transform)),
            }));
        }
        named
    }

    /// Free hyperparameters on the internal scale: `plate.precision` is the log precision here.
    pub fn internal_hyperparameters(&self) -> Vec<Named> {
        let free = self.assembled.model.hyperparameters().iter().filter(|h| h.free.is_some());
        let marginals = &self.posterior.hyperparameters;
        free.zip(marginals).map(|(h, m)| Named { name: h.label.clone(), marginal: m.clone() }).collect()
    }

    /// Names of the random effects and their parts: `region`, `region:structured`.
    pub fn effects(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for effect in &self.assembled.effects {
            for (part, _) in &effect.labels {
                let name = part_name(&effect.name, part.as_deref());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The levels of a random effect or of one of its parts, named as in the data.
    pub fn effect(&self, name: &str) -> Option<Vec<Named>> {
        let mut start = self.assembled.fixed.len();
        for effect in &self.assembled.effects {
            let own = |part: &Option<String>| part_name(&effect.name, part.as_deref()) == name;
            if effect.labels.iter().any(|(part, _)| own(part)) {
                let nodes = self.posterior.nodes[start..].iter().zip(&effect.labels);
                let named = nodes.filter(|(_, (part, _))| own(part));
                let named = named.map(|(m, (_, label))| Named { name: label.clone(), marginal: m.clone() });
                return Some(named.collect());
            }
            start += effect.labels.len();
        }
        None
    }

    /// The name of node `index` of the latent field: a coefficient, or an effect with its level.
    pub(crate) fn node_name(&self, index: usize) -> String {
        if let Some(name) = self.assembled.fixed.get(index) {
            return name.clone();
        }
        let mut start = self.assembled.fixed.len();
        for effect in &self.assembled.effects {
            if let Some((part, label)) = effect.labels.get(index - start) {
                return format!("{} {label}", part_name(&effect.name, part.as_deref()));
            }
            start += effect.labels.len();
        }
        format!("node {index}")
    }

    /// The name of linear predictor `index`: the row of the table, counted from 1, or what stands behind the rows.
    pub(crate) fn predictor_name(&self, index: usize) -> String {
        let (rows, totals) = (self.rows(), &self.assembled.totals);
        match index.checked_sub(rows) {
            None => format!("row {}", index + 1),
            Some(k) if k < totals.len() => format!("{} {}", totals[k].0, totals[k].1),
            Some(k) => match self.assembled.slopes.get(k - totals.len()) {
                Some((column, row)) => format!("derivative of {column} row {}", row + 1),
                None => format!("predictor {index}"),
            },
        }
    }

    pub(crate) fn assembled(&self) -> &Assembled {
        &self.assembled
    }

    /// Whether every likelihood is Gaussian, so that the approximation given the hyperparameters is exact.
    pub(crate) fn is_gaussian(&self) -> bool {
        self.assembled.model.is_gaussian()
    }

    /// The linear predictor of every row of the table, offset included, log exposure not.
    pub fn linear_predictor(&self) -> &[Marginal] {
        &self.posterior.predictors[..self.rows()]
    }

    /// The number of rows of the table.
    pub fn rows(&self) -> usize {
        self.posterior.predictors.len() - self.assembled.totals.len() - self.assembled.slopes.len()
    }

    /// The effects that [`coefficients`](Self::coefficients) knows.
    pub fn effects_with_coefficients(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.assembled.totals.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }

    /// The coefficients of every group of a random-coefficient effect, fixed and random part together: `1011 (Intercept)`,
    /// `1011 ses`; empty for coefficients without a fixed part, and for other effects.
    pub fn coefficients(&self, effect: &str) -> Vec<Named> {
        let totals = self.assembled.totals.iter().zip(&self.posterior.predictors[self.rows()..]);
        let own = totals.filter(|((name, _), _)| name == effect);
        own.map(|((_, label), marginal)| Named { name: label.clone(), marginal: marginal.clone() }).collect()
    }

    /// The columns that [`derivatives`](Self::derivatives) knows.
    pub fn columns_with_derivatives(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.assembled.slopes.iter().map(|(column, _)| column.as_str()).collect();
        names.dedup();
        names
    }

    /// The derivative along `column` of all curves `bs(column)` together, on the scale of the linear predictor, in every row of the
    /// table in which there is one, named by the number of the row from 1; asked for by `derivative = TRUE`, empty otherwise.
    pub fn derivatives(&self, column: &str) -> Vec<Named> {
        let behind = self.rows() + self.assembled.totals.len();
        let slopes = self.assembled.slopes.iter().zip(&self.posterior.predictors[behind..]);
        let own = slopes.filter(|((name, _), _)| name == column);
        own.map(|((_, row), marginal)| Named { name: (row + 1).to_string(), marginal: marginal.clone() }).collect()
    }

    /// The fitted value of every row: the linear predictor through the inverse link.
    pub fn fitted(&self) -> Vec<Marginal> {
        let rows = self.linear_predictor().iter().zip(&self.assembled.links);
        rows.map(|(predictor, &link)| predictor.clone().mapped(Map::InverseLink(link))).collect()
    }

    /// `log p(y)`, every constant included; improper priors count as densities with respect to Lebesgue measure.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.posterior.evidence.integrated
    }

    /// The labels of the free hyperparameters in the order of `θ`.
    pub fn theta_names(&self) -> Vec<String> {
        let free = self.assembled.model.hyperparameters().iter().filter(|h| h.free.is_some());
        free.map(|h| h.label.clone()).collect()
    }

    /// What a user should know before trusting the numbers.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let diagnostics = &self.posterior.diagnostics;
        let names = self.theta_names();
        if !diagnostics.mode_converged {
            warnings.push("the search for the mode of the hyperparameters did not reach its tolerance".to_owned());
        }
        for &k in &diagnostics.replaced_directions {
            let vectors = &self.posterior.reparametrisation.vectors;
            let main = (0..names.len()).max_by(|&a, &b| vectors[a][k].abs().total_cmp(&vectors[b][k].abs()));
            let name = main.map_or("", |j| names[j].as_str());
            warnings.push(format!(
                "the data hardly inform {name}: its posterior is flat or has no mode; use a stronger prior"
            ));
        }
        if !diagnostics.failed_points.is_empty() {
            let (theta, reason) = &diagnostics.failed_points[0];
            let count = diagnostics.failed_points.len();
            warnings.push(format!("{count} points of the design failed, the first at θ = {theta:?}: {reason}"));
        }
        if diagnostics.truncated {
            warnings.push("the grid over the hyperparameters was cut before their density had fallen".to_owned());
        }
        if let Some(first) = diagnostics.unheld_predictors.first() {
            warnings.push(format!(
                "{} linear predictors, the first that of {}, could not be held far enough from their modes for Laplace's method: they are \
                 those of simplified-laplace",
                diagnostics.unheld_predictors.len(),
                self.predictor_name(*first)
            ));
        }
        let corrected = diagnostics.approximation.rung.weighs_corrections() && !self.assembled.model.is_gaussian();
        if corrected && !diagnostics.second_order_used {
            let terms = match diagnostics.approximation.rung {
                Rung::ExpectationPropagation => "the corrections of expectation propagation",
                _ => "the second-order terms",
            };
            warnings.push(format!(
                "{terms} are too large to be trusted ({:.2} nats for each effective parameter) and do not weigh \
                 the design: hyperparameters may be biased, as with binary data in small clusters",
                diagnostics.second_order_share
            ));
        }
        warnings.extend(self.separation_warnings());
        warnings
    }

    /// Coefficients that the data leave to their priors: perfect separation, or a category without events.
    fn separation_warnings(&self) -> Vec<String> {
        if self.is_gaussian() {
            return Vec::new();
        }
        let coefficients = self.assembled.fixed.iter().zip(&self.assembled.fixed_prior_sd).zip(&self.posterior.nodes);
        coefficients
            .filter(|((_, prior), marginal)| prior.is_finite() && marginal.sd() > 0.3 * **prior)
            .map(|((name, prior), marginal)| {
                format!(
                    "coefficient {name} is left to its prior (sd {:.3} of {prior:.3}): perfect separation, or a category \
                     without events",
                    marginal.sd()
                )
            })
            .collect()
    }
}

/// Puts what belongs to rows from the engine's order into that of the table.
fn into_table_order(posterior: &mut Posterior, order: &[usize]) {
    if order.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(engine, &row)| places[row] = engine);
    let predictors: Vec<Marginal> = places.iter().map(|&engine| posterior.predictors[engine].clone()).collect();
    posterior.predictors.splice(..order.len(), predictors);
    let unheld = &mut posterior.diagnostics.unheld_predictors;
    unheld.iter_mut().filter(|row| **row < order.len()).for_each(|row| *row = order[*row]);
    unheld.sort_unstable();
    if let Some(criteria) = &mut posterior.criteria {
        for values in [&mut criteria.cpo, &mut criteria.pit] {
            let sorted: Vec<f64> = places.iter().map(|&engine| values[engine]).collect();
            values.splice(..order.len(), sorted);
        }
        criteria.failures.iter_mut().filter(|row| **row < order.len()).for_each(|row| *row = order[*row]);
        criteria.failures.sort_unstable();
    }
}

pub(crate) fn part_name(effect: &str, part: Option<&str>) -> String {
    part.map_or_else(|| effect.to_owned(), |part| format!("{effect}:{part}"))
}

fn explore(assembled: &Assembled, options: &ExploreOptions, threads: usize) -> Result<Posterior, InlaError> {
    let model = &assembled.model;
    let work = model.symbolic().operations() + 50.0 * model.rows() as f64;
    if work < WORTH_THREADS {
        return Ok(Posterior::explore(model, &Sequential, options)?);
    }
    Ok(on_threads(threads, || Posterior::explore(model, &Parallel, options))??)
}

/// What `work` gives on a pool of so many threads, 0 for the common one.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, InlaError> {
    if threads == 0 {
        // on a thread of the pool, where handing out work is cheap
        return Ok(rayon::scope(|_| work()));
    }
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| InlaError::InvalidOption {
            place: "fit".to_owned(),
            option: "threads".to_owned(),
            value: threads.to_string(),
            reason: error.to_string(),
        })?;
    Ok(pool.install(work))
}
