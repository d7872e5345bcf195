//! The model file: TOML to a description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use inla::nearest::check_keys;
use inla::specification::{CoefficientPrior, JointPrior, ModelSpecification, Outcome, Outcomes, Source};
use serde::Deserialize as _;
use toml::{Table, Value};

use crate::error::CliError;

/// Keys of the file, of `[model]`, of `[fit]`.
const TOP: [&str; 7] = ["data", "model", "outcome", "effect", "fixed", "likelihood", "fit"];
const MODEL: [&str; 12] = [
    "formula",
    "outcome",
    "family",
    "link",
    "trials",
    "exposure",
    "weights",
    "scale",
    "offset",
    "event",
    "time2",
    "truncation",
];
const FIT: [&str; 14] = [
    "integration",
    "grid_step",
    "grid_drop",
    "nodes",
    "chains",
    "tuning",
    "draws",
    "approximation",
    "variational",
    "laplace_nodes",
    "laplace_predictors",
    "criteria",
    "certificate",
    "threads",
];

/// A model file that was read.
#[derive(Debug)]
pub struct ModelFile {
    /// The data, relative paths resolved.
    pub data: PathBuf,
    /// The folder of the file: graphs are found from here.
    pub directory: PathBuf,
    /// The description.
    pub specification: ModelSpecification,
}

impl ModelFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`CliError`]: the file, a key that is not known with the nearest known one, or a value of the wrong kind.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |reason: String| CliError::ModelFile { path: path.display().to_string(), reason };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
        let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let (data, specification) = parse(&text).map_err(|error| match error {
            CliError::ModelFile { reason, .. } => failed(reason),
            other => other,
        })?;
        Ok(Self { data: directory.join(data), directory, specification })
    }
}

fn wrong(reason: impl Into<String>) -> CliError {
    CliError::ModelFile { path: String::new(), reason: reason.into() }
}

/// Reads the text of a model file: the path of the data and the description.
///
/// # Errors
/// As [`ModelFile::read`].
pub fn parse(text: &str) -> Result<(String, ModelSpecification), CliError> {
    let file: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    check_keys("the model file", file.keys().map(String::as_str), &TOP)?;
    let data = string(&file, "the model file", "data")?
        .ok_or_else(|| wrong("data is missing: name the CSV file, data = \"data.csv\""))?;
    let model = section(&file, "model")?.ok_or_else(|| wrong("the section [model] is missing"))?;
    check_keys("[model]", model.keys().map(String::as_str), &MODEL)?;
    let formula = string(&model, "[model]", "formula")?
        .ok_or_else(|| wrong("[model] formula is missing: formula = \"y ~ 1 + x\""))?;
    let family = string(&model, "[model]", "family")?.unwrap_or_else(|| "gaussian".to_owned());
    let mut specification = ModelSpecification::new(&formula, &family)?;
    specification.link = string(&model, "[model]", "link")?;
    specification.trials = source(&model, "trials")?;
    specification.exposure = source(&model, "exposure")?;
    specification.weights = source(&model, "weights")?;
    specification.scale = source(&model, "scale")?;
    specification.offset = source(&model, "offset")?;
    specification.event = source(&model, "event")?;
    specification.time2 = source(&model, "time2")?;
    specification.truncation = source(&model, "truncation")?;
    if let Some(likelihood) = section(&file, "likelihood")? {
        specification.likelihood = texts(&likelihood, "[likelihood]")?;
    }
    specification.outcomes = read_outcomes(&file, &model)?;
    if let Some(effects) = section(&file, "effect")? {
        for (name, options) in &effects {
            let place = format!("[effect.{name}]");
            let options = options.as_table().ok_or_else(|| wrong(format!("{place} must be a section of options")))?;
            specification.effects.insert(name.clone(), texts(options, &place)?);
        }
    }
    if let Some(fixed) = section(&file, "fixed")? {
        read_fixed(&fixed, &mut specification)?;
    }
    if let Some(fit) = section(&file, "fit")? {
        check_keys("[fit]", fit.keys().map(String::as_str), &FIT)?;
        let options = inla::FitOptions::deserialize(Value::Table(fit));
        specification.fit = options.map_err(|error| wrong(format!("[fit]: {error}")))?;
    }
    Ok((data, specification))
}

