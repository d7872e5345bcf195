//! A model by method calls: it makes the same description as a formula.

use std::collections::HashMap;

use gmrf::Graph;

use crate::error::InlaError;
use crate::fit::{Fit, Prepared, Resources};
use crate::specification::{CoefficientPrior, ModelSpecification, Outcome, Outcomes, Source};
use crate::table::Table;

/// A random effect on a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    column: String,
    weights: Option<String>,
    options: Vec<(String, String)>,
    graph: Option<Graph>,
}

impl Effect {
    /// An effect of `model` (`iid`, `rw2`, `bym2`, …) whose nodes are the values of `column`.
    pub fn new(column: &str, model: &str) -> Self {
        let options = vec![("model".to_owned(), model.to_owned())];
        Self { column: column.to_owned(), weights: None, options, graph: None }
    }

    /// Multiplies the effect by a column: a varying coefficient.
    pub fn weights(mut self, column: &str) -> Self {
        self.weights = Some(column.to_owned());
        self
    }

    /// Its name in results, needed where two effects share a column.
    pub fn name(self, name: &str) -> Self {
        self.option("name", name)
    }

    /// Any option of `f()`, in its syntax: `.option("precision", "pc.prec(1, 0.01)")`, `.option("cyclic", "TRUE")`.
    pub fn option(mut self, option: &str, value: &str) -> Self {
        self.options.push((option.to_owned(), value.to_owned()));
        self
    }

    /// The graph of an areal effect.
    pub fn graph(mut self, graph: Graph) -> Self {
        self.graph = Some(graph);
        self
    }

    fn call(&self) -> String {
        let weights = self.weights.as_ref().map_or_else(String::new, |w| format!(", `{w}`"));
        let options: String = self.options.iter().map(|(option, value)| format!(", {option} = {value}")).collect();
        format!("f(`{}`{weights}{options})", self.column)
    }

    fn effect_name(&self) -> &str {
        self.options.iter().find(|(option, _)| option == "name").map_or(&self.column, |(_, name)| name)
    }
}

/// Builds a [`ModelSpecification`] call by call.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelBuilder {
    response: String,
    family: String,
    terms: Vec<String>,
    specification: Vec<Change>,
    graphs: HashMap<String, Graph>,
}

#[derive(Debug, Clone, PartialEq)]
enum Change {
    Link(String),
    Trials(Source),
    Exposure(Source),
    Weights(Source),
    Scale(Source),
    Event(Source),
    Time2(Source),
    Truncation(Source),
    Offset(Source),
    Likelihood(String, String),
    FixedPrecision(f64),
    InterceptPrecision(f64),
    Coefficient(String, CoefficientPrior),
    Integration(String),
    Threads(usize),
    Approximation(String),
    Certificate(bool),
    LaplaceNodes(Vec<String>),
    LaplacePredictors(bool),
    Outcomes(String),
    Outcome(String, Box<Outcome>),
}

impl ModelBuilder {
    /// A model of a response column with a family, and an intercept.
    pub fn new(response: &str, family: &str) -> Self {
        Self {
            response: response.to_owned(),
            family: family.to_owned(),
            terms: vec!["1".to_owned()],
            specification: Vec::new(),
            graphs: HashMap::new(),
        }
    }

    fn change(mut self, change: Change) -> Self {
        self.specification.push(change);
        self
    }

    /// Leaves the intercept out.
    pub fn without_intercept(mut self) -> Self {
        "0".clone_into(&mut self.terms[0]);
        self
    }

    /// A term of the fixed effects, in formula syntax: a column, `x1:x2`, `log(x)`.
    pub fn fixed(mut self, term: &str) -> Self {
        self.terms.push(term.to_owned());
        self
    }

