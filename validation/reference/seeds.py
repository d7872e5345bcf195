"""examples/seeds/model.toml: r ~ Binomial(n, logit⁻¹ η), η = b₀ + b₁x₁ + b₂x₂ + b₁₂x₁x₂ + u_plate."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("seeds")
COEFFICIENTS = ["(Intercept)", "x1", "x2", "x1:x2"]
X = np.column_stack([np.ones(len(rows)), rows.x1, rows.x2, rows.x1 * rows.x2])


def model():
    b = fixed(COEFFICIENTS, [0.001] * 4)
    sd = pc_prec("plate.sd")
    u = numpyro.deterministic("plate", sd * numpyro.sample("z", dist.Normal(jnp.zeros(len(rows)), 1).to_event(1)))
    eta = numpyro.deterministic("eta", X @ b + u)
    numpyro.sample("y", dist.Binomial(rows.n.values, logits=eta), obs=rows.r.values)


x, report = sample(model, draws=20000, target=0.95)
summarise("seeds", [
    (names("fixed", COEFFICIENTS), x["fixed"]),
    (["hyper_internal.plate.precision"], log_precision(x["plate.sd"])),
    (["hyper.plate.sd"], x["plate.sd"]),
    (names("random.plate", rows.plate), x["plate"]),
    (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
], report)
