"""The register map has no two things in one place."""

import pytest

from fivebyfive.model.protocol.registers import ACCESSES, MAP, WINDOW_BYTES, decode, encode, field_mask, register


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
    assert word == 784 | 4 << 16 | 4 << 24
    assert decode("frame", word) == {"pixels": 784, "pixel_bytes": 4, "result_words": 4}
    assert field_mask("errors", "long_frame") == 2
    assert register("id").reset == int.from_bytes(b"L5x5", "little")
    with pytest.raises(ValueError, match=r"frame\.pixel_bytes has 8 bits, 256 does not fit"):
        encode("frame", pixel_bytes=256)