/// `[model] outcome` names the column, `[outcome.LEVEL]` says what the rows of a level are: their family with what belongs to it, and
/// settings of its hyperparameters.
fn read_outcomes(file: &Table, model: &Table) -> Result<Option<Outcomes>, CliError> {
    let (column, sections) = (string(model, "[model]", "outcome")?, section(file, "outcome")?);
    let Some(column) = column else {
        return match sections {
            None => Ok(None),
            Some(_) => Err(wrong("[outcome…] needs the column of the outcomes: [model] outcome = \"column\"")),
        };
    };
    let mut families = BTreeMap::new();
    for (level, value) in sections.unwrap_or_default() {
        let place = format!("[outcome.{level}]");
        let own = value.as_table().ok_or_else(|| wrong(format!("{place} must be a section")))?;
        let mut outcome = Outcome {
            family: string(own, &place, "family")?,
            link: string(own, &place, "link")?,
            trials: source(own, "trials")?,
            exposure: source(own, "exposure")?,
            weights: source(own, "weights")?,
            scale: source(own, "scale")?,
            event: source(own, "event")?,
            time2: source(own, "time2")?,
            truncation: source(own, "truncation")?,
            ..Outcome::default()
        };
        let settings = own.iter().filter(|(key, _)| !MODEL[2..].contains(&key.as_str()));
        let settings = settings.map(|(key, value)| (key.clone(), value.clone())).collect();
        outcome.likelihood = texts(&settings, &place)?;
        families.insert(level, outcome);
    }
    Ok(Some(Outcomes { column, families }))
}

fn section(file: &Table, key: &str) -> Result<Option<Table>, CliError> {
    match file.get(key) {
        None => Ok(None),
        Some(Value::Table(table)) => Ok(Some(table.clone())),
        Some(_) => Err(wrong(format!("{key} must be a section: [{key}]"))),
    }
}

fn string(table: &Table, place: &str, key: &str) -> Result<Option<String>, CliError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(format!("{place} {key} must be a text in quotes"))),
    }
}

fn source(table: &Table, key: &str) -> Result<Option<Source>, CliError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(column)) => Ok(Some(Source::Column(column.clone()))),
        Some(value) => match number(value) {
            Some(number) => Ok(Some(Source::Number(number))),
            None => Err(wrong(format!("[model] {key} must name a column or give a number"))),
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Options as text in the formula's syntax.
fn texts(table: &Table, place: &str) -> Result<BTreeMap<String, String>, CliError> {
    table
        .iter()
        .map(|(key, value)| {
            let text = text(value).ok_or_else(|| wrong(format!("{place} {key}: write a text, a number or a list")))?;
            Ok((key.clone(), text))
        })
        .collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(true) => Some("TRUE".to_owned()),
        Value::Boolean(false) => Some("FALSE".to_owned()),
        Value::Array(items) => {
            let items = items.iter().map(text).collect::<Option<Vec<_>>>()?;
            Some(format!("c({})", items.join(", ")))
        }
        _ => None,
    }
}

/// `[fixed]`: two common precisions, priors of single coefficients by their names, and one joint prior.
fn read_fixed(fixed: &Table, specification: &mut ModelSpecification) -> Result<(), CliError> {
    let priors = &mut specification.fixed;
    let mut joint = Table::new();
    for (key, value) in fixed {
        let positive = || {
            number(value)
                .filter(|v| *v >= 0.0 && v.is_finite())
                .ok_or_else(|| wrong(format!("[fixed] {key} = {value}: a precision is a number that is not negative")))
        };
        match (key.as_str(), value) {
            ("precision", _) => priors.precision = positive()?,
            ("intercept_precision", _) => priors.intercept_precision = positive()?,
            ("names" | "mean" | "covariance", _) => {
                joint.insert(key.clone(), value.clone());
            }
            ("joint", Value::Array(blocks)) => {
                for block in blocks {
                    priors.joint.push(joint_prior(block.clone())?);
                }
            }
            (name, Value::Table(_)) => {
                let prior = CoefficientPrior::deserialize(value.clone());
                let prior = prior.map_err(|error| wrong(format!("[fixed] {name}: {error}")))?;
                priors.coefficients.insert(name.to_owned(), prior);
            }
            (name, _) => {
                let near = gmrf_suggestion(name);
                let reason = format!("[fixed] {name}: write {name} = {{ mean = 0, precision = 1 }}{near}");
                return Err(wrong(reason));
            }
        }
    }
    if !joint.is_empty() {
        priors.joint.push(joint_prior(Value::Table(joint))?);
    }
    Ok(())
}

