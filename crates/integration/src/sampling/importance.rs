//! Integration over `θ` by weighed draws from a density that follows the gradients met so far to third order.
//!
//! In normal scores of the axes' densities a cubic is fitted to all gradients, and draws of the normal density are carried towards the
//! density that it stands for, half of them from further out, evaluated, and weighed. The cubic through their gradients too then is the
//! joint density of the hyperparameters. Its residuals at the draws are nearly orthogonal to what it may be made of, so that means are
//! right to the second order in them; what the weights say beyond it corrects the evidence and shows how far it can be believed. Where
//! that is not far enough, many draws speak for themselves.

use super::calibration::{nearly, second_degree};
use super::cubic::{Cubic, Scratch, Transport};
use super::normals::standard_normals;
use super::scores::{NormalScores, Scored};
use super::{SEED, ThetaDraws, calibration, kept, resample};
use crate::certificate::{departure, pareto_shape};
use crate::design::DesignPoint;
use crate::engine::PointEvaluation;
use crate::error::IntegrationError;
use crate::evaluated::{Evaluated, effective, log_sum, normalised};
use crate::executor::{Executor, map};
use crate::exploration::{Exploration, Seen};
use crate::hyper_marginal::Axis;
use crate::mixing::mixing_weights;

/// Slopes and values for each coefficient of the cubic, and the least number of draws: given `θ` the moments are known, so that few draws
/// say what is between them.
const KNOWN: usize = 4;
const LEAST_DRAWS: usize = 64;
/// Draws that speak for themselves.
const MANY_DRAWS: usize = 2000;
/// How much wider than the axes' densities the far half of them is, and by how many nats the cubic tilts the near half at most.
const STRETCH: f64 = 2.0;
const MOST_TILT: f64 = 3.0;
/// Times that draws are taken, each from what the last ones have taught.
const MOST_ROUNDS: u64 = 3;
/// Share of the draws that their weights must leave, else they are taken anew; a perfect map leaves about 0.8.
const WORTH: f64 = 0.4;
/// Hyperparameters beyond which the cubic alone would take minutes.
const MOST_DIMENSIONS: usize = 64;
/// Share of draws that may fold over before the map follows half as much of the third derivatives.
const MOST_FOLDED: f64 = 0.1;
/// Pairs of draws of the cubic's density for each hyperparameter, and the least and the most of them: second moments before weighing
/// are exact, so that third ones decide, and what the weights vary by, which grows with the dimension.
const PAIRS: (usize, usize, usize) = (256, 2048, 4096);
/// Draws that a task takes.
const CHUNK: usize = 512;
/// Their greatest weight, of the median one, or of the mean one where a cubic is fitted to them: where it can be believed the logarithms
/// vary by 0.3, and no draw may decide.
const MOST_WEIGHT: f64 = 4.0;
/// Share of them that their weights must leave where the cubic is to be believed.
const LEAST_SHARE: f64 = 0.25;
/// What a draw of no weight and a point of a design say of the cubic beside a draw of the density: without them it could be anything
/// there, and few draws may have weight.
const LEAST_SAY: f64 = 0.2;
/// Pareto index of the weights beyond which not even means exist (Vehtari et al. 2024); beyond 0.7 the certificate says so.
const MOST_TAIL: f64 = 1.0;
/// Independent draws that the weights must leave of few draws and of many.
const LEAST_EFFECTIVE: (f64, f64) = (20.0, 100.0);
/// What the weights may move a mean beyond the cubic's, in standard deviations, or a standard deviation, of itself.
const MOST_MOVED: f64 = 0.15;

/// What the weights say of themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportanceReport {
    /// Draws.
    pub draws: usize,
    /// What they are worth.
    pub effective: f64,
    /// Pareto shape of their weights.
    pub tail_index: f64,
    /// By how much the weights move the mean of a hyperparameter from that of the density that was fitted to the draws' gradients, in
    /// standard deviations, or change its standard deviation, of itself; the largest, and whose it is. `None` where the draws
    /// speak for themselves.
    pub moved: Option<(f64, usize)>,
    /// Share of many draws of the fitted density that their weights leave; one where the draws speak for themselves.
    pub share: f64,
}

