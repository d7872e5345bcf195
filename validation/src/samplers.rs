//! The samplers that hierarchical models were fitted by: Gibbs for Gaussian responses, Metropolis within Gibbs for counts.
//!
//! `y_ij ~ N(x_ijᵀβ_j, 1/τ)` or `Poisson(exp x_ijᵀβ_j)`, `β_j ~ N_p(θ, Σ)`, `θ ~ N_p(m, V)`, `Σ⁻¹ ~ Wishart(r, R⁻¹)`,
//! `τ ~ Gamma(a, b)`: in turn `θ | β, Σ`, `Σ | θ, β`, `β_j | θ, Σ, y` and `τ | β, y` (Hoff 2009, chapter 11).

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use inla::{Fit, JointPrior, ModelSpecification, Named, Resources, Table};
use integration::sampling::convergence::effective_draws;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use rand_distr::{ChiSquared, Distribution as _, Gamma, StandardNormal};

use crate::cases::Failure;

/// Rows of the design and responses of one group.
#[derive(Debug, Clone)]
struct Group {
    rows: Vec<Vec<f64>>,
    y: Vec<f64>,
}

/// A simulated hierarchical data set with its priors.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    groups: Vec<Group>,
    columns: usize,
    mean: Vec<f64>,
    covariance: Mat<f64>,
    degrees: f64,
    rate: Mat<f64>,
    /// Shape and rate of the prior of `τ`; `None`: counts.
    noise: Option<(f64, f64)>,
}

/// Draws of the scalars that both methods report: `θ`, then `Σ` by its lower triangle, row by row.
#[derive(Debug)]
pub struct Draws {
    /// One vector for each scalar.
    pub scalars: Vec<Vec<f64>>,
    /// Wall-clock seconds of all iterations.
    pub seconds: f64,
}

fn root(matrix: &Mat<f64>) -> Result<Mat<f64>, Failure> {
    Ok(matrix.llt(Side::Lower).map_err(|e| format!("not positive definite: {e:?}"))?.L().to_owned())
}

fn inverse(matrix: &Mat<f64>) -> Result<Mat<f64>, Failure> {
    let p = matrix.nrows();
    let llt = matrix.llt(Side::Lower).map_err(|e| format!("not positive definite: {e:?}"))?;
    Ok(llt.solve(Mat::<f64>::identity(p, p)))
}

/// The most columns: small matrices stay on the stack, as in a sampler that is written for speed.
const MOST: usize = 12;

/// A draw of `N(P⁻¹b, P⁻¹)`.
fn normal(precision: &Mat<f64>, b: &Mat<f64>, random: &mut ChaCha12Rng) -> Result<Mat<f64>, Failure> {
    let p = b.nrows();
    let (mut lower, mut x) = ([[0.0; MOST]; MOST], [0.0; MOST]);
    for j in 0..p {
        for i in j..p {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = precision[(i, j)] - sum;
            if i == j && (rest.is_nan() || rest <= 0.0) {
                return Err("a conditional precision is not positive definite".into());
            }
            lower[i][j] = if i == j { rest.sqrt() } else { rest / lower[j][j] };
        }
    }
    // L⁻ᵀ (L⁻¹ b + z)
    for i in 0..p {
        let sum: f64 = (0..i).map(|k| lower[i][k] * x[k]).sum();
        x[i] = (b[(i, 0)] - sum) / lower[i][i];
    }
    for value in &mut x[..p] {
        let z: f64 = StandardNormal.sample(random);
        *value += z;
    }
    for i in (0..p).rev() {
        let sum: f64 = (i + 1..p).map(|k| lower[k][i] * x[k]).sum();
        x[i] = (x[i] - sum) / lower[i][i];
    }
    Ok(Mat::from_fn(p, 1, |i, _| x[i]))
}

/// A draw of `Wishart(degrees, rate⁻¹)` by Bartlett's decomposition.
fn wishart(degrees: f64, rate: &Mat<f64>, random: &mut ChaCha12Rng) -> Result<Mat<f64>, Failure> {
    let p = rate.nrows();
    let mut a = Mat::<f64>::zeros(p, p);
    for i in 0..p {
        a[(i, i)] = ChiSquared::new(degrees - i as f64)?.sample(random).sqrt();
        (0..i).for_each(|j| a[(i, j)] = StandardNormal.sample(random));
    }
    let factor = root(&inverse(rate)?)? * a;
    Ok(&factor * factor.transpose())
}

