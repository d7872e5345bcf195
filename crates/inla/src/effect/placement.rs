//! Where the rows of the data stand on the nodes of one copy of an effect.

use gmrf::LatentModel;

use super::coefficients::Coefficients;
use crate::level::LevelIndex;

/// Nodes, weights and labels of one copy.
#[derive(Debug)]
pub(super) struct Placement {
    /// The first node of each row, `None` where the effect is absent.
    pub(super) nodes: Vec<Option<usize>>,
    /// What multiplies the first node of each row, the one behind it, and so on.
    pub(super) columns: Vec<Vec<f64>>,
    /// `(part, level)` of each node.
    pub(super) labels: Vec<(Option<String>, String)>,
    /// Whether its parts are coefficients of columns.
    pub(super) coefficients: bool,
    /// How a curve changes along its column.
    pub(super) slopes: Option<Slopes>,
}

/// How a curve changes along its column.
#[derive(Debug)]
pub(crate) struct Slopes {
    pub(crate) column: String,
    /// Derivatives of what multiplies the first node of each row, the one behind it, and so on.
    pub(crate) columns: Vec<Vec<f64>>,
    /// Whether they are asked for.
    pub(crate) wanted: bool,
}

impl Placement {
    /// Each row on the node of its level.
    pub(super) fn of_levels(index: LevelIndex, model: &dyn LatentModel) -> Self {
        let of_part = |part: gmrf::Part| {
            let labels = index.labels[..part.nodes.len()].iter();
            labels.map(move |label| (part.suffix.map(str::to_owned), label.clone()))
        };
        let labels = model.parts().into_iter().flat_map(of_part).collect();
        Self {
            columns: vec![vec![1.0; index.nodes.len()]],
            nodes: index.nodes,
            labels,
            coefficients: false,
            slopes: None,
        }
    }

    /// Each row on the coefficients of its group.
    pub(super) fn of_coefficients(index: LevelIndex, coefficients: Coefficients) -> Self {
        let Coefficients { names, columns } = coefficients;
        let of_level = |label: &String| {
            let label = label.clone();
            names.iter().map(move |name| (Some(name.clone()), label.clone()))
        };
        let labels = index.labels.iter().flat_map(of_level).collect();
        let nodes = index.nodes.iter().map(|node| node.map(|node| node * names.len())).collect();
        Self { nodes, columns, labels, coefficients: true, slopes: None }
    }
}