impl ImportanceReport {
    /// Of so many draws, of which those that could be evaluated have these weights.
    fn new(draws: usize, log_ratios: &[f64]) -> Self {
        let effective = effective(&normalised(log_ratios));
        Self { draws, effective, tail_index: pareto_shape(log_ratios), moved: None, share: 1.0 }
    }

    pub(crate) fn is_believed(&self) -> bool {
        let least = if self.moved.is_some() { LEAST_EFFECTIVE.0 } else { LEAST_EFFECTIVE.1 };
        let moved = self.moved.map_or(0.0, |moved| moved.0);
        self.tail_index <= MOST_TAIL && self.effective >= least && moved <= MOST_MOVED && self.share >= LEAST_SHARE
    }
}

/// Draws that are evaluated where there are `p` hyperparameters.
pub(crate) fn draws(p: usize) -> usize {
    let coefficients = (p + 1) * (p + 2) * (p + 3) / 6;
    (KNOWN * coefficients).div_ceil(p + 1).max(LEAST_DRAWS).next_multiple_of(2)
}

/// How much wider than the normal density the one is that half of the draws come from: weighed they would leave one half.
fn stretch(p: usize) -> f64 {
    let c = 2f64.powf(2.0 / p as f64);
    (c + (c * c - c).sqrt()).sqrt()
}

/// Scores, and the logarithm of the normal density there over the density that they were drawn from.
type Drawn = (Vec<f64>, f64);

/// One round of draws: those that could be evaluated.
#[derive(Default)]
struct Round {
    zs: Vec<Vec<f64>>,
    points: Vec<PointEvaluation>,
    scored: Vec<Scored>,
    /// The logarithm of the normal density of each over the density that it was drawn from.
    logs: Vec<f64>,
    /// How many were drawn.
    drawn: usize,
}

/// Draws of the density that a cubic stands for.
struct Fitted {
    draws: ThetaDraws,
    /// The logarithm of its integral.
    log_integral: f64,
    /// Share of the draws that their weights leave.
    share: f64,
}

impl Round {
    fn log_ratios(&self) -> Vec<f64> {
        self.scored.iter().zip(&self.logs).map(|(scored, log)| scored.value + log).collect()
    }
}

