"""examples/cbpp/model.toml: incidence ~ Binomial(size, logit⁻¹ η), η = b₀ + b_period + u_herd, treatment contrasts against Q1."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("cbpp")
PERIODS = ["Q2", "Q3", "Q4"]
COEFFICIENTS = ["(Intercept)"] + ["period" + p for p in PERIODS]
X = np.column_stack([np.ones(len(rows))] + [rows.period == p for p in PERIODS]).astype(float)
HERDS = list(dict.fromkeys(rows.herd))
herd = np.array([HERDS.index(h) for h in rows.herd])


def model():
    b = fixed(COEFFICIENTS, [0.001] * 4)
    sd = pc_prec("herd.sd")
    u = numpyro.deterministic("herd", sd * numpyro.sample("z", dist.Normal(jnp.zeros(len(HERDS)), 1).to_event(1)))
    eta = numpyro.deterministic("eta", X @ b + u[herd])
    numpyro.sample("y", dist.Binomial(rows["size"].values, logits=eta), obs=rows.incidence.values)


x, report = sample(model, draws=20000, target=0.95)
summarise("cbpp", [
    (names("fixed", COEFFICIENTS), x["fixed"]),
    (["hyper_internal.herd.precision"], log_precision(x["herd.sd"])),
    (["hyper.herd.sd"], x["herd.sd"]),
    (names("random.herd", HERDS), x["herd"]),
    (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
], report)
