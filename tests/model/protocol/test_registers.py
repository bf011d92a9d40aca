"""The register map has no two things in one place."""

import pytest

from fivebyfive.hw.conv.conv_controller import conv_states
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.network import Layer, Network
from fivebyfive.model.protocol.identity import identity, network_mark, tables_mark
from fivebyfive.model.protocol.registers import (
    ACCESSES,
    CONV_STATE_BITS,
    MAP,
    WINDOW_BYTES,
    decode,
    encode,
    field_mask,
    register,
)


def test_registers_lie_apart() -> None:
    offsets = [entry.offset for entry in MAP]
    assert offsets == sorted(set(offsets))
    assert all(offset % 4 == 0 and offset < WINDOW_BYTES for offset in offsets)
    assert len({entry.name for entry in MAP}) == len(MAP)


@pytest.mark.parametrize("entry", MAP, ids=lambda entry: entry.name)
def test_fields_lie_apart(entry) -> None:
    assert entry.access in ACCESSES
    used = 0
    for field in entry.fields:
        assert field.low + field.width <= 32
        assert not used & field.mask, field.name
        used |= field.mask
    assert not (entry.reset or 0) & ~used


def test_words_and_fields() -> None:
    word = encode("frame", pixels=784, pixel_bytes=4, result_words=4)
    assert word == 784 | 4 << 20 | 4 << 24
    assert decode("frame", word) == {"pixels": 784, "pixel_bytes": 4, "result_words": 4}
    assert field_mask("errors", "long_frame") == 2
    assert register("id").reset == int.from_bytes(b"L5x5", "little")
    with pytest.raises(ValueError, match=r"frame\.pixel_bytes has 4 bits, 16 does not fit"):
        encode("frame", pixel_bytes=16)


def test_every_network_has_room_in_the_registers() -> None:
    """The largest image, the most layers and classes."""
    convs = [Layer(f"c{n}", "conv", 1, 7, 2, (3, 3, 3, 3)) for n in range(8)]
    fc = [Layer(f"f{n}", "fc", 256, then=("table",)) for n in range(4)]
    checkpoint = Checkpoint.random(Network((16, 128, 128), (*convs, *fc)), 1)
    network = checkpoint.network
    said = identity(network, sized(network), checkpoint.tables, 4)
    assert {name: decode(name, encode(name, **fields)) for name, fields in said.items()} == said
    assert {entry.name for entry in MAP if entry.reset is None} == set(said)
    assert len(conv_states(8)) <= 1 << CONV_STATE_BITS


def test_marks_tell_networks_and_tables_apart() -> None:
    networks = [Network((1, 4, 4), (Layer("f", "fc", 2, then=then),)) for then in ((), ("relu",), ("table",))]
    assert len({network_mark(network) for network in networks}) == 3
    tables = [Checkpoint.random(networks[2], seed).tables for seed in (1, 2)]
    assert len({tables_mark(one) for one in (*tables, {})}) == 3
    assert tables_mark({}) == 0
