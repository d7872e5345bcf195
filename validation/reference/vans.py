"""examples/vans/model.toml: killed ~ Poisson(exp η), η = b₀ + b₁ time + b₂ law + x_month, x a cyclic second-order random walk with Σx = 0."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, intrinsic_basis, log_precision, names, pc_prec, sample, second_differences, summarise, table

rows = table("vans")
COEFFICIENTS = ["(Intercept)", "time", "law"]
X = np.column_stack([np.ones(len(rows)), rows.time, rows.law])
month = rows.month.values - 1
basis, _ = intrinsic_basis(second_differences(12, cyclic=True), 1)


def model():
    b = fixed(COEFFICIENTS, [0.001] * 3)
    sd = pc_prec("month.sd")
    x = numpyro.deterministic("month", sd * (basis @ numpyro.sample("z", dist.Normal(jnp.zeros(11), 1).to_event(1))))
    eta = numpyro.deterministic("eta", X @ b + x[month])
    numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=rows.killed.values)


x, report = sample(model, draws=25000, target=0.95)
summarise("vans", [
    (names("fixed", COEFFICIENTS), x["fixed"]),
    (["hyper_internal.month.precision"], log_precision(x["month.sd"])),
    (["hyper.month.sd"], x["month.sd"]),
    (names("random.month", range(1, 13)), x["month"]),
    (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
], report)
