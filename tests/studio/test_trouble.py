"""What may go wrong while the page is open: nothing breaks, and one clear message says what happened."""

import os
import signal
import time
from pathlib import Path

import pytest

from .strokes import DIGITS

pytestmark = pytest.mark.full


def test_two_pages_at_once(server, open_studio) -> None:
    one, other = open_studio(server), open_studio(server, 768, "dark")
    for left, right in ((1, 8), (6, 0), (3, 5)):
        one.draw(DIGITS[left])
        other.draw(DIGITS[right])
        for studio, digit in ((one, left), (other, right)):
            assert f"read as {digit}. Every value equals the golden model." in studio.announced()
            studio.no_message()


def test_a_reload_in_the_middle(server, open_studio) -> None:
    studio = open_studio(server)
    for delay in (0, 0.35, 0.5, 0.8):
        studio.draw(DIGITS[8])
        time.sleep(delay)
        studio.page.reload()
        studio.wait_for_machines()
        studio.no_message()
    assert studio.read(DIGITS[8]) == "8"
    studio.no_message()


def test_another_stroke_while_a_digit_is_read(server, open_studio) -> None:
    studio = open_studio(server)
    for delay in (0.3, 0.4, 0.5, 0.7):
        studio.draw(DIGITS[5][:1])
        time.sleep(delay)
        pad = studio.page.locator("#pad").bounding_box()
        (x, y), (to_x, to_y) = DIGITS[5][1]
        studio.page.mouse.move(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"])
        studio.page.mouse.down()
        studio.page.mouse.move(pad["x"] + to_x * pad["width"], pad["y"] + to_y * pad["height"], steps=5)
        studio.page.mouse.up()
        assert "read as 5. Every value equals the golden model." in studio.announced()
        studio.no_message()


def test_a_killed_simulator(own_server, open_studio) -> None:
    """The digit in it fails with one message; the next one is read."""
    running = own_server()
    studio = open_studio(running)
    assert studio.read(DIGITS[4]) == "4"
    simulators = running.simulators()
    assert simulators
    for number in simulators:  # stopped, it still has the digit when it is killed
        os.kill(number, signal.SIGSTOP)
    studio.draw(DIGITS[6])
    studio.page.wait_for_selector(".machine.reading")
    time.sleep(0.5)
    for number in simulators:
        os.kill(number, signal.SIGKILL)
    assert "simulator" in studio.message()
    assert studio.read(DIGITS[6]) == "6"
    studio.no_message()


def test_a_picture_of_100_mb(server, open_studio, tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(100 << 20)
    studio = open_studio(server)
    studio.page.locator("#picture").set_input_files(tmp_path / "large.png")
    assert studio.message().startswith("large.png has 100 MB. Give a file of at most ")
    assert studio.read(DIGITS[0]) == "0"
    studio.no_message()


def test_a_server_that_is_gone(own_server, open_studio) -> None:
    running = own_server()
    studio = open_studio(running)
    running.stop()
    studio.allowed = "net::ERR_"
    studio.draw(DIGITS[7])
    assert studio.message().startswith("The server does not answer. Is fivebyfive studio still running?")