impl Exploration<'_> {
    /// Weighed draws as a design, the cubic through all gradients as the joint density, and what the weights say.
    pub(crate) fn weigh_draws(
        &mut self,
        axes: &[(Axis, Axis)],
    ) -> Result<(Evaluated, ImportanceReport), IntegrationError> {
        let p = self.map.mode.len();
        if p > MOST_DIMENSIONS {
            let reason = format!("{p} hyperparameters: draws follow at most {MOST_DIMENSIONS}; use nuts");
            return Err(IntegrationError::InvalidOption { option: "importance", reason });
        }
        let scores = NormalScores::plain(axes);
        let mut best: Option<(Round, ImportanceReport)> = None;
        for taken in 1..=MOST_ROUNDS {
            let round = self.round(&self.coupled(&scores), &scores, SEED + taken);
            if round.points.is_empty() {
                break;
            }
            let ratios = round.log_ratios();
            let report = ImportanceReport::new(round.drawn, &ratios);
            for ((z, point), ratio) in round.zs.iter().zip(&round.points).zip(ratios) {
                self.seen.push(Seen { log_ratio: Some(ratio), ..self.gradient_at(z.clone(), point) });
            }
            if best.as_ref().is_none_or(|(_, best)| report.effective > best.effective) {
                best = Some((round, report));
            }
            if best.as_ref().is_some_and(|(_, best)| best.effective >= WORTH * best.draws as f64) {
                break;
            }
        }
        let Some((round, report)) = best else { return Err(self.nothing_drawn()) };
        let cubic = self.coupled(&scores);
        let drawn = self.draws_of(&cubic, &scores);
        let mut scratch = Scratch::default();
        let value = |(scored, log): (&Scored, &f64)| cubic.at(&scored.u, &mut scratch) + log;
        let fitted: Vec<f64> = round.scored.iter().zip(&round.logs).map(value).collect();
        let ratios = round.log_ratios();
        let own = normalised(&ratios);
        let report = ImportanceReport {
            moved: Some(moved(p, &round.points, &own, &normalised(&fitted))),
            share: drawn.share,
            ..report
        };
        // where the cubic cannot be believed the draws' own weights hold the evidence
        let log_integral = match report.is_believed() {
            true => drawn.log_integral + log_sum(&ratios) - log_sum(&fitted),
            false => log_sum(&ratios) - (round.drawn as f64).ln(),
        };
        Ok((self.weighed(round, &own, drawn.draws, log_integral), report))
    }

    /// Many weighed draws that speak for themselves.
    pub(crate) fn weigh_many_draws(
        &mut self,
        axes: &[(Axis, Axis)],
    ) -> Result<(Evaluated, ImportanceReport), IntegrationError> {
        let scores = NormalScores::plain(axes);
        let (zs, log_proposal) = tilted(self.executor, &self.coupled(&scores), &scores);
        let drawn = self.drawn(zs);
        let ratios: Vec<f64> = drawn.kept.iter().zip(&drawn.logs).map(|(&k, log)| log - log_proposal[k]).collect();
        if ratios.is_empty() {
            return Err(self.nothing_drawn());
        }
        // a draw that could not be evaluated has no weight, but it was drawn
        let log_integral = log_sum(&ratios) - (log_proposal.len() as f64).ln();
        let weights = calibration::weights(&drawn.zs, &drawn.slopes, &normalised(&ratios));
        let evaluated = self.thinned(self.theta_draws(drawn.zs, weights), log_integral)?;
        Ok((evaluated, ImportanceReport::new(log_proposal.len(), &ratios)))
    }

    /// The cubic through the gradients seen, draws by the weights that the density gives them: the residuals are orthogonal then under the
    /// density itself.
    fn coupled(&self, scores: &NormalScores) -> Cubic {
        let p = self.map.mode.len();
        // further out than most draws of the normal density are, a cubic need not follow
        let reach = p as f64 + 4.0 * (2.0 * p as f64).sqrt();
        let near = |scored: &Scored| scored.u.iter().map(|u| u * u).sum::<f64>() <= reach;
        let ratios: Vec<f64> = self.seen.iter().filter_map(|seen| seen.log_ratio).collect();
        let mean = log_sum(&ratios) - (ratios.len() as f64).ln();
        let weight = |seen: &Seen| match seen.log_ratio {
            Some(ratio) => LEAST_SAY + (ratio - mean).exp().min(MOST_WEIGHT),
            None if ratios.is_empty() => 1.0,
            None => LEAST_SAY,
        };
        let (mut points, mut slopes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for seen in &self.seen {
            if let Some(scored) = scores.scored(&seen.z, seen.value, &seen.slope).filter(near) {
                points.push(scored.u);
                slopes.push(scored.slope);
                weights.push(weight(seen));
            }
        }
        if points.is_empty() { Cubic::zero(p) } else { Cubic::fit(&points, &slopes, &weights) }
    }

    /// Draws from what the cubic stands for, every other pair of them from further out.
    fn proposed(&self, cubic: &Cubic, count: usize, seed: u64) -> Vec<Drawn> {
        let p = self.map.mode.len();
        let (stretch, half) = (stretch(p), count / 2);
        let mut normals = standard_normals(self.executor, p, half, seed);
        // a draw and its mirror stand half of the draws apart
        let far = (0..2 * half).filter(|k| (k % half) % 2 == 1);
        far.for_each(|k| normals[k].iter_mut().for_each(|x| *x *= stretch));
        self.transported(cubic, &normals, |square| {
            let far = -0.5 * square / (stretch * stretch) - p as f64 * stretch.ln();
            log_sum(&[-0.5 * square, far]) - 2.0f64.ln()
        })
    }

    fn round(&mut self, cubic: &Cubic, scores: &NormalScores, seed: u64) -> Round {
        let count = draws(self.map.mode.len());
        let drawn = self.proposed(cubic, count, seed);
        let wanted: Vec<Vec<f64>> = drawn.iter().map(|(u, _)| scores.point(u)).collect();
        let results = self.evaluate(&wanted);
        let mut out = Round { drawn: count, ..Round::default() };
        for ((z, (_, log)), result) in wanted.into_iter().zip(drawn).zip(results) {
            let Some(point) = result else { continue };
            let slope = self.map.slope(&point.approximation.gradient);
            let Some(own) = scores.scored(&z, point.approximation.log_posterior, &slope) else { continue };
            out.zs.push(z);
            out.points.push(point);
            out.scored.push(own);
            out.logs.push(log);
        }
        out
    }

    /// Vectors drawn from a density that depends on their squared length carried towards what the cubic stands for; the few where it
    /// folds over are left out.
    fn transported(&self, cubic: &Cubic, drawn: &[Vec<f64>], log_density: impl Fn(f64) -> f64 + Sync) -> Vec<Drawn> {
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let mut all = Vec::new();
        // without third derivatives nothing folds over
        for share in [1.0, 0.5, 0.25, 0.0] {
            let transport = Transport::new(cubic, share);
            let chunk = |c: usize| -> Vec<Drawn> {
                let mut scratch = Scratch::default();
                let own = &drawn[c * CHUNK..drawn.len().min((c + 1) * CHUNK)];
                let moved = own.iter().filter_map(|x| {
                    let (u, log_determinant) = transport.at(x, &mut scratch)?;
                    let log = log_determinant - 0.5 * square(&u) - log_density(square(x));
                    Some((u, log))
                });
                moved.collect()
            };
            let moved = map(self.executor, drawn.len().div_ceil(CHUNK), chunk);
            all = moved.into_iter().flatten().collect();
            if all.len() as f64 >= (1.0 - MOST_FOLDED) * drawn.len() as f64 {
                break;
            }
        }
        all
    }

    /// Draws of the density that the cubic stands for.
    fn draws_of(&self, cubic: &Cubic, scores: &NormalScores) -> Fitted {
        let p = self.map.mode.len();
        let normals = standard_normals(self.executor, p, pairs(p), SEED);
        let moved = self.transported(cubic, &normals, |square| -0.5 * square);
        let chunk = |c: usize| -> (Vec<Drawn>, Vec<f64>) {
            let (mut scratch, mut functions) = (Scratch::default(), Vec::new());
            let own = &moved[c * CHUNK..moved.len().min((c + 1) * CHUNK)];
            let weighed = own.iter().map(|(u, log)| {
                let (value, slope) = cubic.at_with_slope(u, &mut scratch);
                second_degree(u, &slope, &mut functions);
                (scores.point(u), value + log)
            });
            (weighed.collect(), functions)
        };
        let (weighed, functions): (Vec<_>, Vec<_>) =
            map(self.executor, moved.len().div_ceil(CHUNK), chunk).into_iter().unzip();
        let (zs, mut logs): (Vec<_>, Vec<_>) = weighed.into_iter().flatten().unzip();
        let mut sorted = logs.clone();
        sorted.sort_by(f64::total_cmp);
        let most = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0) + MOST_WEIGHT.ln();
        logs.iter_mut().for_each(|log| *log = log.min(most));
        let weights = normalised(&logs);
        let share = effective(&weights) / normals.len() as f64;
        let log_integral = log_sum(&logs) - (normals.len() as f64).ln();
        let weights = nearly(self.executor, &functions, weights);
        Fitted { draws: self.theta_draws(zs, weights), log_integral, share }
    }

    /// Draws of the axes' densities, coupled as the gradients seen say, where that can be believed, and the cubic that couples them.
    pub(crate) fn coupled_draws(&self, scores: &NormalScores) -> (Cubic, ThetaDraws) {
        let cubic = self.coupled(scores);
        let coupled = self.draws_of(&cubic, scores);
        if coupled.share >= LEAST_SHARE {
            return (cubic, coupled.draws);
        }
        let none = Cubic::zero(self.map.mode.len());
        let draws = self.draws_of(&none, scores).draws;
        (none, draws)
    }

    /// The evaluated draws of weights `own` as a design with the moments of many; as many of them as mixtures have room for.
    fn weighed(&mut self, round: Round, own: &[f64], draws: ThetaDraws, log_integral: f64) -> Evaluated {
        let joint = draws.joint(draws.weights.clone());
        let points: Vec<&[f64]> = round.points.iter().map(|point| point.approximation.theta.as_slice()).collect();
        let mut weights = mixing_weights(&points, own, &joint);
        let room = kept(self.engine.model().nodes() + self.engine.model().rows());
        if room < weights.len() {
            let mut counts = vec![0.0; weights.len()];
            resample(&weights, room).into_iter().for_each(|k| counts[k] += 1.0 / room as f64);
            weights = counts;
        }
        let mut evaluated = Evaluated::default();
        for ((z, point), weight) in round.zs.into_iter().zip(round.points).zip(weights).filter(|(_, w)| *w > 0.0) {
            let log_weight = weight.ln() + log_integral - point.approximation.log_posterior;
            evaluated.design.push(DesignPoint { z, log_weight });
            evaluated.points.push(point);
        }
        self.draws = Some(draws);
        evaluated
    }
}

