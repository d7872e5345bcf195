"""examples/sleepstudy/model.toml: reaction ~ N(η, 1/τ), η = b₀ + b₁ days + u_subject + w_subject days, u and w independent."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("sleepstudy")
COEFFICIENTS = ["(Intercept)", "days"]
SUBJECTS = list(dict.fromkeys(rows.subject))
subject = np.array([SUBJECTS.index(s) for s in rows.subject])
days = rows.days.values.astype(float)


def model():
    b = fixed(COEFFICIENTS, [1e-6, 0.001])
    sd, slope_sd, residual_sd = pc_prec("subject.sd", 100), pc_prec("slope.sd", 50), pc_prec("likelihood.sd", 100)
    u = numpyro.deterministic("subject", sd * numpyro.sample("zu", dist.Normal(jnp.zeros(len(SUBJECTS)), 1).to_event(1)))
    w = numpyro.deterministic("slope", slope_sd * numpyro.sample("zw", dist.Normal(jnp.zeros(len(SUBJECTS)), 1).to_event(1)))
    eta = numpyro.deterministic("eta", b[0] + b[1] * days + u[subject] + w[subject] * days)
    numpyro.sample("y", dist.Normal(eta, residual_sd), obs=rows.reaction.values)


if __name__ == "__main__":
    x, report = sample(model, draws=20000, target=0.95)
    summarise("sleepstudy", [
        (names("fixed", COEFFICIENTS), x["fixed"]),
        *(([f"hyper_internal.{e}.precision"], log_precision(x[f"{e}.sd"])) for e in ("likelihood", "subject", "slope")),
        *(([f"hyper.{e}.sd"], x[f"{e}.sd"]) for e in ("likelihood", "subject", "slope")),
        (names("random.subject", SUBJECTS), x["subject"]),
        (names("random.slope", SUBJECTS), x["slope"]),
        (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
    ], report)
