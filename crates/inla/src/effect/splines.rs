//! Smooth curves `Σ_k β_k B_k(s)` on B-splines, their coefficients penalised: `bs(s, k = 20, penalty = rw2)`.

use std::sync::Arc;

use gmrf::latent::{BesagProper, Iid, RandomWalk, RandomWalkOptions, RandomWalkOrder};
use gmrf::{Graph, Hyperparameter, LatentModel, Transform};

use super::Options;
use super::placement::{Placement, Slopes};
use crate::error::InlaError;
use crate::nearest::check_name;
use crate::setting::HyperDefault;
use crate::table::{Table, distinct_sorted};

/// The greatest degree of the pieces.
const LARGEST_DEGREE: usize = 5;
/// Functions of a basis; more than there are places to tell them apart serve no one.
const LARGEST_BASIS: usize = 10_000;
const PENALTIES: [&str; 4] = ["rw2", "rw1", "iid", "proper"];

/// B-splines of one degree on a sequence of knots (de Boor 1978).
#[derive(Debug, Clone)]
pub(super) struct Basis {
    degree: usize,
    /// Not decreasing; function `k` lives on knots `k` to `k + degree + 1`.
    knots: Vec<f64>,
    equal: bool,
}

impl Basis {
    /// `count` functions on equally spaced knots that reach beyond both ends (P-splines, Eilers and Marx 1996).
    fn equally_spaced((low, high): (f64, f64), count: usize, degree: usize) -> Self {
        let step = (high - low) / (count - degree) as f64;
        let knots = (0..=count + degree).map(|k| low + step * (k as f64 - degree as f64)).collect();
        Self { degree, knots, equal: true }
    }

    /// The functions on given interior knots, the ends repeated.
    fn on_knots((low, high): (f64, f64), interior: &[f64], degree: usize) -> Self {
        let ends = |end: f64| std::iter::repeat_n(end, degree + 1);
        let knots = ends(low).chain(interior.iter().copied()).chain(ends(high)).collect();
        Self { degree, knots, equal: false }
    }

    fn len(&self) -> usize {
        self.knots.len() - self.degree - 1
    }

    /// Where the coefficients stand: the curve whose coefficients are these places is the straight line itself.
    fn places(&self) -> Vec<f64> {
        if self.degree == 0 {
            return self.knots.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
        }
        let mean = |k: usize| self.knots[k + 1..=k + self.degree].iter().sum::<f64>() / self.degree as f64;
        (0..self.len()).map(mean).collect()
    }

    /// The interval of `s`, by its left knot.
    fn span(&self, s: f64) -> usize {
        let (first, last) = (self.degree, self.len() - 1);
        self.knots[first..=last].partition_point(|&knot| knot <= s).max(1) - 1 + first
    }

    /// The first function that is not zero at `s`, and the values of that one and of the `degree` behind it.
    fn at(&self, s: f64) -> (usize, Vec<f64>) {
        let span = self.span(s);
        (span - self.degree, self.values(span, s, self.degree))
    }

    /// Their derivatives, from the functions of one degree less.
    fn slopes_at(&self, s: f64) -> Vec<f64> {
        let (p, span) = (self.degree, self.span(s));
        if p == 0 {
            return vec![0.0];
        }
        let lower = self.values(span, s, p - 1);
        let share = |m: usize| {
            let j = span + 1 + m - p;
            p as f64 * lower[m] / (self.knots[j + p] - self.knots[j])
        };
        (0..=p).map(|k| if k > 0 { share(k - 1) } else { 0.0 } - if k < p { share(k) } else { 0.0 }).collect()
    }

    /// The values of the functions of a degree that are not zero on an interval.
    fn values(&self, span: usize, s: f64, degree: usize) -> Vec<f64> {
        let mut values = vec![1.0];
        for d in 1..=degree {
            // Cox and de Boor: each function from two of one degree less
            let mut next = vec![0.0; d + 1];
            for (k, value) in values.iter().enumerate() {
                let (left, right) = (self.knots[span + k + 1 - d], self.knots[span + k + 1]);
                let share = (s - left) / (right - left);
                next[k] += (1.0 - share) * value;
                next[k + 1] += share * value;
            }
            values = next;
        }
        values
    }
}

