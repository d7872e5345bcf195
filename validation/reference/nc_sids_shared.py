"""examples/nc_sids/shared.toml: deaths ~ Poisson(E exp η), η₁ = b₁ + u + v₁, η₂ = b₂ + β u + v₂, u Besag with generalised variance 1/τ and Σu = 0, v iid."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd

from common import EXAMPLES, fixed, generalised_variance, graph_structure, intrinsic_basis, log_precision, names, pc_prec, sample, summarise

rows = pd.read_csv(EXAMPLES / "nc_sids" / "periods.csv")
PERIODS = ["p74", "p79"]
n = len(rows) // 2
basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)
basis = basis / np.sqrt(generalised_variance(basis))


def model():
    b = fixed(PERIODS, [0.001, 0.001])
    sd, own_sd = pc_prec("first.sd"), pc_prec("county.sd")
    scaling = numpyro.sample("scaling", dist.Normal(1, 1 / np.sqrt(10)))
    u = numpyro.deterministic("first", sd * (basis @ numpyro.sample("zu", dist.Normal(jnp.zeros(n - 1), 1).to_event(1))))
    v = numpyro.deterministic("county", own_sd * numpyro.sample("zv", dist.Normal(jnp.zeros((2, n)), 1).to_event(2)))
    eta = numpyro.deterministic("eta", jnp.concatenate([b[0] + u + v[0], b[1] + scaling * u + v[1]]))
    numpyro.sample("y", dist.Poisson(rows.expected.values * jnp.exp(eta)), obs=rows.deaths.values)


if __name__ == "__main__":
    x, report = sample(model, draws=10000, target=0.95)
    summarise("nc_sids_shared", [
        ([f"fixed.period{p}" for p in PERIODS], x["fixed"]),
        *(([f"hyper_internal.{e}.precision"], log_precision(x[f"{e}.sd"])) for e in ("first", "county")),
        *(([f"hyper.{e}.sd"], x[f"{e}.sd"]) for e in ("first", "county")),
        (["hyper_internal.second.scaling"], x["scaling"]),
        (names("random.first", range(1, n + 1)), x["first"]),
        *(([f"random.county.{c};replicate={p}" for c in range(1, n + 1)], x["county"][:, :, k]) for k, p in enumerate(PERIODS)),
        (names("linear_predictor", range(1, 2 * n + 1)), x["eta"]),
    ], report)