impl Hierarchy {
    /// Test scores in 100 schools against a covariate: the normal model.
    pub fn scores(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut group = |a: f64, b: f64| {
            let rows: Vec<Vec<f64>> = (0..20)
                .map(|_| {
                    let x: f64 = StandardNormal.sample(&mut random);
                    vec![1.0, 0.7 * x]
                })
                .collect();
            let mut noise = || -> f64 { StandardNormal.sample(&mut random) };
            let (u, v) = (noise(), noise());
            let beta = [48.0 + a + 4.8 * u, 2.4 + b + 0.3 * u + 1.6 * v];
            let y = rows.iter().map(|row| row[0] * beta[0] + row[1] * beta[1] + 8.8 * noise()).collect();
            Group { rows, y }
        };
        let groups = (0..100).map(|_| group(0.0, 0.0)).collect();
        let diagonal = |a: f64, b: f64| Mat::from_fn(2, 2, |i, j| if i != j { 0.0 } else { [a, b][i] });
        let (covariance, rate) = (diagonal(30.0, 10.0), diagonal(30.0, 10.0));
        Self { groups, columns: 2, mean: vec![48.0, 2.4], covariance, degrees: 4.0, rate, noise: Some((0.5, 38.0)) }
    }

    /// Counts at 20 places of 21 animals: a Poisson polynomial of degree four, on Legendre's basis.
    pub fn counts(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let legendre = |x: f64| {
            let mut basis = vec![1.0, x];
            (2..5).for_each(|k| {
                let n = k as f64;
                basis.push(((2.0 * n - 1.0) * x * basis[k - 1] - (n - 1.0) * basis[k - 2]) / n);
            });
            basis
        };
        let truth = [0.6, 0.4, -1.0, -0.5, 0.3];
        let spread = [0.6, 0.5, 0.5, 0.4, 0.3];
        let mut group = || -> Result<Group, Failure> {
            let mut beta = truth;
            let common: f64 = StandardNormal.sample(&mut random);
            for (b, s) in beta.iter_mut().zip(spread) {
                let own: f64 = StandardNormal.sample(&mut random);
                *b += s * (0.5 * common + 0.75f64.sqrt() * own);
            }
            let rows: Vec<Vec<f64>> = (1..=20).map(|k| legendre(f64::from(k) / 10.0 - 1.05)).collect();
            let mut y = Vec::new();
            for row in &rows {
                let eta: f64 = row.iter().zip(&beta).map(|(x, b)| x * b).sum();
                y.push(rand_distr::Poisson::new(eta.exp())?.sample(&mut random));
            }
            Ok(Group { rows, y })
        };
        let groups = (0..21).map(|_| group()).collect::<Result<Vec<_>, _>>();
        let identity = Mat::<f64>::identity(5, 5);
        Self {
            // the rates are exponentials of bounded predictors
            groups: groups.unwrap_or_default(),
            columns: 5,
            mean: vec![0.0; 5],
            covariance: &identity * faer::Scale(4.0),
            degrees: 7.0,
            rate: identity,
            noise: None,
        }
    }