/// The curve's model, its rows placed on the coefficients.
pub(super) fn model(
    options: &Options<'_>,
    column: &str,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, Placement), InlaError> {
    let values = table.numeric(column)?;
    let basis = basis(options, column, values, table)?;
    let model = penalty(options, &basis)?;
    let mut nodes = Vec::with_capacity(values.len());
    let mut columns = vec![vec![0.0; values.len()]; basis.degree + 1];
    let mut slopes = columns.clone();
    for (row, &s) in values.iter().enumerate() {
        if s.is_nan() {
            nodes.push(None);
            continue;
        }
        let (first, weights) = basis.at(s);
        nodes.push(Some(first));
        columns.iter_mut().zip(weights).for_each(|(column, weight)| column[row] = weight);
        slopes.iter_mut().zip(basis.slopes_at(s)).for_each(|(column, slope)| column[row] = slope);
    }
    let wanted = options.boolean("derivative", false)?;
    if wanted && basis.degree == 0 {
        return Err(options.refuse("derivative", "steps have none: give degree = 1 or more"));
    }
    let slopes = Some(Slopes { column: column.to_owned(), columns: slopes, wanted });
    let labels = (1..=basis.len()).map(|k| (None, k.to_string())).collect();
    Ok((model, Placement { nodes, columns, labels, coefficients: false, slopes }))
}

fn whole(options: &Options<'_>, option: &str, default: usize, range: (usize, usize)) -> Result<usize, InlaError> {
    match options.numbers(option)?.as_deref() {
        None => Ok(default),
        Some(&[v]) if v.fract() == 0.0 && v >= range.0 as f64 && v <= range.1 as f64 => Ok(v as usize),
        Some(_) => Err(options.refuse(option, format!("a whole number from {} to {}", range.0, range.1))),
    }
}

fn basis(options: &Options<'_>, column: &str, values: &[f64], table: &Table) -> Result<Basis, InlaError> {
    let degree = whole(options, "degree", 3, (0, LARGEST_DEGREE))?;
    let distinct = distinct_sorted(values);
    let (Some(&least), Some(&greatest)) = (distinct.first(), distinct.last()) else {
        let reason = format!("effect {:?}: every value of column {column:?} is missing", options.name);
        return Err(InlaError::InvalidModel(reason));
    };
    let range = match options.numbers("range")?.as_deref() {
        None => (least, greatest),
        Some(&[low, high]) if low < high => (low, high),
        Some(_) => return Err(options.refuse("range", "two ends, the lower first: c(0, 1)")),
    };
    if let Some(row) = values.iter().position(|&s| s < range.0 || s > range.1) {
        let reason = format!("{}: {} = {} lies outside", table.place(row), column, values[row]);
        return Err(options.refuse("range", reason));
    }
    if range.0 >= range.1 {
        let reason = format!("column {column:?} has one value only: a curve needs two, or range = c(low, high)");
        return Err(options.refuse("model", reason));
    }
    let spacing = options.text("spacing")?.unwrap_or_else(|| "equal".to_owned());
    check_name("spacing", &spacing, &["equal", "quantile"])?;
    if let Some(knots) = options.numbers("knots")? {
        if options.values.contains_key("k") || options.values.contains_key("spacing") {
            return Err(options.refuse("knots", "knots say where and how many: leave out k and spacing"));
        }
        let inside = knots.windows(2).all(|pair| pair[0] < pair[1]);
        if !inside || knots.iter().any(|knot| !(range.0 < *knot && *knot < range.1)) || knots.len() > LARGEST_BASIS {
            let reason = format!("ascending numbers between {} and {}", range.0, range.1);
            return Err(options.refuse("knots", reason));
        }
        return Ok(Basis::on_knots(range, &knots, degree));
    }
    let count = whole(options, "k", 20, (degree + 1, LARGEST_BASIS))?;
    if spacing == "equal" {
        return Ok(Basis::equally_spaced(range, count, degree));
    }
    // quantiles of the distinct values, so that no two knots coincide
    let interior = count - degree - 1;
    let at = |k: usize| {
        let place = (k + 1) as f64 / (interior + 1) as f64 * (distinct.len() - 1) as f64;
        let (below, share) = (place as usize, place.fract());
        distinct[below] + share * (distinct.get(below + 1).unwrap_or(&greatest) - distinct[below])
    };
    let knots: Vec<f64> = (0..interior).map(at).filter(|knot| range.0 < *knot && *knot < range.1).collect();
    if knots.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(options.refuse("k", format!("the {} distinct values do not part so many knots", distinct.len())));
    }
    Ok(Basis::on_knots(range, &knots, degree))
}

