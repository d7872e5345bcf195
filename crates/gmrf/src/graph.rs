//! Undirected graphs: who borrows from whom.

use sprs::CsMat;

use crate::error::GmrfError;

/// An undirected graph on nodes `0..n` without loops; neighbours are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    neighbours: Vec<Vec<usize>>,
}

fn invalid(reason: String) -> GmrfError {
    GmrfError::InvalidGraph { reason }
}

impl Graph {
    /// From edges between nodes `0..order`; repeats and both directions of an edge are one edge.
    ///
    /// # Errors
    /// [`GmrfError::InvalidGraph`] for a node outside or an edge from a node to itself.
    pub fn from_edges(order: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Result<Self, GmrfError> {
        let mut neighbours = vec![Vec::new(); order];
        for (a, b) in edges {
            if a.max(b) >= order {
                return Err(invalid(format!("edge {a}–{b} leaves the {order} nodes")));
            }
            if a == b {
                return Err(invalid(format!("node {a} is its own neighbour")));
            }
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        neighbours.iter_mut().for_each(|list| {
            list.sort_unstable();
            list.dedup();
        });
        Ok(Self { neighbours })
    }

    /// From a symmetric adjacency matrix: nodes are neighbours where an entry off the diagonal is not zero.
    ///
    /// # Errors
    /// [`GmrfError::InvalidGraph`] if it is not square, or names the first pair that is one-sided.
    pub fn from_adjacency(matrix: &CsMat<f64>) -> Result<Self, GmrfError> {
        if matrix.rows() != matrix.cols() {
            return Err(invalid(format!("the adjacency matrix is {} × {}", matrix.rows(), matrix.cols())));
        }
        let mut edges = Vec::new();
        for (&value, (i, j)) in matrix {
            if i != j && value != 0.0 {
                if matrix.get(j, i).is_none_or(|other| *other == 0.0) {
                    return Err(invalid(format!(
                        "{i} has neighbour {j}, but {j} has not {i}; make the matrix symmetric"
                    )));
                }
                edges.push((i, j));
            }
        }
        Self::from_edges(matrix.rows(), edges)
    }

    /// Reads R-INLA's format: the number of nodes, then for each node its number, its number of neighbours, and their numbers.
    ///
    /// Numbers are separated by any white space; `#` starts a comment. Nodes count from 1, or from 0 if a node 0 occurs.
    ///
    /// # Errors
    /// [`GmrfError::InvalidGraph`] names the line and what is wrong there.
    pub fn parse_inla(text: &str) -> Result<Self, GmrfError> {
        let tokens = tokens(text)?;
        let mut next = tokens.iter().copied();
        let (line, order) = next.next().ok_or_else(|| invalid("the file is empty".to_owned()))?;
        if order > tokens.len() {
            return Err(invalid(format!(
                "line {line}: {order} nodes are announced, the file holds {} numbers",
                tokens.len()
            )));
        }
        let mut lists: Vec<Option<(usize, Vec<usize>)>> = vec![None; order + 1];
        let mut zero_based = false;
        for _ in 0..order {
            let truncated = || invalid(format!("the file ends before all {order} nodes are listed"));
            let (line, node) = next.next().ok_or_else(truncated)?;
            let (_, count) = next.next().ok_or_else(truncated)?;
            let mut list = Vec::new();
            for _ in 0..count {
                let (line, neighbour) = next.next().ok_or_else(truncated)?;
                if neighbour > order {
                    return Err(invalid(format!(
                        "line {line}: neighbour {neighbour} of node {node} is beyond {order} nodes"
                    )));
                }
                zero_based |= neighbour == 0;
                list.push(neighbour);
            }
            if node > order {
                return Err(invalid(format!("line {line}: node {node} is beyond {order} nodes")));
            }
            zero_based |= node == 0;
            if lists[node].is_some() {
                return Err(invalid(format!("line {line}: node {node} is listed twice")));
            }
            lists[node] = Some((line, list));
        }
        if let Some((line, extra)) = next.next() {
            return Err(invalid(format!("line {line}: {extra} stands behind the last of {order} nodes")));
        }
        Self::from_lists(order, lists, usize::from(!zero_based))
    }

    fn from_lists(order: usize, lists: Vec<Option<(usize, Vec<usize>)>>, base: usize) -> Result<Self, GmrfError> {
        let mut neighbours = Vec::with_capacity(order);
        for node in 0..order {
            let number = node + base;
            let Some((line, list)) = &lists[number] else {
                return Err(invalid(format!("node {number} is missing (nodes count from {base})")));
            };
            let mut list: Vec<usize> = list.iter().map(|neighbour| neighbour.wrapping_sub(base)).collect();
            if list.contains(&node) {
                return Err(invalid(format!("line {line}: node {number} is its own neighbour")));
            }
            if let Some(outside) = list.iter().find(|&&neighbour| neighbour >= order) {
                let outside = outside.wrapping_add(base);
                return Err(invalid(format!("line {line}: neighbour {outside} is outside (nodes count from {base})")));
            }
            list.sort_unstable();
            list.dedup();
            neighbours.push(list);
        }
        for (node, list) in neighbours.iter().enumerate() {
            if let Some(&other) = list.iter().find(|&&other| neighbours[other].binary_search(&node).is_err()) {
                let (a, b) = (node + base, other + base);
                return Err(invalid(format!("node {a} has neighbour {b}, but {b} does not have {a}")));
            }
        }
        Ok(Self { neighbours })
    }

    /// The graph in R-INLA's format, nodes counted from 1.
    pub fn to_inla(&self) -> String {
        let mut text = format!("{}\n", self.order());
        for (node, list) in self.neighbours.iter().enumerate() {
            text.push_str(&format!("{} {}", node + 1, list.len()));
            for neighbour in list {
                text.push_str(&format!(" {}", neighbour + 1));
            }
            text.push('\n');
        }
        text
    }

    /// The number of nodes.
    pub fn order(&self) -> usize {
        self.neighbours.len()
    }

    /// The neighbours of a node, ascending.
    pub fn neighbours(&self, node: usize) -> &[usize] {
        &self.neighbours[node]
    }

    /// Each edge once, `(larger, smaller)`.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        self.neighbours
            .iter()
            .enumerate()
            .flat_map(|(i, list)| list.iter().copied().filter(move |&j| j < i).map(move |j| (i, j)))
    }

    /// The connected components, each ascending, in the order of their first nodes.
    pub fn components(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.order()];
        let mut components = Vec::new();
        for start in 0..self.order() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut component, mut open) = (Vec::new(), vec![start]);
            while let Some(node) = open.pop() {
                component.push(node);
                for &neighbour in &self.neighbours[node] {
                    if !seen[neighbour] {
                        seen[neighbour] = true;
                        open.push(neighbour);
                    }
                }
            }
            component.sort_unstable();
            components.push(component);
        }
        components
    }
}

