"""The compressed checkpoints that ship: what their rows in docs promise, and that the cards tell the truth."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.compress.packing.packed import pack
from fivebyfive.model.compress.plan import read_plan
from fivebyfive.model.data.datasets import load_test_sets
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized

PLANS = Path(__file__).parents[2] / "model" / "compress" / "plans"
SHIPPED_BYTES = 2_000_000  # of all that make the table

# Errors of 10,000, the bytes of the packed file where there is a limit, and the engines that must have been chosen.
ROWS = {
    "deep-compression": (74, 1_720_000 / 120, "bank-balanced"),
    "lenet-300-100": (158, 1_070_000 / 60, "bank-balanced"),
    "bank-1": (65, None, "bank-balanced"),
    "bank-kernel": (65, None, "zero-skipping"),
    "narrow": (72, None, ""),
    "codebook-4": (47, None, "codebook"),
    "ternary": (75, None, "signs"),
    "binary": (65, None, "signs"),
    "powers": (52, None, "powers"),
    "smallest": (99, 1_600, "codebook"),
}
SPARSE = ("deep-compression", "lenet-300-100", "bank-1", "bank-kernel", "narrow", "smallest")  # packed in seconds


def path(name: str) -> Path:
    return SHIPPED.parent / f"{name}.npz"


def card(name: str) -> dict:
    return tomllib.loads(path(name).with_suffix(".toml").read_text())


def machine(name: str) -> Config:
    network = load_checkpoint(path(name))
    return fitted(network, sized(network.network))


def test_every_checkpoint_has_its_row():
    assert {one.stem for one in SHIPPED.parent.glob("*.npz")} == {*ROWS, "lenet"}
    assert sum(path(name).stat().st_size for name in ROWS) < SHIPPED_BYTES


SLOWEST = ("bank-1", "bank-kernel", "deep-compression", "binary", "codebook-4", "powers")  # to evaluate
CHECKED = [pytest.param(name, marks=pytest.mark.full if name in SLOWEST else ()) for name in ROWS]


@pytest.mark.parametrize("name", CHECKED)
def test_the_card_belongs_to_it(name, digits):
    """Errors by the exact integer model on all test images, and no wrap that the card does not tell."""
    report, network = card(name)["result"], load_checkpoint(path(name))
    assert (report["digest"], report["shape"]) == (network.digest, str(network.shape))
    seen = evaluate(network, digits)
    assert (seen.images, seen.errors, seen.wraps) == (
        report["test"]["images"], report["test"]["errors"], report["test"]["wraps"]
    )  # fmt: skip
    assert seen.errors <= ROWS[name][0]
    if name in SPARSE:
        assert pack(network).bytes == report["bytes"]


@pytest.mark.parametrize(
    "name", ["narrow", *(pytest.param(name, marks=pytest.mark.full) for name in ("lenet", *ROWS) if name != "narrow")]
)
def test_digits_of_other_hands(name):
    """Those that the card tells, of all seven sets."""
    said = card(name).get("result", card(name))["other_hands"]
    sets = load_test_sets("other-hands")
    assert {f"other-hands-{one}" for one in said} == set(sets) - {"mnist"}
    for one, figures in said.items():
        seen = evaluate(load_checkpoint(path(name)), sets[f"other-hands-{one}"])
        assert (seen.images, seen.errors, sum(seen.wraps.values())) == tuple(figures.values()), one


@pytest.mark.parametrize("name", ROWS)
def test_nothing_was_learned_from_what_is_held_out(name):
    """Neither by it nor by the LeNet that it comes from, whose card says the same."""
    report = card(name)["result"]
    assert (report["hold_out"], report["held_out"]["images"]) == ("writers", 5060)
    assert report["start"] == load_checkpoint().digest


@pytest.mark.parametrize("name", ROWS)
def test_the_plan_that_ships_makes_it(name):
    made = read_plan(path(name).with_suffix(".toml"))
    given = read_plan(PLANS / f"{name}.toml")
    assert replace(made, folder=given.folder, seed=given.seed) == given


@pytest.mark.parametrize("name", ROWS)
def test_the_engines_and_the_bytes(name):
    _, most, engine = ROWS[name]
    assert engine in " ".join(machine(name).engines.names)
    if most:
        assert card(name)["result"]["bytes"] <= most


def weights_a_lane(name: str) -> int:
    """Of fc1's outputs the most that one of the 20 lanes holds, in a machine that computes all channels."""
    network = load_checkpoint(path(name))
    weights = network.arrays["fc1.weight"][:, Config().fc1_order(network.network)]
    return int((weights != 0).reshape(500, 40, 20).sum(1).max())


def test_one_weight_a_lane():
    """fc1 takes a cycle for each of 1,066 words, and 17 from the first address to the last output. 57 of its outputs
    and 17 channels of conv2 are always zero; codes behind these lie in other lanes."""
    assert weights_a_lane("bank-1") == 1
    built = machine("bank-1")
    assert [len(kept) for kept in built.engines.kept] == [20, 33, 443]
    planned = plan(load_checkpoint(path("bank-1")).network, built)
    words = [sum(layer) for layer in built.engines.words]
    waits, rest = divmod(planned.fc - sum(words), len(words))
    assert (words[0], waits, rest) == (1_066, 17, 0)
    assert planned.interval == 53_820  # with all channels 75,580


def test_kernels_and_lanes():
    words, _ = machine("bank-kernel").engines.words
    assert weights_a_lane("bank-kernel") == 2
    assert max(words) <= 7  # those that are left lie in other lanes
    planned = plan(load_checkpoint(path("bank-kernel")).network, machine("bank-kernel"))
    assert max(planned.interval, planned.latency) <= 25_000


def test_fewer_channels():
    network = load_checkpoint(path("narrow"))
    assert sum(array.size for array in network.arrays.values()) <= 21_000
    assert plan(network.network, machine("narrow")).interval <= 13_000


@pytest.mark.parametrize("name", ["ternary", "binary", "powers"])
def test_no_multiplier(name):
    assert machine(name).dsps == 0