/// Draws to be weighed, with the logarithm of the density that they were drawn from: one half from the axes' densities tilted by the
/// cubic, the other half from the axes' densities stretched, so that no tail is thinner than what it stands for.
fn tilted(executor: &dyn Executor, cubic: &Cubic, scores: &NormalScores) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut scratch = Scratch::default();
    let mut tilt = |u: &[f64]| cubic.at(u, &mut scratch).clamp(-MOST_TILT, MOST_TILT);
    let us = standard_normals(executor, cubic.dimension(), pairs(cubic.dimension()), SEED);
    let logs: Vec<f64> = us.iter().map(|u| tilt(u)).collect();
    let constant = log_sum(&logs) - (logs.len() as f64).ln();
    let near = resample(&normalised(&logs), MANY_DRAWS / 2).into_iter().map(|k| scores.point(&us[k]));
    // a draw and its mirror stand half of the draws apart
    let half = us.len() / 2;
    let far = (0..MANY_DRAWS / 2).map(|k| (k % 2) * half + k / 2);
    let far = far.map(|k| scores.point(&us[k]).iter().map(|z| STRETCH * z).collect::<Vec<f64>>());
    let zs: Vec<Vec<f64>> = near.chain(far).collect();
    let log_density = |z: &Vec<f64>| {
        let near = scores.scores(z).map_or(f64::NEG_INFINITY, |u| scores.ln_pdf(z, 1.0) + tilt(&u) - constant);
        log_sum(&[near, scores.ln_pdf(z, STRETCH)]) - 2.0f64.ln()
    };
    let densities = zs.iter().map(log_density).collect();
    (zs, densities)
}

/// Pairs of draws of the density that a cubic stands for.
fn pairs(p: usize) -> usize {
    (PAIRS.0 * p).clamp(PAIRS.1, PAIRS.2)
}

/// The largest change of a mean, in standard deviations, or of a standard deviation, of itself, from weights `fitted` to weights `own`,
/// and whose it is.
fn moved(p: usize, points: &[PointEvaluation], own: &[f64], fitted: &[f64]) -> (f64, usize) {
    let moments = |j: usize, weights: &[f64]| {
        let values = || points.iter().map(|point| point.approximation.theta[j]).zip(weights);
        let mean: f64 = values().map(|(value, w)| w * value).sum();
        (mean, values().map(|(value, w)| w * (value - mean).powi(2)).sum::<f64>().sqrt())
    };
    let change = |j: usize| (departure(moments(j, own), moments(j, fitted)), j);
    (0..p).map(change).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0))
}
