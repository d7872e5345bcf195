"""examples/growth_curves/model.toml: y ~ Poisson(exp η), η = b₀ + f(s) + f_g(s) + l_g on cubic B-splines, f under a scaled second-order walk, f_g under a scaled first-order one."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.interpolate import BSpline

from common import fixed, generalised_variance, intrinsic_basis, log_precision, names, pc_prec, sample, second_differences, summarise, table

rows = table("growth_curves")
GROUPS = list(dict.fromkeys(rows.group))
group = np.array([GROUPS.index(g) for g in rows.group])
COMMON, OWN = 12, 8


def splines(count, degree=3):
    """The functions on equally spaced knots over (0, 1) at every row."""
    step = 1 / (count - degree)
    knots = step * (np.arange(count + degree + 1) - degree)
    return BSpline.design_matrix(np.minimum(rows.s.values, 1 - 1e-12), knots, degree).toarray()


def first_differences(n):
    d = np.diff(np.eye(n), axis=0)
    return d.T @ d


def scaled(structure, deficiency):
    basis, null = intrinsic_basis(structure, deficiency)
    return basis / np.sqrt(generalised_variance(basis)), null


smooth, _ = scaled(second_differences(COMMON), 2)
rough, _ = scaled(first_differences(OWN), 1)
line = np.arange(COMMON) - (COMMON - 1) / 2
line = line / np.linalg.norm(line)
common_rows, own_rows = splines(COMMON), splines(OWN)


def model():
    b0 = fixed(["(Intercept)"], [0.001])
    sd, own_sd, level_sd = pc_prec("s.sd"), pc_prec("s:group.sd"), pc_prec("group.sd")
    # the straight line is free: flat along its unit vector
    slope = numpyro.sample("slope", dist.ImproperUniform(dist.constraints.real, (), ()))
    coefficients = numpyro.deterministic("s", sd * (smooth @ numpyro.sample("zs", dist.Normal(jnp.zeros(COMMON - 2), 1).to_event(1))) + slope * line)
    own = numpyro.deterministic("own", own_sd * numpyro.sample("zg", dist.Normal(jnp.zeros((len(GROUPS), OWN - 1)), 1).to_event(2)) @ rough.T)
    level = numpyro.deterministic("level", level_sd * numpyro.sample("zl", dist.Normal(jnp.zeros(len(GROUPS)), 1).to_event(1)))
    eta = b0[0] + common_rows @ coefficients + (own_rows * own[group]).sum(axis=1) + level[group]
    numpyro.deterministic("eta", eta)
    numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=rows.y.values)


if __name__ == "__main__":
    x, report = sample(model, draws=12000, target=0.95)
    sds = ("s", "s:group", "group")
    summarise("growth_curves", [
        (["fixed.(Intercept)"], x["fixed"]),
        *(([f"hyper_internal.{e}.precision"], log_precision(x[f"{e}.sd"])) for e in sds),
        *(([f"hyper.{e}.sd"], x[f"{e}.sd"]) for e in sds),
        (names("random.s", range(1, COMMON + 1)), x["s"]),
        *((names("random.s:group", [f"{k};replicate={g}" for k in range(1, OWN + 1)]), x["own"][:, :, j]) for j, g in enumerate(GROUPS)),
        (names("random.group", GROUPS), x["level"]),
        (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
    ], report)
