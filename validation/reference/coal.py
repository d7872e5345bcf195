"""examples/coal/model.toml: disasters ~ Poisson(exp η), η = b₀ + x_year, x a scaled second-order random walk with Σx = 0.

The prior leaves the centred straight line free: a flat coordinate along its unit vector.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, generalised_variance, intrinsic_basis, log_precision, names, pc_prec, sample, second_differences, summarise, table

rows = table("coal")
n = len(rows)
basis, _ = intrinsic_basis(second_differences(n), 2)
basis = basis / np.sqrt(generalised_variance(basis))
line = np.arange(n) - (n - 1) / 2
line = line / np.linalg.norm(line)


def model():
    b = fixed(["(Intercept)"], [0.001])
    sd = pc_prec("year.sd")
    z = numpyro.sample("z", dist.Normal(jnp.zeros(n - 2), 1).to_event(1))
    slope = numpyro.sample("slope", dist.ImproperUniform(dist.constraints.real, (), ()))
    x = numpyro.deterministic("year", sd * (basis @ z) + line * slope)
    eta = numpyro.deterministic("eta", b[0] + x)
    numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=rows.disasters.values)


x, report = sample(model, draws=25000, target=0.95)
summarise("coal", [
    (["fixed.(Intercept)"], x["fixed"]),
    (["hyper_internal.year.precision"], log_precision(x["year.sd"])),
    (["hyper.year.sd"], x["year.sd"]),
    (names("random.year", rows.year), x["year"]),
    (names("linear_predictor", range(1, n + 1)), x["eta"]),
], report)
