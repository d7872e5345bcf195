"""A second computation of every case: importance sampling of log p(y), all constants included.

    python evidence.py NAME...

θ is drawn from independent t densities, matched to NAME/summary.csv, by scrambled Sobol points; given θ, p(y | θ) is estimated without bias by draws around the mode
of the latent coordinates, and the two weights multiply. Writes NAME/evidence.json: log p(y), its standard error, and the posterior means
and standard deviations of θ by the same weights, which share no code with the No-U-Turn sampler but the data and the structure matrices.

The latent field is η = A(θ) z with z standard normal, except for directions that the prior leaves free (the straight line of coal's random
walk), whose coordinate along their unit vector is flat. Intrinsic effects count as densities on the orthogonal complement of their null space.
"""

import json
import sys

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.special import expit, gammaln
from scipy.stats import qmc
from scipy.stats import t as student

from common import EXAMPLES, HERE, generalised_variance, graph_structure, intrinsic_basis, second_differences, table

INNER = 64
DEGREES = 5  # of freedom, of the proposal of θ


def pc_prec(theta, u=1.0, alpha=0.01):
    """log-density of θ = log τ: σ = exp(-θ/2) is exponential."""
    rate = -np.log(alpha) / u
    return np.log(rate) - rate * np.exp(-theta / 2) + np.log(0.5) - theta / 2


def logistic(theta):
    """log-density of θ = logit φ, φ uniform."""
    return -np.logaddexp(0, -theta) - np.logaddexp(0, theta)


def sd(theta):
    return np.exp(-theta / 2)


class Poisson:
    def __init__(self, y, exposure=1.0):
        self.y, self.e = y, exposure
        self.constant = (y * np.log(exposure * np.ones(len(y))) - gammaln(y + 1)).sum()

    def log(self, eta, _):
        return self.constant + eta @ self.y - (self.e * np.exp(eta)).sum(axis=-1)

    def derivatives(self, eta, _):
        mean = self.e * np.exp(eta)
        return self.y - mean, mean


class Binomial:
    def __init__(self, y, n):
        self.y, self.n = y, n
        self.constant = (gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)).sum()

    def log(self, eta, _):
        return self.constant + eta @ self.y - np.logaddexp(0, eta) @ self.n

    def derivatives(self, eta, _):
        p = expit(eta)
        return self.y - self.n * p, self.n * p * (1 - p)


class Gaussian:
    """Its log precision is the first hyperparameter."""

    def __init__(self, y):
        self.y = y

    def log(self, eta, theta):
        return len(self.y) / 2 * (theta[0] - np.log(2 * np.pi)) - np.exp(theta[0]) / 2 * ((self.y - eta) ** 2).sum(axis=-1)

    def derivatives(self, eta, theta):
        return np.exp(theta[0]) * (self.y - eta), np.full(len(self.y), np.exp(theta[0]))


def one_hot(column):
    levels = list(dict.fromkeys(column))
    return np.array([[float(value == level) for level in levels] for value in column])


def columns(*parts):
    return np.column_stack(parts).astype(float)


# Each case: likelihood, names of θ, log prior of θ, A(θ), and how many of its last columns are flat.
def seeds():
    rows = table("seeds")
    x = columns(np.ones(len(rows)), rows.x1, rows.x2, rows.x1 * rows.x2) * np.sqrt(1000)
    design = lambda theta: columns(x, sd(theta[0]) * np.eye(len(rows)))
    return Binomial(rows.r.values, rows.n.values), ["plate.precision"], lambda theta: pc_prec(theta[0]), design, 0


def cbpp():
    rows = table("cbpp")
    x = columns(np.ones(len(rows)), *(rows.period == p for p in ("Q2", "Q3", "Q4"))) * np.sqrt(1000)
    z = one_hot(rows.herd)
    design = lambda theta: columns(x, sd(theta[0]) * z)
    return Binomial(rows.incidence.values, rows["size"].values), ["herd.precision"], lambda theta: pc_prec(theta[0]), design, 0


def epil():
    rows = table("epil")
    treated = (rows.trt == "progabide").astype(float)
    x = columns(np.ones(len(rows)), rows.log_base4, treated, rows.log_age, rows.v4, rows.log_base4 * treated) * np.sqrt(1000)
    z = one_hot(rows.subject)
    design = lambda theta: columns(x, sd(theta[0]) * z, sd(theta[1]) * np.eye(len(rows)))
    prior = lambda theta: pc_prec(theta[0]) + pc_prec(theta[1])
    return Poisson(rows.y.values), ["subject.precision", "observation.precision"], prior, design, 0


def coal():
    rows = table("coal")
    n = len(rows)
    basis, _ = intrinsic_basis(second_differences(n), 2)
    basis = basis / np.sqrt(generalised_variance(basis))
    line = np.arange(n) - (n - 1) / 2
    design = lambda theta: columns(np.full(n, np.sqrt(1000)), sd(theta[0]) * basis, line / np.linalg.norm(line))
    return Poisson(rows.disasters.values), ["year.precision"], lambda theta: pc_prec(theta[0]), design, 1


def vans():
    rows = table("vans")
    x = columns(np.ones(len(rows)), rows.time, rows.law) * np.sqrt(1000)
    basis = intrinsic_basis(second_differences(12, cyclic=True), 1)[0][rows.month.values - 1]
    design = lambda theta: columns(x, sd(theta[0]) * basis)
    return Poisson(rows.killed.values), ["month.precision"], lambda theta: pc_prec(theta[0]), design, 0


