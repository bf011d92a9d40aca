"""simulate --show: what is drawn in a terminal, in a narrow one, without colours, and in a pipe."""

import io

import numpy as np
import pytest
from rich.console import Console

from fivebyfive.output.picture import PALETTE, Digit
from fivebyfive.output.simulation.terminal_picture import HALF, MOST_DIGITS, RAMP, draw_in_terminal


def digit(classes: int = 10, channels: int = 3) -> Digit:
    """A dot on black; maps of which the first has a full dot; logits that fall."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[10:12, 5] = 255
    maps = np.zeros((channels, 12, 12), np.int8)
    maps[0, 0:2, 0] = 100
    logits = np.arange(classes, 0, -1).astype(np.int8) - 3
    return Digit(
        "class 0", "image a\nlabel 7", pixels, {"c1": maps, "f1": np.arange(-9, 41).astype(np.int8), "f2": logits}
    )


def drawn(digits: list[Digit], width: int = 80, labels: tuple[str, ...] | None = None, **options) -> str:
    out = Console(file=io.StringIO(), width=width, highlight=False, markup=False, **options)
    draw_in_terminal(digits, labels, out)
    return out.file.getvalue()


COLOURS = {"force_terminal": True, "color_system": "truecolor"}


def test_a_pipe_gets_plain_characters() -> None:
    said = drawn([digit()])
    assert said.isascii()
    assert "\x1b" not in said
    lines = said.splitlines()
    assert lines[:2] == ["class 0, image a label 7", "input 28x28"]
    assert lines[2 + 5] == "     @"  # pixels of rows 10 and 11
    first = lines.index("c1: 3 maps of 12x12, codes 0 to 100") + 1
    assert lines[first] == "@"
    assert "f1: 50 values, codes -9 to 40" in lines
    bars = lines[lines.index("logits: f2") + 1 :][:10]
    assert bars[0].startswith("0    7 ###")
    assert bars[0].endswith("# <")
    assert bars[9].startswith("9   -2 ---")
    assert not bars[9].endswith("<")
    assert all(character in RAMP for character in "".join(lines[2:16]))


def test_a_terminal_gets_half_blocks_in_colours() -> None:
    said = drawn([digit()], **COLOURS)
    assert HALF in said
    white, full = "38;2;255;255;255;48;2;255;255;255m", ";".join(map(str, PALETTE[255]))
    assert said.count(white + HALF) == 1  # the dot, of two pixels
    assert f"38;2;{full};48;2;{full}m{HALF}" in said


@pytest.mark.parametrize("options", [{**COLOURS, "no_color": True}, {"force_terminal": True, "color_system": None}])
def test_without_colours(options: dict) -> None:
    said = drawn([digit()], **options)
    assert HALF not in said
    assert "38;2" not in said
    assert "     @" in said.splitlines()


def test_no_color_of_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert HALF not in drawn([digit()], **COLOURS)


@pytest.mark.parametrize("width", [16, 20, 33, 60, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    said = drawn([digit(classes=40, channels=50)], width, tuple(f"label {number}" for number in range(40)))
    assert max(map(len, said.splitlines())) <= width
    assert said.count(" <\n") == 1
    assert len([line for line in said.splitlines() if " label" in line and "#" in line]) <= 16
    across = max(1, (width + 1) // 13)
    lines = said.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("c1: 50 maps"))
    end = next(number for number, line in enumerate(lines) if line.startswith("f1: 50 val"))
    assert end - start - 1 == 6 * -(-50 // across)


def test_many_images_and_any_words() -> None:
    said = drawn([digit()] * (MOST_DIGITS + 2), labels=("\x1b[31m", *"bcdefghij"))
    assert said.count("logits: f2") == MOST_DIGITS
    assert f"the first {MOST_DIGITS} of {MOST_DIGITS + 2} images are drawn" in said
    assert "\x1b" not in said