/// The prior of the coefficients.
fn penalty(options: &Options<'_>, basis: &Basis) -> Result<Arc<dyn LatentModel>, InlaError> {
    let deviation = options.values.contains_key("replicate") || options.values.contains_key("group");
    // the straight lines that a second-order walk leaves free would be those of the common curve again
    let usual = if deviation { "rw1" } else { "rw2" };
    let name = options.text("penalty")?.unwrap_or_else(|| usual.to_owned());
    check_name("penalty", &name, &PENALTIES)?;
    let unused = |option: &str| options.values.contains_key(option);
    if name != "proper" && unused("diagonal") {
        return Err(options.refuse("diagonal", "it belongs to penalty = proper"));
    }
    if !name.starts_with("rw") && (unused("scale_model") || unused("constr")) {
        let option = if unused("constr") { "constr" } else { "scale_model" };
        return Err(options.refuse(option, "it belongs to penalty = rw1 or rw2"));
    }
    let precision = options.precision(4.0, "pc.prec", &[1.0, 0.01])?;
    let count = basis.len();
    Ok(match name.as_str() {
        "iid" => Arc::new(options.located(Iid::new(count, None, precision))?),
        "proper" => {
            let path = options.located(Graph::from_edges(count, (1..count).map(|k| (k - 1, k))))?;
            let diagonal = Hyperparameter::new("diagonal", Transform::Exp, 1.0);
            let diagonal = options.block(HyperDefault::new(diagonal, "loggamma", &[1.0, 1.0]))?;
            Arc::new(options.located(BesagProper::new(&path, precision, diagonal))?)
        }
        walk => {
            let order = if walk == "rw1" { RandomWalkOrder::One } else { RandomWalkOrder::Two };
            let walk = RandomWalkOptions {
                cyclic: false,
                scale_model: options.boolean("scale_model", true)?,
                sum_to_zero: options.boolean("constr", true)?,
            };
            let made = match basis.equal {
                true => RandomWalk::regular(order, count, walk, precision),
                false => RandomWalk::at(order, &basis.places(), walk, precision),
            };
            Arc::new(options.located(made)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(basis: &Basis, s: f64, coefficients: &[f64]) -> f64 {
        let (first, values) = basis.at(s);
        values.iter().enumerate().map(|(k, v)| v * coefficients[first + k]).sum()
    }

    fn bases() -> Vec<Basis> {
        let mut all = Vec::new();
        for degree in 0..=LARGEST_DEGREE {
            all.push(Basis::equally_spaced((-1.0, 2.0), degree + 4, degree));
            all.push(Basis::on_knots((-1.0, 2.0), &[-0.7, 0.1, 0.4, 1.9], degree));
        }
        all
    }

    #[test]
    fn the_functions_add_up_to_one_and_their_places_to_the_line() {
        for basis in bases() {
            assert_eq!(basis.len(), basis.places().len());
            for k in 0..=60 {
                let s = -1.0 + 0.05 * f64::from(k);
                let (_, values) = basis.at(s);
                assert!(values.iter().all(|v| *v >= -1e-15));
                assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-14);
                // Marsden's identity for polynomials of degree one
                let (h, slopes) = (1e-5, basis.slopes_at(s + 1e-3));
                // a central difference within one piece: knots are no multiples of 0.05 plus 0.001
                let (first, above) = basis.at(s + 1e-3 + h);
                let (below_first, below) = basis.at(s + 1e-3 - h);
                assert_eq!(first, below_first);
                for (slope, (a, b)) in slopes.iter().zip(above.iter().zip(&below)) {
                    assert!((slope - (a - b) / (2.0 * h)).abs() < 1e-6 * (1.0 + slope.abs()), "{basis:?} {s}");
                }
                assert!(basis.degree == 0 || (sum(&basis, s, &basis.places()) - s).abs() < 1e-13, "{basis:?} {s}");
            }
        }
    }

    #[test]
    fn cubic_functions_are_the_cardinal_ones() {
        let basis = Basis::equally_spaced((0.0, 4.0), 7, 3);
        // at a knot 1/6, 4/6, 1/6; half-way 1/48, 23/48, 23/48, 1/48
        let (first, values) = basis.at(1.0);
        assert_eq!(first, 1);
        [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0].iter().zip(&values).for_each(|(a, b)| assert!((a - b).abs() < 1e-15));
        let (_, values) = basis.at(2.5);
        [1.0, 23.0, 23.0, 1.0].iter().zip(&values).for_each(|(a, b)| assert!((a / 48.0 - b).abs() < 1e-15));
        // the right end belongs to the last piece
        assert_eq!(basis.at(4.0).0, 3);
    }
}
