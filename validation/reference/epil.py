"""examples/epil/model.toml: y ~ Poisson(exp η), η = X b + u_subject + v_observation."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import fixed, log_precision, names, pc_prec, sample, summarise, table

rows = table("epil")
treated = (rows.trt == "progabide").astype(float)
COEFFICIENTS = ["(Intercept)", "log_base4", "trtprogabide", "log_age", "v4", "log_base4:trtprogabide"]
X = np.column_stack([np.ones(len(rows)), rows.log_base4, treated, rows.log_age, rows.v4, rows.log_base4 * treated])
SUBJECTS = list(dict.fromkeys(rows.subject))
subject = np.array([SUBJECTS.index(s) for s in rows.subject])


def model():
    b = fixed(COEFFICIENTS, [0.001] * 6)
    subject_sd, observation_sd = pc_prec("subject.sd"), pc_prec("observation.sd")
    u = numpyro.deterministic("subject", subject_sd * numpyro.sample("zu", dist.Normal(jnp.zeros(len(SUBJECTS)), 1).to_event(1)))
    v = numpyro.deterministic("observation", observation_sd * numpyro.sample("zv", dist.Normal(jnp.zeros(len(rows)), 1).to_event(1)))
    eta = numpyro.deterministic("eta", X @ b + u[subject] + v)
    numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=rows.y.values)


x, report = sample(model, draws=8000)
summarise("epil", [
    (names("fixed", COEFFICIENTS), x["fixed"]),
    (["hyper_internal.subject.precision"], log_precision(x["subject.sd"])),
    (["hyper_internal.observation.precision"], log_precision(x["observation.sd"])),
    (["hyper.subject.sd"], x["subject.sd"]),
    (["hyper.observation.sd"], x["observation.sd"]),
    (names("random.subject", SUBJECTS), x["subject"]),
    (names("random.observation", rows.observation), x["observation"]),
    (names("linear_predictor", range(1, len(rows) + 1)), x["eta"]),
], report)
