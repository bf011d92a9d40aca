"""Fitting the area model (`fivebyfive.model.estimates.area`) to synthesized designs.

``python -m fivebyfive.sim.jobs.fit_area``
"""

import json
import sys
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from fivebyfive.model.description import read_network
from fivebyfive.model.estimates.area import TABLE, features
from fivebyfive.model.machine.config import FAMILY_DSP_SIZES, Config
from fivebyfive.support.files import replacing

from .measurement_jobs import Synthesis
from .workers import LocalPool, run_jobs

__all__ = ["error_rows", "fit", "main"]

FIGURES = ("lut", "lutram", "ff", "bram")
UNITS = (
    "machine", "windows", "outputs", "pes", "rows", "early_rows", "packed_pes", "packed_signed_pes", "packed_rows",
)  # fmt: skip
DEPENDS = {  # features that a figure depends on
    "lut": (*UNITS, "crossbar", "map_banks", "weight_banks", "weight_blocks", "lutram_pieces"),
    "lutram": ("lutram_pieces",),
    "ff": (*UNITS, "map_banks", "weight_banks", "weight_blocks"),
    "bram": ("weight_blocks", "map_blocks"),
}
CAFFE, CLASSIC, SMALL = "20-50-500-10", "6-16-120-84-10", "4-6-20-10"
SAMPLES: list[tuple[str, Config]] = [  # networks and machines
    (SMALL, Config(1, 1, 1)),
    (SMALL, Config(2, 2, 2)),
    (SMALL, Config(4, 1, 1)),
    (SMALL, Config(1, 6, 4)),
    (SMALL, Config(4, 3, 5)),
    (SMALL, Config(1, 1, 1, early_fc=True)),
    (SMALL, Config(2, 3, 4, early_fc=True)),
    (SMALL, Config(2, 2, 2, packed=True)),
    (SMALL, Config(1, 4, 4, packed=True)),
    (CLASSIC, Config(1, 1, 1)),
    (CLASSIC, Config(4, 2, 2)),
    (CLASSIC, Config(2, 8, 6)),
    (CLASSIC, Config(4, 1, 3, early_fc=True)),
    (CLASSIC, Config(4, 2, 3, packed=True)),
    (CAFFE, Config(1, 1, 1)),
    (CAFFE, Config(1, 1, 1, early_fc=True)),
    (CAFFE, Config(4, 1, 1)),
    (CAFFE, Config(2, 5, 3)),
    (CAFFE, Config(4, 5, 6)),
]
HELD_OUT = [
    (CAFFE, Config(4, 2, 2)),
    (CLASSIC, Config(4, 4, 4)),
    (SMALL, Config(2, 6, 3)),
    (SMALL, Config(2, 3, 2, early_fc=True)),
    (CLASSIC, Config(2, 2, 2, packed=True)),
]


def fit(what: str, rows: list[dict], targets: list[float]) -> dict[str, float]:
    """Coefficients, none of them negative, that make the relative error of figure ``what`` least."""
    names = [name for name in DEPENDS[what] if any(row[name] for row in rows)]
    wanted = np.maximum(np.array(targets, float), 1.0)
    matrix = np.array([[row[name] for name in names] for row in rows], float) / wanted[:, None]
    solution, _ = nnls(matrix, np.ones(len(rows)))
    return {name: round(float(value), 4) for name, value in zip(names, solution, strict=True)}


def jobs(samples: list[tuple[str, Config]], family: str) -> list[Synthesis]:
    """Syntheses of samples for a family, packed as its DSP blocks are."""
    return [
        Synthesis(network, replace(config, dsp_size=FAMILY_DSP_SIZES[family]) if config.packed else config, family)
        for network, config in samples
    ]


def errors(area: dict, wanted: list[Synthesis], outcomes: dict) -> dict[str, float]:
    """The largest relative error of each figure, in percent."""
    worst = dict.fromkeys(FIGURES, 0.0)
    for job in wanted:
        given = features(read_network(job.network), job.config, job.family)
        for what in FIGURES:
            guess = sum(weight * given[name] for name, weight in area[what].items())
            measured = outcomes[job].value[what]
            worst[what] = max(worst[what], 100 * abs(guess - measured) / max(measured, 1))
    return {what: round(value, 1) for what, value in worst.items()}


def main() -> None:
    """Synthesize, fit, write area.json; says how far off the model is."""
    found = {}
    for family in ("xc7", "ecp5"):
        samples, held_out = jobs(SAMPLES, family), jobs(HELD_OUT, family)
        outcomes = run_jobs([*samples, *held_out], LocalPool(int(sys.argv[1]) if len(sys.argv) > 1 else None))
        rows = [features(read_network(job.network), job.config, family) for job in samples]
        area = {what: fit(what, rows, [outcomes[job].value[what] for job in samples]) for what in FIGURES}
        found[family] = {
            "coefficients": area,
            "largest_error_percent": errors(area, samples, outcomes),
            "held_out_error_percent": errors(area, held_out, outcomes),
        }
    with replacing(TABLE, "w") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    print("For the table in docs/measuring.md:", *error_rows(found), sep="\n")


def error_rows(found: dict) -> list[str]:
    """Rows of the table in docs/measuring.md: by how much the model is off at most; None where nothing was held out."""
    rows = []
    for family, about in found.items():
        for text, key in (("fitted to", "largest_error_percent"), ("others", "held_out_error_percent")):
            shown = ["-" if about[key][what] is None else f"{about[key][what]} %" for what in FIGURES]
            rows.append(f"| {family} | {text} | {' | '.join(shown)} |")
    return rows


if __name__ == "__main__":
    main()
