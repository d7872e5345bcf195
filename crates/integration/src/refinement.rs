//! From one design to the next where the first disagrees with itself.

use crate::choice::{AFFORDABLE_CHAINS, AFFORDABLE_DRAWS, work};
use crate::design::GridOptions;
use crate::error::IntegrationError;
use crate::exploration::{Exploration, Integrated};
use crate::posterior::Strategy;
use crate::sampling::NutsOptions;

/// Difference between the points of a composite design and the marginals read along its axes and coupled by its gradients, in standard
/// deviations. The marginals are the better of the two: at 0.12 they were off by 0.03 (simulated test scores), at 0.23 by 9 % of a standard
/// deviation (examples/hsb82).
const DISAGREES: f64 = 0.15;
/// Difference between every second point of a grid and all of them. A rule of the smooth densities that a grid is for errs by its square;
/// at 0.12 a density with a narrow part was off by 0.04.
const HALF_DISAGREES: f64 = 0.05;
/// Times that the spacing of a grid is halved.
const MOST_HALVINGS: usize = 3;
/// What a grid may take, the work of one evaluation times points: some ten seconds.
const AFFORDABLE_GRID: f64 = 2500.0 * AFFORDABLE_DRAWS;

impl Exploration<'_> {
    /// What `strategy` has found if it can be believed. A grid that disagrees with every second point of its own is halved; a composite
    /// design that disagrees with itself is refined by many weighed draws, and so are few of them; draws whose weights cannot be believed
    /// by chains, where these are affordable.
    pub(crate) fn refined(&mut self, strategy: Strategy, found: Integrated) -> Result<Integrated, IntegrationError> {
        let work = work(self.engine.model());
        let believed = match strategy {
            Strategy::Grid(options) => return self.halved(options, found),
            Strategy::CentralComposite => self.agrees(&found, DISAGREES),
            Strategy::Importance => self.importance.is_none_or(|report| report.is_believed()),
            _ => true,
        };
        if believed || work > AFFORDABLE_DRAWS {
            return Ok(found);
        }
        // the points found so far would stand beside those that follow
        let Integrated { axes, .. } = found;
        let (evaluated, report) = self.weigh_many_draws(&axes)?;
        self.importance = Some(report);
        if report.is_believed() || work > AFFORDABLE_CHAINS {
            self.with_second_order = self.uses_second_order(&evaluated);
            let used = self.with_second_order;
            return Ok(self.integrated(evaluated, axes, (used, false, "importance")));
        }
        self.importance = None;
        self.integrate(Strategy::Nuts(NutsOptions::default()), "nuts")
    }

    fn agrees(&self, found: &Integrated, within: f64) -> bool {
        self.design_difference(&found.evaluated, &found.weights, &found.hyperparameters)
            .is_none_or(|difference| difference.value < within)
    }

    /// Grids of half the spacing until one agrees with itself, none is affordable, or its points do not reach.
    fn halved(&mut self, options: Option<GridOptions>, found: Integrated) -> Result<Integrated, IntegrationError> {
        let p = self.map.mode.len();
        let mut options = options.unwrap_or_else(|| GridOptions::for_dimension(p));
        let work = work(self.engine.model());
        let mut found = found;
        for _ in 0..MOST_HALVINGS {
            let points = found.evaluated.points.len() as f64 * 2f64.powi(p as i32);
            let affordable = points * work <= AFFORDABLE_GRID && points <= options.most_points as f64;
            if self.agrees(&found, HALF_DISAGREES) || self.truncated || !affordable {
                break;
            }
            options = GridOptions { step: 0.5 * options.step, thinned: false, ..options };
            found = self.integrate(Strategy::Grid(Some(options)), "grid")?;
        }
        Ok(found)
    }
}