    /// `iterations` after a tenth as many to forget the start, which is `Σ = R/r`, `β = θ = m`.
    ///
    /// # Errors
    /// A matrix that rounding has left without its positive definiteness.
    pub fn sample(&self, iterations: usize, seed: u64) -> Result<Draws, Failure> {
        let started = std::time::Instant::now();
        let (p, groups) = (self.columns, self.groups.len() as f64);
        debug_assert!(p <= MOST);
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let prior_precision = inverse(&self.covariance)?;
        let prior_mean = Mat::from_fn(p, 1, |i, _| self.mean[i]);
        let mut betas = vec![prior_mean.clone(); self.groups.len()];
        let (mut precision, mut tau) = (inverse(&self.rate)? * faer::Scale(self.degrees), 1.0);
        let crossed = self.crossed_designs();
        let mut scalars = vec![Vec::with_capacity(iterations); p + p * (p + 1) / 2];
        for iteration in 0..iterations + iterations / 10 {
            let sum = betas.iter().fold(Mat::zeros(p, 1), |sum, beta| sum + beta);
            let joint = &prior_precision + &precision * faer::Scale(groups);
            let theta = normal(&joint, &(&prior_precision * &prior_mean + &precision * sum), &mut random)?;
            let mut scatter = self.rate.clone();
            for beta in &betas {
                let deviation = |i: usize| beta[(i, 0)] - theta[(i, 0)];
                (0..p).for_each(|j| (0..p).for_each(|i| scatter[(i, j)] += deviation(i) * deviation(j)));
            }
            precision = wishart(self.degrees + groups, &scatter, &mut random)?;
            let pulled = &precision * &theta;
            for ((beta, group), crossed) in betas.iter_mut().zip(&self.groups).zip(&crossed) {
                match self.noise {
                    Some(_) => {
                        let own = Mat::from_fn(p, p, |i, j| precision[(i, j)] + tau * crossed.0[(i, j)]);
                        let right = Mat::from_fn(p, 1, |i, _| pulled[(i, 0)] + tau * crossed.1[(i, 0)]);
                        *beta = normal(&own, &right, &mut random)?;
                    }
                    None => metropolis(group, beta, (&precision, &theta), &crossed.0, &mut random)?,
                }
            }
            if let Some((shape, rate)) = self.noise {
                let squares: f64 = self.groups.iter().zip(&betas).map(|(g, b)| g.squares(b)).sum();
                let rows: usize = self.groups.iter().map(|g| g.y.len()).sum();
                tau = Gamma::new(shape + 0.5 * rows as f64, 1.0 / (rate + 0.5 * squares))?.sample(&mut random);
            }
            if iteration >= iterations / 10 {
                let sigma = inverse(&precision)?;
                let lower = (0..p).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| sigma[(i, j)]);
                let all = (0..p).map(|i| theta[(i, 0)]).chain(lower);
                scalars.iter_mut().zip(all).for_each(|(draws, value)| draws.push(value));
            }
        }
        Ok(Draws { scalars, seconds: started.elapsed().as_secs_f64() })
    }

    /// `XᵀWX` (`W = I`, or for counts a guess of their information) and `Xᵀy` of every group.
    fn crossed_designs(&self) -> Vec<(Mat<f64>, Mat<f64>)> {
        let of = |group: &Group| {
            let weight = |k: usize| if self.noise.is_some() { 1.0 } else { group.y[k] + 0.5 };
            let rows = || group.rows.iter().enumerate();
            let square = |i: usize, j: usize| rows().map(|(k, row)| weight(k) * row[i] * row[j]).sum();
            let vector = |i: usize, _: usize| rows().map(|(k, row)| row[i] * group.y[k]).sum();
            (Mat::from_fn(self.columns, self.columns, square), Mat::from_fn(self.columns, 1, vector))
        };
        self.groups.iter().map(of).collect()
    }

    /// Scores with `columns` columns: `columns (columns + 1)/2` parameters of the covariance matrix and one of the noise.
    pub fn wide(seed: u64, columns: usize, groups: usize) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut noise = move || -> f64 { StandardNormal.sample(&mut random) };
        let mut group = || {
            let common = noise();
            let beta: Vec<f64> =
                (0..columns).map(|k| 0.2 * k as f64 + 0.5 * common + (0.9 - 0.08 * k as f64) * noise()).collect();
            let row = |noise: &mut dyn FnMut() -> f64| {
                std::iter::once(1.0).chain((1..columns).map(|_| noise())).collect::<Vec<f64>>()
            };
            let rows: Vec<Vec<f64>> = (0..25).map(|_| row(&mut noise)).collect();
            let y = rows.iter().map(|row| row.iter().zip(&beta).map(|(x, b)| x * b).sum::<f64>() + noise()).collect();
            Group { rows, y }
        };
        let groups = (0..groups).map(|_| group()).collect();
        let diagonal = |a: f64| Mat::from_fn(columns, columns, |i, j| if i == j { a } else { 0.0 });
        let (covariance, rate, degrees) = (diagonal(10.0), diagonal(2.0), columns as f64 + 2.0);
        Self { groups, columns, mean: vec![0.0; columns], covariance, degrees, rate, noise: Some((1.0, 0.5)) }
    }

    /// The same model in other coordinates of the coefficients, `β = Tβ′`, its priors carried over: every density of the data is the
    /// same.
    ///
    /// # Errors
    /// `T` is singular.
    pub fn in_basis(&self, basis: &Mat<f64>) -> Result<Self, Failure> {
        let p = self.columns;
        let back = basis.partial_piv_lu().solve(Mat::<f64>::identity(p, p));
        let moved = |row: &Vec<f64>| (0..p).map(|j| (0..p).map(|i| row[i] * basis[(i, j)]).sum()).collect();
        let group = |g: &Group| Group { rows: g.rows.iter().map(moved).collect(), y: g.y.clone() };
        let congruent = |matrix: &Mat<f64>| {
            let product = &back * matrix * back.transpose();
            // symmetric to the last bit
            Mat::from_fn(p, p, |i, j| 0.5 * (product[(i, j)] + product[(j, i)]))
        };
        Ok(Self {
            groups: self.groups.iter().map(group).collect(),
            mean: (0..p).map(|i| (0..p).map(|j| back[(i, j)] * self.mean[j]).sum()).collect(),
            covariance: congruent(&self.covariance),
            rate: congruent(&self.rate),
            ..self.clone()
        })
    }

    /// The engine's fit of the same model.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn fit(&self) -> Result<Fit, Failure> {
        let rows = || self.groups.iter().flat_map(|g| g.rows.iter().zip(&g.y));
        let owners: Vec<f64> = self.groups.iter().enumerate().flat_map(|(j, g)| vec![j as f64; g.y.len()]).collect();
        let mut table = Table::new().with_numeric("group", &owners)?;
        table = table.with_numeric("y", &rows().map(|(_, y)| *y).collect::<Vec<f64>>())?;
        let names: Vec<String> = (1..self.columns).map(|k| format!("x{k}")).collect();
        for (k, name) in names.iter().enumerate() {
            table = table.with_numeric(name, &rows().map(|(row, _)| row[k + 1]).collect::<Vec<f64>>())?;
        }
        let terms = names.join(" + ");
        let family = if self.noise.is_some() { "gaussian" } else { "poisson" };
        let mut specification = ModelSpecification::new(&format!("y ~ {terms} + ({terms} | group)"), family)?;
        let p = self.columns;
        let below = (0..p).flat_map(|j| (j + 1..p).map(move |i| (i, j)));
        let entries = (0..p).map(|j| (j, j)).chain(below).map(|(i, j)| self.rate[(i, j)].to_string());
        let covariance = format!("wishart({}, {})", self.degrees, entries.collect::<Vec<_>>().join(", "));
        let options = [("covariance".to_owned(), covariance)];
        specification.effects.insert("group".to_owned(), options.into_iter().collect());
        if let Some((shape, rate)) = self.noise {
            specification.likelihood.insert("precision".to_owned(), format!("loggamma({shape}, {rate})"));
        }
        specification.fixed.joint.push(JointPrior {
            names: std::iter::once("(Intercept)".to_owned()).chain(names).collect(),
            mean: self.mean.clone(),
            covariance: (0..p).map(|i| (0..p).map(|j| self.covariance[(i, j)]).collect()).collect(),
        });
        Ok(Fit::new(&specification, &table, &Resources::default())?)
    }

    /// Mean and standard deviation of every scalar of [`Draws`] in a fit, with its name.
    pub fn summaries(&self, fit: &Fit) -> Vec<(String, f64, f64)> {
        let of = |named: Named| (named.name.clone(), named.summary().mean, named.summary().sd);
        self.marginals(fit).into_iter().map(of).collect()
    }

    /// The marginal of every scalar of [`Draws`] in a fit.
    pub fn marginals(&self, fit: &Fit) -> Vec<Named> {
        let mut all = fit.fixed();
        let names: Vec<String> = all.iter().map(|n| n.name.clone()).collect();
        let hyper = fit.hyperparameters();
        for i in 0..self.columns {
            for j in 0..=i {
                let name = if i == j {
                    format!("group.variance[{}]", names[i])
                } else {
                    format!("group.covariance[{},{}]", names[j], names[i])
                };
                all.extend(hyper.iter().find(|n| n.name == name).cloned());
            }
        }
        all
    }

    /// Responses of every group.
    pub fn responses(&self) -> impl Iterator<Item = &[f64]> + '_ {
        self.groups.iter().map(|group| group.y.as_slice())
    }
}

