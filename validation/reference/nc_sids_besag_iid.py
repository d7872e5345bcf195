"""examples/nc_sids/besag_iid.toml: deaths ~ Poisson(E exp η), η = b₀ + u + v, u Besag, not scaled, Σu = 0, v iid."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from common import EXAMPLES, fixed, graph_structure, intrinsic_basis, log_precision, names, pc_prec, sample, summarise, table

rows = table("nc_sids")
n = len(rows)
basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)


def model():
    b0 = fixed(["(Intercept)"], [0.001])
    structured_sd, unstructured_sd = pc_prec("county.sd"), pc_prec("unstructured.sd")
    u = numpyro.deterministic("county", structured_sd * (basis @ numpyro.sample("zu", dist.Normal(jnp.zeros(n - 1), 1).to_event(1))))
    v = numpyro.deterministic("unstructured", unstructured_sd * numpyro.sample("zv", dist.Normal(jnp.zeros(n), 1).to_event(1)))
    eta = numpyro.deterministic("eta", b0[0] + u + v)
    numpyro.sample("y", dist.Poisson(rows.expected.values * jnp.exp(eta)), obs=rows.deaths.values)


x, report = sample(model, draws=25000, target=0.99)
summarise("nc_sids_besag_iid", [
    (["fixed.(Intercept)"], x["fixed"]),
    (["hyper_internal.county.precision"], log_precision(x["county.sd"])),
    (["hyper_internal.unstructured.precision"], log_precision(x["unstructured.sd"])),
    (["hyper.county.sd"], x["county.sd"]),
    (["hyper.unstructured.sd"], x["unstructured.sd"]),
    (names("random.county", rows.county), x["county"]),
    (names("random.unstructured", rows.county), x["unstructured"]),
    (names("linear_predictor", range(1, n + 1)), x["eta"]),
], report)
