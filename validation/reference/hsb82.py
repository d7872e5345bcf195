"""examples/hsb82/model.toml: math ~ N(η, 1/τ), η = b₀ + b₁ cses + b₂ meanses + u_school + w_school cses, (u, w) ~ N₂(0, Σ)."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("hsb82")
COEFFICIENTS = ["(Intercept)", "cses", "meanses"]
SCHOOLS = sorted(set(rows.school))
school = np.array([SCHOOLS.index(s) for s in rows.school])
cses, meanses = rows.cses.values, rows.meanses.values


def model():
    b = fixed(COEFFICIENTS, [0.001, 0.001, 0.001])
    residual_sd, sd = pc_prec("likelihood.sd", 20), jnp.stack([pc_prec("sd.0", 10), pc_prec("sd.1", 10)])
    # the density of a correlation matrix of order two under eta = 2 is that of LKJ
    root = numpyro.sample("root", dist.LKJCholesky(2, 2.0))
    numpyro.deterministic("sd", sd)
    numpyro.deterministic("rho", root[1, 0])
    z = numpyro.sample("z", dist.Normal(jnp.zeros((len(SCHOOLS), 2)), 1).to_event(2))
    u = numpyro.deterministic("u", z @ (sd[:, None] * root).T)
    eta = b[0] + b[1] * cses + b[2] * meanses + u[school, 0] + u[school, 1] * cses
    numpyro.sample("y", dist.Normal(eta, residual_sd), obs=rows.math.values)


if __name__ == "__main__":
    x, report = sample(model, draws=15000, target=0.95)
    sd, rho, u = x["sd"], x["rho"], x["u"]
    own = ["(Intercept)", "cses"]
    summarise("hsb82", [
        (names("fixed", COEFFICIENTS), x["fixed"]),
        (["hyper_internal.likelihood.precision"], log_precision(x["likelihood.sd"])),
        (["hyper.likelihood.sd"], x["likelihood.sd"]),
        ([f"hyper.school.sd[{c}]" for c in own], sd),
        ([f"hyper.school.variance[{c}]" for c in own], sd**2),
        (["hyper.school.rho[(Intercept),cses]"], rho),
        (["hyper.school.covariance[(Intercept),cses]"], rho * sd[..., 0] * sd[..., 1]),
        *((names(f"random.school:{c}", SCHOOLS), u[..., k]) for k, c in enumerate(own)),
        *(([f"coefficients.school.{s} {c}" for s in SCHOOLS], u[..., k] + x["fixed"][..., [k]]) for k, c in enumerate(own)),
    ], report)
