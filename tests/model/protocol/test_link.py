"""Frames of the serial line: what is sent is found again, whatever happens before, and nothing else is."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivebyfive.model.protocol.link import (
    CHUNK,
    FLAG,
    LARGEST,
    MOST_CHUNKS,
    NUMBER,
    PAGE,
    PAGE_BITS,
    PART,
    Decoder,
    Frame,
    Info,
    Kind,
    Missing,
    Result,
    chunks,
    encode,
    pixel_frame,
    question,
)  # fmt: skip

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=LARGEST))


def test_a_frame_by_hand() -> None:
    body = bytes([2, 3, 0x7E, 0x01, 0x7D, 0x55])
    crc = zlib.crc32(body).to_bytes(4, "little")
    expected = bytes([0x7E, 2, 3, 0x7D, 0x5E, 0x01, 0x7D, 0x5D, 0x55]) + crc
    assert not set(crc) & {0x7E, 0x7D}
    assert encode(Frame(3, 0x017E, b"\x7d\x55")) == expected


@given(st.lists(frames, max_size=5), st.binary(max_size=20))
def test_frames_behind_garbage(sent: list[Frame], garbage: bytes) -> None:
    decoder = Decoder()
    got = decoder.feed(garbage)
    for frame in sent:
        got += decoder.feed(encode(frame))
    assert got == sent  # 20 random bytes are no frame


@given(frames, st.data())
def test_a_byte_that_is_lost_added_or_changed(frame: Frame, data) -> None:
    line = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(line) - 1))
    how = data.draw(st.sampled_from(("lost", "added", "changed")))
    if how == "lost":
        del line[place]
    elif how == "added":
        line.insert(place, data.draw(st.integers(0, 255)))
    else:
        line[place] ^= data.draw(st.integers(1, 255))
    decoder = Decoder()
    assert [one for one in decoder.feed(line) if one != frame] == []  # nothing, or what was sent
    assert decoder.feed(encode(frame)) == [frame]  # the next one is found


def test_bad_frames_are_counted() -> None:
    decoder = Decoder()
    line = bytearray(encode(Frame(1, 2, b"abc")))
    line[-1] ^= 1 if line[-1] ^ 1 not in (0x7D, 0x7E) else 2
    decoder.feed(line)
    assert decoder.bad == 1
    decoder.feed(encode(Frame(1, 2, b"abc"))[:-1] + bytes([FLAG]))
    assert decoder.bad == 2


@pytest.mark.parametrize("size", [(28, 28), (3, 5, 7), (3, 32, 32), (16, 128, 128)])
def test_chunks_of_an_image(size: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    sent = [pixel_frame(7, image, first, 1) for first in range(chunks(image.size))]
    assert b"".join(frame.payload[NUMBER:] for frame in sent)[: image.size] == image.tobytes()
    assert {len(frame.payload) for frame in sent} == {NUMBER + CHUNK}
    assert [int.from_bytes(frame.payload[:NUMBER], "little") for frame in sent] == list(range(chunks(image.size)))
    assert len(pixel_frame(7, image, 0, MOST_CHUNKS).payload) == LARGEST
    assert {(frame.kind, frame.sequence) for frame in sent} == {(Kind.PIXELS, 7)}


def test_numbers_have_room_for_the_largest_image() -> None:
    count = chunks(16 * 128 * 128)
    assert count <= 1 << 8 * NUMBER
    assert count // PAGE <= 1 << PAGE_BITS
    assert count // PART <= 256
    assert PART % PAGE == 0
    assert LARGEST <= 64


def test_answers() -> None:
    info = Info(2, 256, (16, 128, 128), b"digested")
    assert Info.unpack(info.pack()) == info
    assert info.pack()[0] == 2  # of every version
    assert info.pixels == 262_144
    missing = Missing.unpack((0xFFFFFFF0).to_bytes(4, "little") + (2 << 14 | 1000).to_bytes(2, "little") + b"\xfa")
    assert missing.chunks == [32_000, 32_001, 32_002, 32_003]
    assert (missing.page, missing.number, missing.part) == (1000, 2, 250)
    assert question(5, 1000, 6) == Frame(Kind.ASK, 5, (2 << 14 | 1000).to_bytes(2, "little"))
    result = Result.unpack(bytes([0, 1]) + (95_885).to_bytes(4, "little") + bytes([0x80, 0x7F]))
    assert (result.page, result.index, result.latency, result.logits.tolist()) == (0, 1, 95_885, [-128, 127])
    nothing = Info(2, 0, (1, 28, 28), b"digested").pack()
    for kind, payload in ((Info, b"123"), (Info, nothing), (Missing, b"12345"), (Result, bytes(6))):
        with pytest.raises(ValueError, match="bytes"):
            kind.unpack(payload)
