//! From one design to the next where the first disagrees with itself.

use crate::error::IntegrationError;
use crate::exploration::{AFFORDABLE, Exploration, Integrated};
use crate::posterior::Strategy;
use crate::sampling::NutsOptions;

/// Difference between the points of a design and the marginals read along its axes and bent by its corners, in standard deviations. The
/// marginals are the better of the two: at 0.12 they were off by 0.03 (simulated test scores), at 0.23 by 9 % of a standard deviation
/// (examples/hsb82).
const DISAGREES: f64 = 0.15;
/// Operations of a factor up to which some 2500 evaluations take ten seconds or so.
const AFFORDABLE_DRAWS: f64 = 5e6;

impl Exploration<'_> {
    /// Refines a composite design by weighed draws, and by chains where the weights cannot be believed; what it was where neither is
    /// affordable.
    pub(crate) fn refined(&mut self, found: Integrated) -> Result<Integrated, IntegrationError> {
        let difference = self.design_difference(&found.evaluated, &found.weights, &found.hyperparameters);
        let operations = self.engine.model().symbolic().operations();
        if difference.is_none_or(|difference| difference.value < DISAGREES) || operations > AFFORDABLE_DRAWS {
            return Ok(found);
        }
        if let Some((evaluated, report)) = self.weigh_draws(&found)? {
            self.importance = Some(report);
            self.with_second_order = self.uses_second_order(&evaluated);
            let used = self.with_second_order;
            return Ok(self.integrated(evaluated, found.axes, (used, false, "importance")));
        }
        if operations > AFFORDABLE {
            return Ok(found);
        }
        self.integrate(Strategy::Nuts(NutsOptions::default()), "nuts")
    }
}
