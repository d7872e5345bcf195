"""examples/joint_outcomes/model.toml: weight ~ N(η, 1/τ) and visits ~ Poisson(days exp η), η = b + c x + u_id of each outcome, (u_weight, u_visits) ~ N₂(0, Σ)."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("joint_outcomes")
COEFFICIENTS = ["outcomeweight", "outcomevisits", "outcomeweight:x", "outcomevisits:x"]
SUBJECTS = list(dict.fromkeys(rows.id))
subject = np.array([SUBJECTS.index(s) for s in rows.id])
kind = (rows.outcome == "visits").values.astype(int)
x_value, y = rows.x.values, rows.y.values
weights, visits = np.flatnonzero(kind == 0), np.flatnonzero(kind == 1)


def model():
    b = fixed(COEFFICIENTS, [0.001] * 4)
    residual_sd, sd = pc_prec("weight.sd"), jnp.stack([pc_prec("sd.0"), pc_prec("sd.1")])
    root = numpyro.sample("root", dist.LKJCholesky(2, 2.0))
    numpyro.deterministic("sd", sd)
    numpyro.deterministic("rho", root[1, 0])
    z = numpyro.sample("z", dist.Normal(jnp.zeros((len(SUBJECTS), 2)), 1).to_event(2))
    u = numpyro.deterministic("u", z @ (sd[:, None] * root).T)
    eta = numpyro.deterministic("eta", b[kind] + b[2 + kind] * x_value + u[subject, kind])
    numpyro.sample("weight", dist.Normal(eta[weights], residual_sd), obs=y[weights])
    numpyro.sample("visits", dist.Poisson(rows.days.values[visits] * jnp.exp(eta[visits])), obs=y[visits])


if __name__ == "__main__":
    x, report = sample(model, draws=10000, target=0.9)
    sd, rho = x["sd"], x["rho"]
    own = ["outcomeweight", "outcomevisits"]
    summarise("joint_outcomes", [
        (names("fixed", COEFFICIENTS), x["fixed"]),
        (["hyper_internal.weight.precision"], log_precision(x["weight.sd"])),
        (["hyper.weight.sd"], x["weight.sd"]),
        ([f"hyper.id.sd[{c}]" for c in own], sd),
        (["hyper.id.rho[outcomeweight,outcomevisits]"], rho),
        (["hyper.id.covariance[outcomeweight,outcomevisits]"], rho * sd[..., 0] * sd[..., 1]),
        *((names(f"random.id:{c}", SUBJECTS), x["u"][..., k]) for k, c in enumerate(own)),
        (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
    ], report)
