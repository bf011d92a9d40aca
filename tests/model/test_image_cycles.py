"""Cycles of digits on machines in which windows of zeros take none, by the model."""

from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import forward
from fivebyfive.model.image_cycles import cycles_of_images, work_of
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import cycles_of_run, fc_of_images, plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.shape import LeNetShape

DOCS = Path(__file__).parents[2] / "docs"
FULL = pytest.mark.full
CASES = [("narrow", 0.12), pytest.param("lenet", 0.05, marks=FULL), pytest.param("smallest", 0.12, marks=FULL)]


@pytest.mark.parametrize(("name", "least"), CASES)
def test_a_thousand_digits(name: str, least: float) -> None:
    """The table of docs/cycles.md."""
    checkpoint = load_checkpoint(SHIPPED.with_name(f"{name}.npz"))
    config, images = sized(checkpoint, skip_zeros=True), load_dataset("mnist", "test").images[:1000]
    before, every = plan(checkpoint.network, config).interval, cycles_of_images(checkpoint, config, images)
    mean = float(np.mean([one.interval for one in every[1:]]))
    saved, convs = 1 - mean / before, [one.conv for one in every]
    assert saved >= least
    figures = f"{before:,} | {mean:,.0f} ({100 * saved:.1f} % fewer) | {min(convs):,}, {max(convs):,} |"
    assert f"| `{name}` | {figures}\n" in (DOCS / "cycles.md").read_text()


@pytest.mark.parametrize("outputs", [1, 3])
def test_activations_that_are_not_zero(outputs: int) -> None:
    """In each word of 20, in the order in which they come."""
    checkpoint, config = Checkpoint.random(LeNetShape(2, 4, (30, 10)), 2), Config(1, outputs, skip_zeros=True)
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    layers = forward(checkpoint, images).outputs
    for number, work in enumerate(work_of(checkpoint, config, images)):
        first, second = layers["conv2"][number].ravel().tolist(), layers["fc1"][number].tolist()
        inputs = [first[place] for place in config.fc1_order(checkpoint.network)], second
        counts = [tuple(sum(map(bool, one[at : at + 20])) for at in range(0, len(one), 20)) for one in inputs]
        assert work.inputs == tuple(counts)
        assert all(0 < sum(one) for one in counts)


MACHINES = [
    ("narrow", {}, "25 + 20"),
    pytest.param("lenet", {}, "25 + 20", marks=FULL),
    pytest.param("lenet", {"early_fc": True}, "25 + 20, `--early-fc`", marks=FULL),
    pytest.param("lenet", {"conv_pes": 4}, "100 + 20", marks=FULL),
    pytest.param("lenet", {"conv_pes": 4, "early_fc": True}, "100 + 20, `--early-fc`", marks=FULL),
]


@pytest.mark.parametrize(("name", "size", "machine"), MACHINES)
def test_activations_of_five_hundred_digits(name: str, size: dict, machine: str) -> None:
    """The second table of docs/cycles.md."""
    checkpoint = load_checkpoint(SHIPPED.with_name(f"{name}.npz"))
    config, before = sized(checkpoint, skip_zeros=True, **size), plan(checkpoint.network, sized(checkpoint, **size))
    images = list(work_of(checkpoint, config, load_dataset("mnist", "test").images[:500]))
    alone = [cycles_of_run(checkpoint.network, config, [one])[0] for one in images]
    run = cycles_of_run(checkpoint.network, config, images)
    latency, fc = [one.latency for one in alone], [one.fc for one in alone]
    assert max(latency) < before.latency
    busy = "" if config.early_fc else f"{np.mean(fc):,.0f} ({max(fc):,}) "
    figures = f"{before.latency:,} | {np.mean(latency):,.0f} ({max(latency):,}) | {busy}| "
    interval = np.mean([one.interval for one in run[1:]])
    assert f"| `{name}`, {machine} | {figures}{interval:,.0f} |\n" in (DOCS / "cycles.md").read_text()


@pytest.mark.parametrize(
    ("shape", "config"),
    [("3-4-30-10", Config()), ("3-4-30-10", Config(4, 2, early_fc=True, overlap=False)), ("784-20-10", Config(1, 0))],
)
def test_a_machine_that_leaves_nothing_out(shape: str, config: Config) -> None:
    """Each image takes what the plan says, whatever is in it."""
    network = LeNetShape.parse(shape).network
    images = np.zeros((15, 28, 28), np.uint8)
    every, planned = cycles_of_images(Checkpoint.random(network, 1), config, images), plan(network, config)
    assert [one.conv for one in every] == [planned.conv] * 15
    assert [one.fc for one in every] == fc_of_images(network, config, 15)
    assert (every[0].latency, every[0].interval, every[-1].interval) == (planned.latency, None, planned.interval)
