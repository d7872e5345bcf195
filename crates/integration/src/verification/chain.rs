//! One chain: its place, its two kinds of update, and how they are tuned.

use laplace::{Approximation, ExactDensity, LatentGaussianModel, NewtonOptions, Workspace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::IntegrationError;
use crate::hessian::Reparametrisation;

/// A quarter turn forgets where it started.
const QUARTER: f64 = std::f64::consts::FRAC_PI_2;
/// Acceptance that the lengths of the turns are tuned for.
const ACCEPTANCE: f64 = 0.8;
/// Turns of one update of the latent field: a quarter, or as much of it as these give.
const MOST_TURNS: usize = 16;
/// Standard deviations of a leap, in the middle: twice and a half the target's, the best of a random walk in one dimension.
const LEAP: f64 = 2.4;

/// A place of a chain; the factor at its `θ` stays in the workspace that it was made in.
struct Place {
    u: Vec<f64>,
    theta: Vec<f64>,
    approximation: Approximation,
    exact: ExactDensity,
    /// Of `log p̃ + ½|u|²` in `u`.
    pull: Vec<f64>,
    log_weight: f64,
    /// Of `log w` in `z`.
    slope: Vec<f64>,
    x: Vec<f64>,
}

/// A chain on the exact posterior of `(θ, z)`.
pub(super) struct Chain<'a> {
    model: &'a LatentGaussianModel,
    map: &'a Reparametrisation,
    newton: NewtonOptions,
    random: ChaCha8Rng,
    z: Vec<f64>,
    now: Place,
    /// Of `now`, and for where the chain may go.
    workspace: Workspace,
    spare: Workspace,
    /// Turns of the hyperparameters and of the latent field.
    turns: [f64; 2],
    accepted: [(f64, f64); 2],
}

/// `(position, velocity)` on their circles.
fn turn(position: &mut [f64], velocity: &mut [f64], angle: f64) {
    let (sine, cosine) = angle.sin_cos();
    for (x, v) in position.iter_mut().zip(velocity) {
        (*x, *v) = (cosine * *x + sine * *v, cosine * *v - sine * *x);
    }
}

fn kick(velocity: &mut [f64], slope: &[f64], length: f64) {
    velocity.iter_mut().zip(slope).for_each(|(v, g)| *v += length * g);
}

fn square(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum()
}

