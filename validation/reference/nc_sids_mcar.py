"""examples/nc_sids/mcar.toml: deaths ~ Poisson(E exp η), η = b_period + x_period, (x_1, x_2) = L(√(1−φ) v + √φ u), LLᵀ = Σ, u Besag with generalised variance 1 and Σu = 0."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd

from common import EXAMPLES, fixed, generalised_variance, graph_structure, intrinsic_basis, logit, names, pc_prec, sample, summarise

rows = pd.read_csv(EXAMPLES / "nc_sids" / "periods.csv")
PERIODS = ["p74", "p79"]
n = len(rows) // 2
basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)
basis = basis / np.sqrt(generalised_variance(basis))


def model():
    b = fixed(PERIODS, [0.001, 0.001])
    sd = jnp.stack([pc_prec("sd.0"), pc_prec("sd.1")])
    numpyro.deterministic("sd", sd)
    root = numpyro.sample("root", dist.LKJCholesky(2, 2.0))
    numpyro.deterministic("rho", root[1, 0])
    phi = numpyro.sample("phi", dist.Uniform(0, 1))
    u = basis @ numpyro.sample("zu", dist.Normal(jnp.zeros((n - 1, 2)), 1).to_event(2))
    v = numpyro.sample("zv", dist.Normal(jnp.zeros((n, 2)), 1).to_event(2))
    x = numpyro.deterministic("x", (jnp.sqrt(1 - phi) * v + jnp.sqrt(phi) * u) @ (sd[:, None] * root).T)
    eta = numpyro.deterministic("eta", jnp.concatenate([b[0] + x[:, 0], b[1] + x[:, 1]]))
    numpyro.sample("y", dist.Poisson(rows.expected.values * jnp.exp(eta)), obs=rows.deaths.values)


if __name__ == "__main__":
    x, report = sample(model, draws=12000, target=0.95)
    sd, rho = x["sd"], x["rho"]
    summarise("nc_sids_mcar", [
        ([f"fixed.period{p}" for p in PERIODS], x["fixed"]),
        (["hyper_internal.county.phi"], logit(x["phi"])),
        (["hyper.county.phi"], x["phi"]),
        ([f"hyper.county.sd[{p}]" for p in PERIODS], sd),
        (["hyper.county.rho[p74,p79]"], rho),
        (["hyper.county.covariance[p74,p79]"], rho * sd[..., 0] * sd[..., 1]),
        *(([f"random.county.{c};group={p}" for c in range(1, n + 1)], x["x"][..., k]) for k, p in enumerate(PERIODS)),
        (names("linear_predictor", range(1, 2 * n + 1)), x["eta"]),
    ], report)