    /// A random effect.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.terms.push(effect.call());
        if let Some(graph) = effect.graph.clone() {
            self.graphs.insert(effect.effect_name().to_owned(), graph);
        }
        self
    }

    /// Several likelihoods: one for each level of a column, of the model's family where [`outcome`](Self::outcome) says nothing else.
    ///
    /// ```
    /// use inla::{Effect, ModelBuilder, Outcome, Table};
    /// let table = Table::new()
    ///     .with_numeric("y", &[1.2, 0.7, 1.9, 0.4, 3.0, 0.0, 5.0, 1.0])?
    ///     .with_text("what", &["weight", "weight", "weight", "weight", "visits", "visits", "visits", "visits"])?
    ///     .with_text("id", &["a", "b", "c", "d", "a", "b", "c", "d"])?;
    /// let fit = ModelBuilder::new("y", "gaussian")
    ///     .without_intercept()
    ///     .fixed("what")
    ///     .effect(Effect::new("id", "iidkd").option("coefficients", "\"0 + what\""))
    ///     .outcomes("what")
    ///     .outcome("visits", Outcome { family: Some("poisson".to_owned()), ..Outcome::default() })
    ///     .fit(&table)?;
    /// assert_eq!(fit.family(), "gaussian (weight), poisson (visits)");
    /// # Ok::<(), inla::InlaError>(())
    /// ```
    pub fn outcomes(self, column: &str) -> Self {
        self.change(Change::Outcomes(column.to_owned()))
    }

    /// The likelihood of one outcome among several.
    pub fn outcome(self, level: &str, outcome: Outcome) -> Self {
        self.change(Change::Outcome(level.to_owned(), Box::new(outcome)))
    }

    /// The link, instead of the family's default.
    pub fn link(self, link: &str) -> Self {
        self.change(Change::Link(link.to_owned()))
    }

    /// The column of the numbers of trials.
    pub fn trials(self, column: &str) -> Self {
        self.change(Change::Trials(Source::Column(column.to_owned())))
    }

    /// The column of the exposures.
    pub fn exposure(self, column: &str) -> Self {
        self.change(Change::Exposure(Source::Column(column.to_owned())))
    }

    /// The column of the weights of the rows' log-densities.
    pub fn weights(self, column: &str) -> Self {
        self.change(Change::Weights(Source::Column(column.to_owned())))
    }

    /// The column that says what is known of each time: 0 right censored, 1 event, 2 left censored, 3 in an interval.
    pub fn event(self, column: &str) -> Self {
        self.change(Change::Event(Source::Column(column.to_owned())))
    }

    /// The column of the ends of intervals of times.
    pub fn time2(self, column: &str) -> Self {
        self.change(Change::Time2(Source::Column(column.to_owned())))
    }

    /// The column of the times at which rows came under observation.
    pub fn truncation(self, column: &str) -> Self {
        self.change(Change::Truncation(Source::Column(column.to_owned())))
    }

    /// The column of the scales of a precision.
    pub fn scale(self, column: &str) -> Self {
        self.change(Change::Scale(Source::Column(column.to_owned())))
    }

    /// The column of an offset.
    pub fn offset(self, column: &str) -> Self {
        self.change(Change::Offset(Source::Column(column.to_owned())))
    }

    /// A setting of a hyperparameter of the likelihood: `("precision", "pc.prec(1, 0.01)")`.
    pub fn likelihood(self, option: &str, value: &str) -> Self {
        self.change(Change::Likelihood(option.to_owned(), value.to_owned()))
    }

    /// Prior precision of the coefficients but the intercept.
    pub fn fixed_precision(self, precision: f64) -> Self {
        self.change(Change::FixedPrecision(precision))
    }

    /// Prior precision of the intercept; 0 is flat.
    pub fn intercept_precision(self, precision: f64) -> Self {
        self.change(Change::InterceptPrecision(precision))
    }

    /// Prior mean and precision of one coefficient.
    pub fn coefficient_prior(self, name: &str, mean: f64, precision: f64) -> Self {
        let prior = CoefficientPrior { mean: Some(mean), precision: Some(precision) };
        self.change(Change::Coefficient(name.to_owned(), prior))
    }

    /// `auto`, `eb`, `grid`, `ccd`, `gauss-hermite`, `importance` or `nuts`.
    pub fn integration(self, strategy: &str) -> Self {
        self.change(Change::Integration(strategy.to_owned()))
    }

    /// Threads; 0: all.
    pub fn threads(self, threads: usize) -> Self {
        self.change(Change::Threads(threads))
    }

    /// The rung of the approximation ladder: `auto`, `gaussian`, `variational`, `variational-mean-variance`, `simplified-laplace`, `laplace`
    /// or `ep`.
    pub fn approximation(self, rung: &str) -> Self {
        self.change(Change::Approximation(rung.to_owned()))
    }

    /// Whether the fit gathers evidence of its own accuracy.
    pub fn certificate(self, wanted: bool) -> Self {
        self.change(Change::Certificate(wanted))
    }

    /// The coefficients and effects whose nodes have their densities found by the rung `laplace`, instead of all.
    pub fn laplace_nodes(self, names: &[&str]) -> Self {
        self.change(Change::LaplaceNodes(names.iter().map(|&name| name.to_owned()).collect()))
    }

    /// Whether the rung `laplace` finds the densities of the linear predictors too, and with them those of the fitted values; by default it
    /// does where it finds those of all nodes and that takes seconds.
    pub fn laplace_predictors(self, wanted: bool) -> Self {
        self.change(Change::LaplacePredictors(wanted))
    }

    /// The description.
    ///
    /// # Errors
    /// [`InlaError::Formula`] if a name or term cannot be read.
    pub fn specification(&self) -> Result<ModelSpecification, InlaError> {
        let formula = format!("{} ~ {}", self.response, self.terms.join(" + "));
        let mut specification = ModelSpecification::new(&formula, &self.family)?;
        for change in &self.specification {
            change.clone().apply(&mut specification);
        }
        Ok(specification)
    }

    /// Fits the model to a table.
    ///
    /// # Errors
    /// [`InlaError`].
    pub fn fit(&self, table: &Table) -> Result<Fit, InlaError> {
        self.prepare(table, None)?.fit()
    }

    /// Joins the model and a table without fitting them: what it takes can be asked before. `like` is an earlier fit of the same
    /// structure, whose analysis is taken over.
    ///
    /// # Errors
    /// [`InlaError`].
    pub fn prepare(&self, table: &Table, like: Option<&Fit>) -> Result<Prepared, InlaError> {
        let analysis = like.map(|fit| fit.analysis().clone());
        let resources = Resources { graphs: self.graphs.clone(), analysis, ..Resources::default() };
        Prepared::new(&self.specification()?, table, &resources)
    }
}