impl Group {
    fn linear(&self, beta: &Mat<f64>) -> impl Iterator<Item = (f64, f64)> + '_ {
        let beta: Vec<f64> = (0..beta.nrows()).map(|i| beta[(i, 0)]).collect();
        let etas = self.rows.iter().map(move |row| row.iter().zip(&beta).map(|(x, b)| x * b).sum());
        etas.zip(self.y.iter().copied())
    }

    fn squares(&self, beta: &Mat<f64>) -> f64 {
        self.linear(beta).map(|(eta, y)| (y - eta) * (y - eta)).sum()
    }
}

/// One step of a random walk in `β_j` whose covariance, a guess of the conditional one, does not depend on `β_j`.
fn metropolis(
    group: &Group,
    beta: &mut Mat<f64>,
    (precision, theta): (&Mat<f64>, &Mat<f64>),
    information: &Mat<f64>,
    random: &mut ChaCha12Rng,
) -> Result<(), Failure> {
    let p = beta.nrows();
    let step = normal(&(precision + information), &Mat::zeros(p, 1), random)?;
    let proposed = &*beta + step * faer::Scale(2.4 / (p as f64).sqrt());
    let log_density = |beta: &Mat<f64>| -> f64 {
        let deviation = beta - theta;
        let row = |i: usize| (0..p).map(|j| precision[(i, j)] * deviation[(j, 0)]).sum::<f64>();
        let prior: f64 = (0..p).map(|i| deviation[(i, 0)] * row(i)).sum();
        group.linear(beta).map(|(eta, y)| y * eta - eta.exp()).sum::<f64>() - 0.5 * prior
    };
    if random.random::<f64>().ln() < log_density(&proposed) - log_density(beta) {
        *beta = proposed;
    }
    Ok(())
}