def sleepstudy():
    rows = table("sleepstudy")
    x = columns(1000 * np.ones(len(rows)), np.sqrt(1000) * rows.days)
    z = one_hot(rows.subject)
    design = lambda theta: columns(x, sd(theta[1]) * z, sd(theta[2]) * z * rows.days.values[:, None])
    prior = lambda theta: pc_prec(theta[0], 100) + pc_prec(theta[1], 100) + pc_prec(theta[2], 50)
    return Gaussian(rows.reaction.values), ["likelihood.precision", "subject.precision", "slope.precision"], prior, design, 0


def nc_sids_bym2():
    rows = table("nc_sids")
    n = len(rows)
    basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)
    basis = basis / np.sqrt(generalised_variance(basis))

    def design(theta):
        iid, structured = sd(theta[0]) * np.sqrt(expit(-theta[1])), sd(theta[0]) * np.sqrt(expit(theta[1]))
        return columns(np.full(n, np.sqrt(1000)), iid * np.eye(n), structured * basis)

    prior = lambda theta: pc_prec(theta[0]) + logistic(theta[1])
    return Poisson(rows.deaths.values, rows.expected.values), ["county.precision", "county.phi"], prior, design, 0


def nc_sids_besag_iid():
    rows = table("nc_sids")
    n = len(rows)
    basis, _ = intrinsic_basis(graph_structure(EXAMPLES / "nc_sids" / "nc.graph"), 1)
    design = lambda theta: columns(np.full(n, np.sqrt(1000)), sd(theta[0]) * basis, sd(theta[1]) * np.eye(n))
    prior = lambda theta: pc_prec(theta[0]) + pc_prec(theta[1])
    return Poisson(rows.deaths.values, rows.expected.values), ["county.precision", "unstructured.precision"], prior, design, 0


def log_likelihood_given(theta, likelihood, design, flat, generator):
    """log of an unbiased estimate of p(y | θ)."""
    a = design(theta)
    precision = np.ones(a.shape[1])
    precision[a.shape[1] - flat :] = 0
    z = np.zeros(a.shape[1])
    value = lambda z: likelihood.log(a @ z, theta) - precision @ z**2 / 2
    for _ in range(100):
        first, weight = likelihood.derivatives(a @ z, theta)
        hessian = (a.T * weight) @ a + np.diag(precision)
        gradient = a.T @ first - precision * z
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while value(z + length * step) < value(z) - 1e-9 and length > 1e-8:
            length /= 2
        z = z + length * step
        if gradient @ step < 1e-10:
            break
    _, weight = likelihood.derivatives(a @ z, theta)
    factor = np.linalg.cholesky((a.T * weight) @ a + np.diag(precision))
    half = generator.standard_normal((INNER // 2, len(z)))
    noise = np.concatenate([half, -half])
    draws = z + solve_triangular(factor, noise.T, lower=True, trans=1).T
    # (2π)^(dim/2) cancels between prior and proposal but for the flat directions
    log_weight = likelihood.log(draws @ a.T, theta) - (draws**2) @ precision / 2 + (noise**2).sum(axis=1) / 2
    log_weight += flat / 2 * np.log(2 * np.pi) - np.log(np.diag(factor)).sum()
    top = log_weight.max()
    return top + np.log(np.exp(log_weight - top).mean())


def evidence(name, case, count):
    likelihood, parameters, log_prior, design, flat = case()
    summary = pd.read_csv(HERE / name / "summary.csv", index_col="param")
    hyper = summary.loc[[f"hyper_internal.{p}" for p in parameters]]
    centre, width = hyper["mean"].values, 1.1 * hyper["sd"].values * np.sqrt((DEGREES - 2) / DEGREES)
    generator = np.random.default_rng(20)
    points = qmc.Sobol(len(parameters), rng=generator).random(count)
    thetas = centre + width * student.ppf(points, DEGREES)
    log_weight = np.empty(count)
    for k, theta in enumerate(thetas):
        estimate = log_likelihood_given(theta, likelihood, design, flat, generator)
        proposal = (student.logpdf((theta - centre) / width, DEGREES) - np.log(width)).sum()
        log_weight[k] = estimate + log_prior(theta) - proposal
    weight = np.exp(log_weight - log_weight.max())
    share = weight / weight.sum()
    mean = share @ thetas
    result = {
        "log_marginal_likelihood": round(log_weight.max() + np.log(weight.mean()), 5),
        "standard_error": round(weight.std(ddof=1) / weight.mean() / np.sqrt(count), 5),
        "effective_draws": round(1 / (share**2).sum()),
        "theta": {
            f"hyper_internal.{p}": {
                "mean": round(mean[j], 5),
                "mcse_mean": round(np.sqrt((share**2) @ (thetas[:, j] - mean[j]) ** 2), 5),
                "sd": round(np.sqrt(share @ (thetas[:, j] - mean[j]) ** 2), 5),
            }
            for j, p in enumerate(parameters)
        },
    }
    (HERE / name / "evidence.json").write_text(json.dumps(result, indent=1) + "\n")
    gap = [(result["theta"][k]["mean"] - summary.loc[k, "mean"]) / summary.loc[k, "sd"] for k in result["theta"]]
    print(name, json.dumps(result), "θ against the sampler, in sd:", np.round(gap, 3), flush=True)


# and how many points of θ
CASES = [
    (seeds, 16384),
    (cbpp, 16384),
    (epil, 4096),
    (coal, 16384),
    (vans, 16384),
    (sleepstudy, 16384),
    (nc_sids_bym2, 8192),
    (nc_sids_besag_iid, 8192),
]

if __name__ == "__main__":
    for case, count in CASES:
        if len(sys.argv) == 1 or case.__name__ in sys.argv[1:]:
            evidence(case.__name__, case, count)