impl Change {
    fn apply(self, specification: &mut ModelSpecification) {
        match self {
            Self::Link(link) => specification.link = Some(link),
            Self::Trials(source) => specification.trials = Some(source),
            Self::Exposure(source) => specification.exposure = Some(source),
            Self::Weights(source) => specification.weights = Some(source),
            Self::Scale(source) => specification.scale = Some(source),
            Self::Event(source) => specification.event = Some(source),
            Self::Time2(source) => specification.time2 = Some(source),
            Self::Truncation(source) => specification.truncation = Some(source),
            Self::Offset(source) => specification.offset = Some(source),
            Self::Likelihood(option, value) => {
                specification.likelihood.insert(option, value);
            }
            Self::FixedPrecision(precision) => specification.fixed.precision = precision,
            Self::InterceptPrecision(precision) => specification.fixed.intercept_precision = precision,
            Self::Coefficient(name, prior) => {
                specification.fixed.coefficients.insert(name, prior);
            }
            Self::Integration(strategy) => specification.fit.integration = strategy,
            Self::Threads(threads) => specification.fit.threads = threads,
            Self::Approximation(rung) => specification.fit.approximation = rung,
            Self::Certificate(wanted) => specification.fit.certificate = wanted,
            Self::LaplaceNodes(names) => specification.fit.laplace_nodes = names,
            Self::LaplacePredictors(wanted) => specification.fit.laplace_predictors = Some(wanted),
            Self::Outcomes(column) => {
                let families = specification.outcomes.take().map(|outcomes| outcomes.families).unwrap_or_default();
                specification.outcomes = Some(Outcomes { column, families });
            }
            Self::Outcome(level, outcome) => {
                let empty = || Outcomes { column: String::new(), families: std::collections::BTreeMap::new() };
                specification.outcomes.get_or_insert_with(empty).families.insert(level, *outcome);
            }
        }
    }
}