/// Mean, standard deviation and effective number of draws of a chain.
pub fn chain_summary(draws: &[f64]) -> (f64, f64, f64) {
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt(), effective_draws(&[draws.to_vec()]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // what fails in a helper fails the test
mod tests {
    use super::*;

    #[test]
    fn draws_of_a_wishart_and_of_a_normal_have_their_means() {
        let rate = Mat::from_fn(2, 2, |i, j| [[2.0, 0.5], [0.5, 1.0]][i][j]);
        let mut random = ChaCha12Rng::seed_from_u64(1);
        let (mut precision, mut position) = (Mat::<f64>::zeros(2, 2), Mat::<f64>::zeros(2, 1));
        let n = 20_000;
        let b = Mat::from_fn(2, 1, |i, _| [1.0, -2.0][i]);
        for _ in 0..n {
            precision += wishart(5.0, &rate, &mut random).unwrap();
            position += normal(&rate, &b, &mut random).unwrap();
        }
        // E W = r R⁻¹, E x = P⁻¹b; sds of the entries are below 4 and 1.1, of their averages below 0.03 and 0.008
        let (expected, solved) = (inverse(&rate).unwrap() * faer::Scale(5.0), inverse(&rate).unwrap() * &b);
        for i in 0..2 {
            assert!((position[(i, 0)] / f64::from(n) - solved[(i, 0)]).abs() < 0.04);
            (0..2).for_each(|j| assert!((precision[(i, j)] / f64::from(n) - expected[(i, j)]).abs() < 0.12));
        }
    }

    #[test]
    fn the_evidence_of_a_polynomial_does_not_depend_on_its_basis() {
        let legendre = Hierarchy::counts(1);
        // monomials of x in (0, 1], t = 2x − 1 the argument of Legendre's polynomials: P_k(t) in powers of x, one column each
        let powers = [
            [1.0, -1.0, 1.0, -1.0, 1.0],
            [0.0, 2.0, -6.0, 12.0, -20.0],
            [0.0, 0.0, 6.0, -30.0, 90.0],
            [0.0, 0.0, 0.0, 20.0, -140.0],
            [0.0, 0.0, 0.0, 0.0, 70.0],
        ];
        let powers = Mat::from_fn(5, 5, |i, j| powers[i][j]);
        let back = powers.partial_piv_lu().solve(Mat::<f64>::identity(5, 5));
        let raw = legendre.in_basis(&back).unwrap();
        let row = &raw.groups[0].rows[19];
        assert!((0..5).all(|k| (row[k] - row[1].powi(k as i32)).abs() < 1e-9), "{row:?}");
        let evidence = |data: &Hierarchy| data.fit().unwrap().log_marginal_likelihood();
        let (one, other) = (evidence(&legendre), evidence(&raw));
        // nothing is tuned: both set out from their defaults
        assert!((one - other).abs() < 0.1, "{one} {other}");
    }

    #[test]
    fn samplers_and_engine_agree() {
        let wide = Hierarchy::wide(1, 6, 25);
        for (data, iterations, bar) in
            [(Hierarchy::scores(1), 3000, 0.03), (Hierarchy::counts(1), 6000, 0.05), (wide, 6000, 0.05)]
        {
            let draws = data.sample(iterations, 7).unwrap();
            let fit = data.fit().unwrap();
            for ((name, mean, _), draws) in data.summaries(&fit).iter().zip(&draws.scalars) {
                let (expected, sd, effective) = chain_summary(draws);
                // four standard errors of the chain beside the bar
                let noise = 4.0 / effective.sqrt();
                assert!(
                    (mean - expected).abs() < (bar + noise) * sd,
                    "{name}: {mean} {expected} sd {sd} ess {effective}"
                );
            }
        }
    }
}
