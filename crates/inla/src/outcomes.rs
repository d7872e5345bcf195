//! Several likelihoods in one model: a column of the data says which one a row belongs to.

use laplace::{Link, Observations};

use crate::error::InlaError;
use crate::family::likelihood;
use crate::nearest::nearest;
use crate::specification::{ModelSpecification, Outcome, Outcomes};
use crate::table::Table;

/// The likelihoods of a model in the order of their rows.
pub(crate) struct Likelihoods {
    pub(crate) observations: Vec<Observations>,
    /// The link of every row of the table.
    pub(crate) links: Vec<Link>,
    /// The row of the table that stands at each row of the engine.
    pub(crate) order: Vec<usize>,
    /// `poisson`, or `gaussian (weight), poisson (visits)`.
    pub(crate) family: String,
}

/// The likelihood of every row.
pub(crate) fn likelihoods(
    specification: &ModelSpecification,
    table: &Table,
    y: &[f64],
) -> Result<Likelihoods, InlaError> {
    let Some(outcomes) = &specification.outcomes else {
        let (made, link) = likelihood(specification, table, y)?;
        return Ok(Likelihoods {
            observations: vec![Observations { name: "likelihood".to_owned(), likelihood: made }],
            links: vec![link; y.len()],
            order: (0..y.len()).collect(),
            family: specification.family.clone(),
        });
    };
    let (levels, codes) = table.factor(&outcomes.column)?;
    if let Some(row) = codes.iter().position(Option::is_none) {
        return Err(InlaError::MissingValue { column: outcomes.column.clone(), place: table.place(row) });
    }
    check_levels(outcomes, &levels)?;
    let mut all = Likelihoods { observations: Vec::new(), links: Vec::new(), order: Vec::new(), family: String::new() };
    let mut links = vec![None; y.len()];
    let mut families = Vec::new();
    for (k, level) in levels.iter().enumerate() {
        let rows: Vec<usize> = (0..y.len()).filter(|&row| codes[row] == Some(k)).collect();
        let own = own_specification(specification, outcomes.families.get(level));
        let responses: Vec<f64> = rows.iter().map(|&row| y[row]).collect();
        let (made, link) = likelihood(&own, &table.rows_of(&rows), &responses)
            .map_err(|error| InlaError::Outcome { level: level.clone(), source: Box::new(error) })?;
        all.observations.push(Observations { name: level.clone(), likelihood: made });
        rows.iter().for_each(|&row| links[row] = Some(link));
        all.order.extend(rows);
        families.push(format!("{} ({level})", own.family));
    }
    all.links = links.into_iter().flatten().collect();
    all.family = families.join(", ");
    Ok(all)
}

/// Every section has its level.
fn check_levels(outcomes: &Outcomes, levels: &[String]) -> Result<(), InlaError> {
    match outcomes.families.keys().find(|name| !levels.contains(name)) {
        None => Ok(()),
        Some(name) => Err(InlaError::UnknownName {
            kind: "outcome",
            name: name.clone(),
            nearest: nearest(name, levels.iter().map(String::as_str)).map(str::to_owned),
            known: levels.to_vec(),
        }),
    }
}

/// The model as one outcome sees it: a section says everything but the family, which it may; without one all is the model's.
fn own_specification(specification: &ModelSpecification, section: Option<&Outcome>) -> ModelSpecification {
    let Some(section) = section.cloned() else { return specification.clone() };
    ModelSpecification {
        family: section.family.unwrap_or_else(|| specification.family.clone()),
        link: section.link,
        trials: section.trials,
        exposure: section.exposure,
        weights: section.weights,
        scale: section.scale,
        event: section.event,
        time2: section.time2,
        truncation: section.truncation,
        likelihood: section.likelihood,
        ..specification.clone()
    }
}
