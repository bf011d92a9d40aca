"""Tables in docs/ are those of the code."""

import json
import tomllib
from pathlib import Path

from fivebyfive.model.area import TABLE
from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.parts import PARTS
from fivebyfive.sim.fit_area import error_rows

DOCS = Path(__file__).parents[1] / "docs"
COMPRESSION = DOCS / "compression.md"
MEASURING = (DOCS / "measuring.md").read_text()


def test_the_parts() -> None:
    for part in PARTS.values():
        figures = " | ".join(f"{figure:,}" for figure in (part.lut, part.ff, part.dsp, part.bram))
        routed = f"{part.package}, grade {part.grade}" if part.device else "-"
        assert f"| {part.name} | {part.family} | {figures} | {routed} |\n" in MEASURING


def test_how_far_off_the_area_model_is() -> None:
    """`make fit-area` prints the rows."""
    for row in error_rows(json.loads(TABLE.read_text())):
        assert row in MEASURING


ROWS = (  # name, and what issue and literature ask for
    ("lenet", ""), ("deep-compression", "74"), ("lenet-300-100", "158"), ("bank-1", "65"), ("bank-kernel", "65"),
    ("narrow", "72"), ("codebook-4", "47"), ("ternary", "75"), ("binary", "65"), ("smallest", "99"),
)  # fmt: skip
COLUMNS = (
    "checkpoint", "errors", "limit", "of three seeds", "weights not zero", "bytes", "cycles", "latency",
    "conv w., RAMB36", "fc w., RAMB36", "DSP", "nJ",
)  # fmt: skip


def compressed_rows() -> list[str]:
    """The table of docs/compression.md, of the cards and of what `make compressed` measured."""
    told = json.loads((DOCS / "compressed" / "compare.json").read_text())
    found = {one["name"]: one for one in told["results"]}
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name, limit in ROWS:
        one, card = found[name], tomllib.loads(SHIPPED.with_name(f"{name}.toml").read_text())
        seeds = ", ".join(str(seed["test"]) for seed in card.get("result", {}).get("seeds", ()))
        counts = ("nonzero_weights", "bytes", "interval_cycles", "latency_cycles", "conv_weights_ramb36",
                  "fc_weights_ramb36", "dsp")  # fmt: skip
        figures = [f"{one[figure]:,.10g}" for figure in counts]
        rows.append([f"`{name}`", str(one["errors"]), limit, seeds, *figures, f"{one['energy_pj'] / 1000:,.0f}"])
    return [f"| {' | '.join(row)} |" for row in rows]


def test_what_compression_comes_to() -> None:
    """Of the checkpoints that ship, on 200 images. When they are others: python tests/test_docs.py."""
    assert "\n".join(compressed_rows()) in COMPRESSION.read_text()
    told = json.loads((DOCS / "compressed" / "compare.json").read_text())
    assert told["rtl_images"] >= 200
    for one in told["results"]:
        path = SHIPPED.with_name(f"{one['name']}.npz")
        assert (one["sha256"], one["images"], one["rtl_images"]) == (load_checkpoint(path).digest, 10_000, 200)
        card = tomllib.loads(path.with_suffix(".toml").read_text())
        assert one["errors"] == card.get("result", card)["test"]["errors"]
        if "result" in card:
            assert one["bytes"] == card["result"]["bytes"]


if __name__ == "__main__":
    print("\n".join(compressed_rows()))
