"""examples/nc_sids/bym2.toml: deaths ~ Poisson(E exp η), η = b₀ + b, b = σ(√(1−φ) v + √φ u), u Besag with generalised variance 1 and Σu = 0."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from common import EXAMPLES, fixed, generalised_variance, graph_structure, intrinsic_basis, log_precision, logit, names, pc_prec, sample, summarise, table

rows = table("nc_sids")
n = len(rows)
basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)
basis = basis / np.sqrt(generalised_variance(basis))


def model():
    b0 = fixed(["(Intercept)"], [0.001])
    sd = pc_prec("county.sd")
    phi = numpyro.sample("phi", dist.Uniform(0, 1))
    u = numpyro.deterministic("structured", basis @ numpyro.sample("zu", dist.Normal(jnp.zeros(n - 1), 1).to_event(1)))
    v = numpyro.sample("zv", dist.Normal(jnp.zeros(n), 1).to_event(1))
    total = numpyro.deterministic("county", sd * (jnp.sqrt(1 - phi) * v + jnp.sqrt(phi) * u))
    eta = numpyro.deterministic("eta", b0[0] + total)
    numpyro.sample("y", dist.Poisson(rows.expected.values * jnp.exp(eta)), obs=rows.deaths.values)


x, report = sample(model, draws=15000, target=0.95)
summarise("nc_sids_bym2", [
    (["fixed.(Intercept)"], x["fixed"]),
    (["hyper_internal.county.precision"], log_precision(x["county.sd"])),
    (["hyper_internal.county.phi"], logit(x["phi"])),
    (["hyper.county.sd"], x["county.sd"]),
    (["hyper.county.phi"], x["phi"]),
    (names("random.county", rows.county), x["county"]),
    (names("random.county:structured", rows.county), x["structured"]),
    (names("linear_predictor", range(1, n + 1)), x["eta"]),
], report)
