"""What a memory holds of codes: few bits, and every code comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import choose
from fivebyfive.model.machine.stored_codes import WHOLE, output_codes, stored_codes, stored_outputs
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.benchlib.random_networks import random_network

SIGNS = np.where(np.arange(-128, 128) < 0, -1, 1).astype(np.int8)


def come_back(values: set[int]) -> set[int]:
    """Codes of which the stored bits alone are known, made whole again."""
    stored, found = stored_codes(values), set()
    for code in values:
        held = [code >> bit & 1 for bit in stored.kept]
        bits = [held[source] if source >= 0 else -1 - source for source in stored.sources]
        found.add(sum(bit << n for n, bit in enumerate(bits[:7])) - (bits[7] << 7))
    return found


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ({-1, 1}, 1), ({0, 1}, 1), ({-1, 0, 1}, 2), (range(4), 2), (range(16), 4), (range(-8, 8), 4), ({-64, 64}, 1),
        ({5}, 1), (range(128), 7), (range(-128, 128), 8), ({0, 127}, 1), ({-128, 127}, 2),
    ],
)  # fmt: skip
def test_activations_of_few_bits(values, bits) -> None:
    assert stored_codes(values).bits == bits
    assert come_back(set(values)) == set(values)


@given(st.sets(st.integers(-128, 127), min_size=1))
def test_every_code_comes_back(values) -> None:
    assert come_back(values) == values
    assert (stored_codes(values) == WHOLE) == (stored_codes(values).bits == 8)


def test_a_table_says_which_codes_there_are() -> None:
    def layer(*then) -> Layer:
        return Layer("c", "conv", 1, 3, then=then)

    steep = np.clip(np.arange(-128, 128), -4, 9).astype(np.int8)
    assert output_codes(layer("relu"), None) is None
    assert output_codes(layer("table", Pool("max", 2, 2)), SIGNS) == {-1, 1}
    assert output_codes(layer("table", Pool("average", 2, 2)), SIGNS) == {-1, 0, 1}
    assert output_codes(layer("table", "relu"), SIGNS) == {0, 1}
    assert output_codes(layer("relu", "table"), steep) == set(range(10))
    assert stored_outputs([layer("table")], {"c.table": SIGNS}).bits == 1
    others = [layer("table"), Layer("d", "conv", 1, 3)]
    assert stored_outputs(others, {"c.table": SIGNS}) == WHOLE


def one_bit(widths: tuple[int, int, int, int], *, table: str = "table") -> Network:
    pooled = (Pool("max", 2, 2), table)
    layers = [Layer(f"c{n}", "conv", width, 5, then=pooled) for n, width in enumerate(widths[:2])]
    return Network((1, 28, 28), (*layers, Layer("f0", "fc", widths[2], then=(table,)), Layer("f1", "fc", widths[3])))


def test_exclusive_nors_where_weights_and_activations_have_one_bit() -> None:
    checkpoint = random_network(one_bit((4, 5, 40, 10)), 1, "one-bit")
    assert (choose(checkpoint, Config()).conv.kind, choose(checkpoint, Config()).fc.kind) == ("signs", "xnor")
    assert choose(checkpoint, Config(fc_rows=3, early_fc=True)).fc.bits == 1
    assert choose(checkpoint, Config(packed=True)).fc.kind == "codebook"
    wider = {**checkpoint.arrays, "c1.table": np.clip(np.arange(-128, 128), -1, 1).astype(np.int8)}
    assert choose(Checkpoint(checkpoint.network, wider), Config()).fc.kind == "signs"
    # 37 inputs are no whole words: lanes without an input need a weight of zero.
    padded = random_network(one_bit((4, 5, 37, 10)), 1, "one-bit")
    assert (choose(padded, Config()).fc.kind, choose(padded, Config()).fc.bits) == ("signs", 2)
    # ReLU's codes have more than one bit.
    usual = random_network(one_bit((4, 5, 40, 10), table="relu"), 1, "binary")
    assert choose(usual, Config()).fc.kind == "signs"


@pytest.mark.parametrize("values", [((-3, 3),), ((-1, 0, 1),), ((1,),)])
def test_weights_of_one_bit_are_two_signs(values) -> None:
    with pytest.raises(ValueError, match=r"signs are -s|of one bit are -s and s"):
        WeightForm("xnor", values)
