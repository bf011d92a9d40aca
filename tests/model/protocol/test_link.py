"""Frames of the serial line: what is sent is found again, whatever happens before, and nothing else is."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivebyfive.model.protocol.link import (
    CHUNK,
    CHUNKS,
    FLAG,
    LARGEST,
    MOST_CHUNKS,
    PAGE,
    PAGES,
    Decoder,
    Frame,
    Info,
    Kind,
    Missing,
    Result,
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


def test_an_image_is_a_whole_number_of_everything() -> None:
    assert CHUNK * CHUNKS == 784
    assert PAGE * PAGES == CHUNKS
    image = np.arange(784).astype(np.uint8).reshape(28, 28)
    sent = [pixel_frame(7, image, first, 4) for first in range(0, CHUNKS, 4)]
    assert b"".join(frame.payload[1:] for frame in sent) == image.tobytes()
    assert [frame.payload[0] for frame in sent] == list(range(0, CHUNKS, 4))
    assert len(pixel_frame(7, image, 0, MOST_CHUNKS).payload) == LARGEST
    assert {(frame.kind, frame.sequence) for frame in sent} == {(Kind.PIXELS, 7)}


def test_answers() -> None:
    info = Info(1, 10, b"digested")
    assert Info.unpack(info.pack()) == info
    missing = Missing.unpack((0b1011 << 28 | 0xFFFFFF0).to_bytes(4, "little"))
    assert missing.chunks == [84, 85, 86, 87]
    assert (missing.page, missing.number) == (3, 2)
    assert question(5, 3, 6) == Frame(Kind.ASK, 5, bytes([0b1011]))
    result = Result.unpack(bytes([1]) + (95_885).to_bytes(3, "little") + bytes([0x80, 0x7F]))
    assert (result.index, result.latency, result.logits.tolist()) == (1, 95_885, [-128, 127])
    for kind, payload in ((Info, b"123"), (Missing, b"12345"), (Result, b"\0\0\0\0"), (Result, b"\2\0\0\0ab")):
        with pytest.raises(ValueError, match="bytes"):
            kind.unpack(payload)
