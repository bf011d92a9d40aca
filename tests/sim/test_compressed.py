"""Compressed checkpoints that ship on the engines made for them; `make compressed` takes 200 images and all of them."""

import pytest

from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import forward
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.sim.simulate import simulate

SEED = 5
FULL = pytest.mark.full  # `test_accelerator.py` has smaller ones of these kinds in every test run
NETWORKS = [
    "bank-kernel", pytest.param("codebook-4", marks=FULL), pytest.param("ternary", marks=FULL), "lenet-300-100",
    pytest.param("smallest", marks=FULL), pytest.param("powers", marks=FULL),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_and_every_cycle(name):
    network = load_checkpoint(SHIPPED.with_name(f"{name}.npz"))
    config = fitted(network, sized(network.network))
    images = load_dataset("mnist", "test").images[:3]
    result = simulate(network, generate(network, config), images, seed=SEED)
    assert result.difference is None, str(result.difference)
    assert list(result.outputs) == list(forward(network, images).outputs)
    model, cycles = plan(network.network, config), result.cycles
    assert (cycles.conv, cycles.fc, cycles.latency, cycles.interval) == (
        model.conv, model.fc, model.latency, model.interval
    )  # fmt: skip