impl<'a> Chain<'a> {
    /// A chain that starts near the mode, with its own stream of random numbers.
    pub(super) fn new(
        model: &'a LatentGaussianModel,
        map: &'a Reparametrisation,
        newton: NewtonOptions,
        seed: u64,
    ) -> Result<Self, IntegrationError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let z = normals(&mut random, model.nodes());
        let start = normals(&mut random, map.mode.len());
        let (mut workspace, spare) = (Workspace::new(model), Workspace::new(model));
        let mut place = |u: Vec<f64>| Place::new(model, map, (u, &z), (None, newton), &mut workspace);
        // a start in a far corner may have no mode; the centre has
        let now = match place(start) {
            Ok(now) if now.energy().is_finite() => now,
            _ => place(vec![0.0; map.mode.len()])?,
        };
        let (turns, accepted) = ([1.0; 2], [(0.0, 0.0); 2]);
        Ok(Self { model, map, newton, random, z, now, workspace, spare, turns, accepted })
    }

    /// One update of the hyperparameters and one of the latent field; `tune` is the number of the draw while steps are tuned.
    pub(super) fn update(&mut self, tune: Option<usize>) -> Result<(), IntegrationError> {
        if !self.map.mode.is_empty() {
            if self.random.random::<bool>() {
                self.leap_theta();
            } else {
                let chance = self.turn_theta();
                self.record((0, chance), tune);
            }
        }
        let chance = self.update_field()?;
        self.record((1, chance), tune);
        Ok(())
    }

    /// Appends where the chain is: hyperparameters, what is derived of them, nodes and, if asked for, predictors.
    pub(super) fn keep(&mut self, predictors: bool, kept: &mut [Vec<f64>]) -> Result<(), IntegrationError> {
        let now = &self.now;
        let derived = self.model.derived_values(&now.theta);
        let eta = match predictors {
            true => now.exact.linear_predictor(self.model, &now.x, &mut self.workspace)?,
            false => &[],
        };
        let scalars = now.theta.iter().chain(&derived).chain(&now.x).chain(eta);
        kept.iter_mut().zip(scalars).for_each(|(kept, value)| kept.push(*value));
        Ok(())
    }

    /// Share of the updates of the hyperparameters, leaps aside, and of the latent field that were accepted, after tuning.
    pub(super) fn acceptance(&self) -> [f64; 2] {
        self.accepted.map(|(sum, count)| sum / count.max(1.0))
    }

    /// Turns all hyperparameters; `z` stays, so that the field moves with its mode and factor. The chance that it was accepted.
    fn turn_theta(&mut self) -> f64 {
        let angle = self.turns[0];
        let mut u = self.now.u.clone();
        let mut velocity = normals(&mut self.random, u.len());
        let before = 0.5 * square(&velocity);
        kick(&mut velocity, &self.now.pull, 0.5 * angle);
        turn(&mut u, &mut velocity, angle);
        self.go_to(u, |next| {
            kick(&mut velocity, &next.pull, 0.5 * angle);
            before - 0.5 * square(&velocity)
        })
    }

    /// A long step along one direction of the design, of any length: turns stay where a Gaussian lies, and do not reach a heavy tail.
    fn leap_theta(&mut self) {
        let mut u = self.now.u.clone();
        let direction = self.random.random_range(0..u.len());
        let [a, b]: [f64; 2] = [StandardNormal.sample(&mut self.random), StandardNormal.sample(&mut self.random)];
        // a ratio of normals is Cauchy's
        u[direction] += LEAP * a / b;
        self.go_to(u, |_| 0.0);
    }

    /// Goes to `u` by the chance that the densities give, their logarithms' difference raised by what `more` says of the new place.
    fn go_to(&mut self, u: Vec<f64>, more: impl FnOnce(&Place) -> f64) -> f64 {
        let start = Some(self.now.approximation.mode.as_slice());
        // where the model cannot be evaluated it has no density
        let Ok(next) = Place::new(self.model, self.map, (u, &self.z), (start, self.newton), &mut self.spare) else {
            return 0.0;
        };
        let chance = (self.now.energy() - next.energy() + more(&next)).exp().min(1.0);
        // a chance that is not a number is none
        if self.random.random::<f64>() < chance {
            self.now = next;
            std::mem::swap(&mut self.workspace, &mut self.spare);
        }
        chance
    }

    /// `θ` stays. The chance that it was accepted.
    fn update_field(&mut self) -> Result<f64, IntegrationError> {
        let angle = self.turns[1];
        let turns = ((QUARTER / angle).round() as usize).clamp(1, MOST_TURNS);
        let mut velocity = normals(&mut self.random, self.z.len());
        let (mut z, mut slope, mut x) = (self.z.clone(), self.now.slope.clone(), self.now.x.clone());
        let mut log_weight = self.now.log_weight;
        let before = 0.5 * (square(&z) + square(&velocity)) - log_weight;
        for _ in 0..turns {
            kick(&mut velocity, &slope, 0.5 * angle);
            turn(&mut z, &mut velocity, angle);
            let out = (x.as_mut_slice(), slope.as_mut_slice());
            log_weight = self.now.exact.log_weight(self.model, &z, out, &mut self.workspace)?;
            kick(&mut velocity, &slope, 0.5 * angle);
        }
        let after = 0.5 * (square(&z) + square(&velocity)) - log_weight;
        let chance = (before - after).exp().min(1.0);
        // a chance that is not a number is none
        if self.random.random::<f64>() < chance {
            (self.z, self.now.slope, self.now.x, self.now.log_weight) = (z, slope, x, log_weight);
        }
        Ok(chance)
    }

    /// Counts an update, or tunes its turn by the method of Robbins and Monro.
    fn record(&mut self, (kind, chance): (usize, f64), tune: Option<usize>) {
        let chance = if chance.is_finite() { chance } else { 0.0 };
        match tune {
            Some(draw) => {
                let gain = 1.0 / (1.0 + draw as f64).powf(0.6);
                self.turns[kind] = (self.turns[kind] * (gain * (chance - ACCEPTANCE)).exp()).clamp(1e-3, QUARTER);
            }
            None => self.accepted[kind] = (self.accepted[kind].0 + chance, self.accepted[kind].1 + 1.0),
        }
    }
}

impl Place {
    fn new(
        model: &LatentGaussianModel,
        map: &Reparametrisation,
        (u, z): (Vec<f64>, &[f64]),
        (start, newton): (Option<&[f64]>, NewtonOptions),
        workspace: &mut Workspace,
    ) -> Result<Self, IntegrationError> {
        let theta = map.theta(&u);
        let mut found = Approximation::evaluate(model, &theta, start, workspace, &newton);
        if found.is_err() && start.is_some() {
            found = Approximation::evaluate(model, &theta, None, workspace, &newton);
        }
        let approximation = found?;
        let exact = ExactDensity::new(model, &approximation, workspace)?;
        let (mut x, mut slope) = (vec![0.0; z.len()], vec![0.0; z.len()]);
        let log_weight = exact.log_weight(model, z, (&mut x, &mut slope), workspace)?;
        let pull = map.slope(&approximation.gradient).iter().zip(&u).map(|(g, u)| g + u).collect();
        Ok(Self { u, theta, approximation, exact, pull, log_weight, slope, x })
    }

    /// `−log p̃ − log w`.
    fn energy(&self) -> f64 {
        -self.approximation.log_posterior - self.log_weight
    }
}

fn normals(random: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(random)).collect()
}
