//! From one design to the next where the first disagrees with itself.

use crate::error::IntegrationError;
use crate::exploration::{AFFORDABLE_CHAINS, AFFORDABLE_DRAWS, Exploration, Integrated};
use crate::posterior::Strategy;
use crate::sampling::NutsOptions;

/// Difference between the points of a design and the marginals read along its axes and coupled by its gradients, in standard deviations. The
/// marginals are the better of the two: at 0.12 they were off by 0.03 (simulated test scores), at 0.23 by 9 % of a standard deviation
/// (examples/hsb82).
const DISAGREES: f64 = 0.15;

impl Exploration<'_> {
    /// What `strategy` has found if it can be believed. A composite design that disagrees with itself is refined by many weighed draws, and
    /// so are few of them; draws whose weights cannot be believed by chains, where these are affordable.
    pub(crate) fn refined(&mut self, strategy: Strategy, found: Integrated) -> Result<Integrated, IntegrationError> {
        let believed = match strategy {
            Strategy::CentralComposite => self
                .design_difference(&found.evaluated, &found.weights, &found.hyperparameters)
                .is_none_or(|difference| difference.value < DISAGREES),
            Strategy::Importance => self.importance.is_none_or(|report| report.is_believed()),
            _ => true,
        };
        let operations = self.engine.model().symbolic().operations();
        if believed || operations > AFFORDABLE_DRAWS {
            return Ok(found);
        }
        // the points found so far would stand beside those that follow
        let Integrated { axes, .. } = found;
        let (evaluated, report) = self.weigh_many_draws(&axes)?;
        self.importance = Some(report);
        if report.is_believed() || operations > AFFORDABLE_CHAINS {
            self.with_second_order = self.uses_second_order(&evaluated);
            let used = self.with_second_order;
            return Ok(self.integrated(evaluated, axes, (used, false, "importance")));
        }
        self.importance = None;
        self.integrate(Strategy::Nuts(NutsOptions::default()), "nuts")
    }
}