fn gmrf_suggestion(name: &str) -> String {
    let known = ["precision", "intercept_precision", "names", "mean", "covariance", "joint"];
    inla::nearest::nearest(name, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

fn joint_prior(value: Value) -> Result<JointPrior, CliError> {
    JointPrior::deserialize(value).map_err(|error| wrong(format!("[fixed] joint prior: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"
        data = "seeds.csv"
        [model]
        formula = "r ~ 1 + x1 + f(plate, model = iid)"
        family = "binomial"
        trials = "n"
        [effect.plate]
        precision = "loggamma(1, 0.01)"
        [fixed]
        precision = 0.01
        x1 = { mean = 0.5, precision = 4 }
        [fit]
        integration = "ccd"
    "#;

    #[test]
    fn outcomes_have_their_sections() {
        let model = "data = \"d.csv\"\n[model]\nformula = \"y ~ 1\"\n";
        let sections = "outcome = \"what\"\n[outcome.visits]\nfamily = \"poisson\"\nexposure = \"days\"\n\
                        [outcome.weight]\nprecision = \"fixed(2)\"\n";
        let outcomes = parse(&format!("{model}{sections}")).unwrap().1.outcomes.unwrap();
        assert_eq!((outcomes.column.as_str(), outcomes.families.len()), ("what", 2));
        assert_eq!(outcomes.families["visits"].family.as_deref(), Some("poisson"));
        assert_eq!(outcomes.families["visits"].exposure, Some(Source::Column("days".to_owned())));
        assert_eq!(outcomes.families["weight"].likelihood["precision"], "fixed(2)");
        let error = parse(&format!("{model}[outcome.weight]\nfamily = \"t\"\n")).unwrap_err().to_string();
        assert!(error.contains("outcome = \"column\""), "{error}");
        let error = parse(&format!("{model}outcome = 3\n")).unwrap_err().to_string();
        assert!(error.contains("text in quotes"), "{error}");
    }

    #[test]
    fn a_model_file_makes_its_description() {
        let (data, specification) = parse(FILE).unwrap();
        assert_eq!(data, "seeds.csv");
        assert_eq!(specification.trials, Some(Source::Column("n".to_owned())));
        assert_eq!(specification.effects["plate"]["precision"], "loggamma(1, 0.01)");
        assert_eq!(specification.fixed.coefficients["x1"].mean, Some(0.5));
        assert_eq!((specification.fixed.precision, specification.fit.integration.as_str()), (0.01, "ccd"));
    }

    #[test]
    fn a_rung_is_named_with_what_belongs_to_it() {
        let fit = |lines: &str| parse(&FILE.replace("[fit]", &format!("[fit]\n{lines}"))).unwrap().1.fit;
        let options = fit("approximation = \"variational\"\nvariational = \"mean+variance\"");
        assert_eq!(
            (options.approximation.as_str(), options.variational.as_deref()),
            ("variational", Some("mean+variance"))
        );
        let options = fit("approximation = \"laplace\"\nlaplace_nodes = [\"x1\", \"plate\"]");
        assert_eq!((options.approximation.as_str(), options.laplace_nodes.len()), ("laplace", 2));
        let options = fit("approximation = \"laplace\"\nlaplace_predictors = false");
        assert_eq!((options.laplace_nodes.len(), options.laplace_predictors), (0, Some(false)));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        for (from, to, near) in [
            ("[fit]", "[fitt]", "fit"),
            ("trials =", "trial =", "trials"),
            ("integration =", "integretion =", "integration"),
            ("precision = 0.01", "precison = 0.01", "precision"),
        ] {
            let error = parse(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(near), "{to}: {error}");
        }
        assert!(parse("").is_err());
        assert!(parse("data = 3").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\[\\]a-z=\"0-9.,{} \n~()+]{0,200}") {
            let _ = parse(&text);
        }
    }
}
