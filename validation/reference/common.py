"""What the references share: data, priors, intrinsic structures, the sampler and its table of summaries."""

import json
import pathlib
import time

import arviz as az
import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.infer import MCMC, NUTS

numpyro.enable_x64()

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
MAX_RHAT = 1.005
MIN_ESS = 4000
# probabilities of distribution.csv: every second per cent, and the tails
LEVELS = [0.001, 0.005, 0.01, *(k / 50 for k in range(1, 50)), 0.99, 0.995, 0.999]


def table(example):
    """The rows of an example."""
    return pd.read_csv(EXAMPLES / example / "data.csv")


def fixed(columns, precisions):
    """Coefficients b_j ~ N(0, 1/precision_j)."""
    sd = 1 / np.sqrt(np.array(precisions, dtype=float))
    return numpyro.sample("fixed", dist.Normal(np.zeros(len(columns)), sd).to_event(1))


def pc_prec(name, u=1.0, alpha=0.01):
    """The standard deviation under pc.prec(u, alpha): exponential, P(sd > u) = alpha."""
    return numpyro.sample(name, dist.Exponential(-np.log(alpha) / u))


def intrinsic_basis(structure, rank_deficiency):
    """B (n x rank) with B Bᵀ the Moore-Penrose inverse of `structure`, and N (n x deficiency), its orthonormal null space.

    For z ~ N(0, I), x = B z has density ∝ exp(-½ xᵀ R x) on the orthogonal complement of the null space.
    """
    values, vectors = np.linalg.eigh(structure)
    assert np.all(np.abs(values[:rank_deficiency]) < 1e-9 * values[-1]) and values[rank_deficiency] > 1e-9 * values[-1]
    kept = vectors[:, rank_deficiency:] / np.sqrt(values[rank_deficiency:])
    return kept, vectors[:, :rank_deficiency]


def generalised_variance(basis):
    """The geometric mean of the marginal variances of x = B z: what a scaled structure has equal to one."""
    return np.exp(np.log((basis**2).sum(axis=1)).mean())


def second_differences(n, cyclic=False):
    """The structure matrix of a second-order random walk on n equidistant nodes."""
    rows = n if cyclic else n - 2
    difference = np.zeros((rows, n))
    for i in range(rows):
        for offset, value in enumerate((1.0, -2.0, 1.0)):
            difference[i, (i + offset) % n] += value
    return difference.T @ difference


def graph_structure(path):
    """The structure matrix of Besag's model on a graph file: neighbours counted on the diagonal, -1 for each."""
    lines = path.read_text().split("\n")
    n = int(lines[0])
    structure = np.zeros((n, n))
    for line in lines[1 : n + 1]:
        node, count, *neighbours = map(int, line.split())
        assert count == len(neighbours)
        structure[node - 1, node - 1] = count
        structure[node - 1, [k - 1 for k in neighbours]] = -1
    assert np.array_equal(structure, structure.T)
    return structure


def names(prefix, labels):
    return [f"{prefix}.{label}" for label in labels]


def log_precision(sd):
    return -2 * np.log(sd)


def logit(p):
    return np.log(p) - np.log1p(-p)


def sample(model, *, warmup=2000, draws=5000, chains=4, seed=1, target=0.9, dense=("fixed",)):
    """Draws of every site of `model`, each (chains, draws, ...), and how they were made."""
    kernel = NUTS(model, target_accept_prob=target, dense_mass=[tuple(dense)] if dense else False)
    mcmc = MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="sequential", progress_bar=False)
    start = time.time()
    mcmc.run(jax.random.PRNGKey(seed), extra_fields=("diverging", "num_steps"))
    fields = mcmc.get_extra_fields(group_by_chain=True)
    report = {
        "sampler": f"numpyro {numpyro.__version__} NUTS",
        "chains": chains,
        "warmup": warmup,
        "draws_per_chain": draws,
        "target_accept": target,
        "seed": seed,
        "divergences": int(fields["diverging"].sum()),
        "mean_leapfrog": round(float(fields["num_steps"].mean()), 1),
        "seconds": round(time.time() - start),
    }
    return {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}, report


def summarise(name, blocks, report):
    """Writes NAME/{summary,distribution}.csv and NAME/sampler.json from blocks (names, draws (chains, draws[, names])).

    Fails if not converged.
    """
    rows, distributions = [], []
    for labels, draws in blocks:
        draws = draws[..., None] if draws.ndim == 2 else draws
        assert draws.shape[2] == len(labels), (labels[:2], draws.shape)
        for k, label in enumerate(labels):
            x = np.ascontiguousarray(draws[:, :, k])
            low, middle, high = np.quantile(x, [0.025, 0.5, 0.975])
            rows.append((label, x.mean(), x.std(ddof=1), low, middle, high, az.mcse(x), az.mcse(x, method="sd"), az.ess(x), az.ess(x, method="tail"), az.rhat(x)))
            if not label.startswith(("linear_predictor", "fitted")):
                distributions.append((label, *((np.quantile(x, LEVELS) - x.mean()) / x.std(ddof=1))))
    columns = "param,mean,sd,q0.025,q0.5,q0.975,mcse_mean,mcse_sd,ess_bulk,ess_tail,rhat".split(",")
    summary = pd.DataFrame(rows, columns=columns).astype({c: float for c in columns[1:]})
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    summary.to_csv(folder / "summary.csv", index=False, float_format="%.8g", lineterminator="\n")
    distribution = pd.DataFrame(distributions, columns=["param", *(f"{level:g}" for level in LEVELS)])
    distribution.to_csv(folder / "distribution.csv", index=False, float_format="%.3f", lineterminator="\n")
    worst_rhat, worst_ess = summary.loc[summary.rhat.idxmax()], summary.loc[summary.ess_bulk.idxmin()]
    report |= {
        "scalars": len(summary),
        "max_rhat": round(float(worst_rhat.rhat), 5),
        "max_rhat_of": worst_rhat.param,
        "min_ess_bulk": round(float(worst_ess.ess_bulk)),
        "min_ess_bulk_of": worst_ess.param,
        "min_ess_tail": round(float(summary.ess_tail.min())),
    }
    (folder / "sampler.json").write_text(json.dumps(report, indent=1) + "\n")
    print(name, json.dumps(report), flush=True)
    converged = report["max_rhat"] < MAX_RHAT and min(report["min_ess_bulk"], report["min_ess_tail"]) > MIN_ESS
    if not converged or report["divergences"] > 0:
        raise SystemExit(f"{name}: not converged")
