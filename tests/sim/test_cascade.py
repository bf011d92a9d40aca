# amaranth: UnusedElaboratable=no
"""Two accelerators behind one stream: whose answer it is, in which order, and what may go wrong."""

import json

import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.cascade import Cascade
from fivebyfive.model.description import parse
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.network import Network
from fivebyfive.sim.quality.small_machines import joined

pytestmark = pytest.mark.on("verilator", alone=True)


def network(layers: list[dict], rows: int = 10) -> Network:
    return parse(json.dumps({"input": [1, rows, rows], "layers": layers}))


FC = {"name": "f", "kind": "fc", "outputs": 4}
ONE_CONV = network([{"name": "c", "kind": "conv", "outputs": 2, "kernel": 3, "then": ["relu", {"max": 2}]}, FC])
TWO_FC = network([{"name": "h", "kind": "fc", "outputs": 30, "then": ["relu"]}, FC])


@pytest.mark.parametrize(
    ("first", "second", "margin", "pixels"),
    [
        (ONE_CONV, TWO_FC, 30, 1),
        pytest.param(TWO_FC, ONE_CONV, 30, 4, marks=pytest.mark.full),
        pytest.param(ONE_CONV, TWO_FC, 0, 2, marks=pytest.mark.full),
        pytest.param(ONE_CONV, TWO_FC, 256, 1, marks=pytest.mark.full),
    ],
)
def test_cascade(bench, first, second, margin, pixels):
    component, given = joined(first, second, margin, pixels)
    bench(component, "cascade", **given)


def test_what_cannot_be_joined():
    wide = network([FC], 12)
    pairs = [(ONE_CONV, wide, 1, 1), (ONE_CONV, TWO_FC, 1, 2), (ONE_CONV, network([FC | {"outputs": 5}]), 1, 1)]
    for first, second, one, other in pairs:
        with pytest.raises(ValueError, match="both accelerators must take the same images, in the same transfers"):
            Cascade(Accelerator(first, sized(first, pixels=one)), Accelerator(second, sized(second, pixels=other)), 3)
    for margin in (-1, 257):
        with pytest.raises(ValueError, match="two classes and a margin from 0 to 256"):
            Cascade(Accelerator(ONE_CONV, sized(ONE_CONV)), Accelerator(TWO_FC, sized(TWO_FC)), margin)