/// Numbers with their lines.
fn tokens(text: &str) -> Result<Vec<(usize, usize)>, GmrfError> {
    let mut all = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let content = content.split('#').next().unwrap_or("");
        for word in content.split_whitespace() {
            let number = word.parse().map_err(|_| {
                let shown: String = word.chars().take(20).collect();
                invalid(format!("line {}: \"{shown}\" is not a node number", line + 1))
            })?;
            all.push((line + 1, number));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_numberings_of_a_path_are_one_graph() {
        let one = Graph::parse_inla("3 # nodes\n1 1 2\n2 2 1 3\n3 1 2\n").unwrap();
        let zero = Graph::parse_inla("3\n0 1 1 1 2 0 2\n2 1 1").unwrap();
        assert_eq!(one, zero);
        assert_eq!(one, Graph::from_edges(3, [(0, 1), (2, 1), (1, 2)]).unwrap());
        assert_eq!(Graph::parse_inla(&one.to_inla()).unwrap(), one);
    }

    #[test]
    fn islands_and_singletons_are_components() {
        let graph = Graph::from_edges(6, [(0, 2), (3, 4)]).unwrap();
        assert_eq!(graph.components(), [vec![0, 2], vec![1], vec![3, 4], vec![5]]);
    }

    #[test]
    fn broken_files_are_refused_with_their_line() {
        let cases = [
            ("", "empty"),
            ("3\n1 1 2", "ends before"),
            ("2\n1 1 2\n2 1 x", "line 3: \"x\""),
            ("2\n1 1 2\n2 0", "1 has neighbour 2"),
            ("2\n1 1 1\n2 0", "own neighbour"),
            ("2\n1 1 5\n2 0", "line 2"),
            ("2\n1 0\n1 0", "listed twice"),
            ("2\n1 0\n2 0\n3 0", "behind the last"),
            ("99999999999\n1 0", "announced"),
            ("2\n0 1 2\n2 1 0", "outside"),
        ];
        for (text, words) in cases {
            let error = Graph::parse_inla(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        assert!(Graph::from_edges(2, [(0, 2)]).is_err());
        assert!(Graph::from_edges(2, [(1, 1)]).is_err());
    }

    #[test]
    fn a_one_sided_adjacency_matrix_names_the_pair() {
        let mut triplets = sprs::TriMat::new((3, 3));
        triplets.add_triplet(0, 1, 1.0);
        triplets.add_triplet(1, 0, 1.0);
        assert_eq!(Graph::from_adjacency(&triplets.to_csr()).unwrap().edges().count(), 1);
        triplets.add_triplet(2, 1, 1.0);
        let error = Graph::from_adjacency(&triplets.to_csr()).unwrap_err().to_string();
        assert!(error.contains('2') && error.contains('1'), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9 \n#x-]{0,200}") {
            let _ = Graph::parse_inla(&text);
        }
    }
}
