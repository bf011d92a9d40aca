"""Tables in docs/ are those of the code."""

import json
from pathlib import Path

from fivebyfive.model.area import TABLE
from fivebyfive.model.parts import PARTS
from fivebyfive.sim.fit_area import error_rows

MEASURING = (Path(__file__).parents[1] / "docs" / "measuring.md").read_text()


def test_the_parts() -> None:
    for part in PARTS.values():
        figures = " | ".join(f"{figure:,}" for figure in (part.lut, part.ff, part.dsp, part.bram))
        routed = f"{part.package}, grade {part.grade}" if part.device else "-"
        assert f"| {part.name} | {part.family} | {figures} | {routed} |\n" in MEASURING


def test_how_far_off_the_area_model_is() -> None:
    """`make fit-area` prints the rows."""
    for row in error_rows(json.loads(TABLE.read_text())):
        assert row in MEASURING
