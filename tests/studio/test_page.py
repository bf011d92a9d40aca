"""The page of `fivebyfive studio` in Chromium: what one does there, and what one sees.

Its own tests run in `make test-studio`; in every test run one digit is drawn and read.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error, expect

from fivebyfive.model.checkpoint import SHIPPED

from .strokes import DIGITS, STYLES

PAGE = Path(__file__).parents[2] / "docs" / "studio.md"
WIDTHS = (1280, 768, 380)
RIGHT = 48  # of the fifty drawn digits, at least


def test_a_drawn_digit_is_read(own_server, open_studio) -> None:
    """By the network that takes the fewest cycles."""
    studio = open_studio(own_server(str(SHIPPED.with_name("narrow.npz"))))
    assert studio.read(DIGITS[7]) == "7"
    studio.no_message()


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_ten_digits(server, open_studio, width: int, theme: str) -> None:
    studio = open_studio(server, width, theme)
    studio.check_accessibility()
    assert [studio.read(strokes) for strokes in DIGITS.values()] == [str(digit) for digit in DIGITS]
    studio.page.wait_for_selector(".wave li .bit, .wave li .bus", timeout=30_000)
    studio.check_accessibility()
    studio.check_width()
    studio.no_message()


@pytest.mark.full
def test_fifty_digits_in_five_styles(server, open_studio) -> None:
    studio = open_studio(server)
    wrong = []
    for style, (pen, change) in STYLES.items():
        for digit, strokes in DIGITS.items():
            if (label := studio.read(change(strokes), pen)) != str(digit):
                wrong.append(f"{digit}, {style}: {label}")
    right = len(STYLES) * len(DIGITS) - len(wrong)
    assert right >= RIGHT, wrong
    assert f"it reads {right} of 50;" in PAGE.read_text(), wrong


@pytest.mark.full
def test_touch(server, open_studio) -> None:
    """A finger draws, and the page stays where it is."""
    studio = open_studio(server, 380, has_touch=True, is_mobile=True)
    touch = studio.page.context.new_cdp_session(studio.page)
    box = studio.page.locator("#pad").bounding_box()
    for stroke in DIGITS[4]:
        for number, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if number else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert "read as 4." in studio.announced()
    assert studio.page.evaluate("scrollY") == 0


@pytest.mark.full
def test_keyboard(server, open_studio) -> None:
    """From the first Tab on: the pad is reached, a digit is drawn with the arrow keys, read, undone, cleared."""
    studio = open_studio(server)
    keys = studio.page.keyboard
    for _ in range(12):
        keys.press("Tab")
        if studio.page.locator("#pad:focus").count():
            break
    pad = studio.page.locator("#pad:focus")
    assert pad.count() == 1
    for key, times in [("ArrowUp", 8), ("ArrowLeft", 5), (" ", 1), ("ArrowRight", 10), ("ArrowDown", 17), (" ", 1)]:
        for _ in range(times):
            keys.press(key)
    keys.press("Enter")
    assert "read as 7." in studio.announced()
    keys.press("Backspace")
    assert studio.page.locator("#pad.empty").count() == 1
    studio.page.wait_for_selector("#announcement:empty", state="attached")
    keys.press(" ")
    keys.press("Shift+ArrowDown")
    assert studio.page.locator("#pad path").count() == 1
    keys.press("Escape")
    assert studio.page.locator("#pad path").count() == 0


@pytest.mark.full
def test_pictures_and_test_images(server, open_studio, tmp_path) -> None:
    studio = open_studio(server)
    studio.page.locator("#sample input").fill("17")
    studio.page.locator("#sample button[type=submit]").click()
    assert "read as 7." in studio.announced()  # the label of MNIST's test image 17
    assert studio.text("#about") == "MNIST test image 17, labelled 7"

    picture = np.full((90, 70, 3), 250, np.uint8)  # a one: dark ink on paper
    picture[15:75, 32:39] = 40
    Image.fromarray(picture).save(tmp_path / "one.png")
    studio.page.locator("#picture").set_input_files(tmp_path / "one.png")
    assert "read as 1." in studio.announced()
    assert studio.text("#about") == "one.png"
    studio.no_message()

    studio.expect_refusal()
    Image.fromarray(np.full((90, 70), 250, np.uint8)).save(tmp_path / "blank.png")
    studio.page.locator("#picture").set_input_files(tmp_path / "blank.png")
    assert "\n" not in studio.message()
    (tmp_path / "text.png").write_text("not a picture")
    studio.page.locator("#picture").set_input_files(tmp_path / "text.png")
    studio.page.wait_for_selector("#problems p:has-text('PNG')")
    assert "\n" not in studio.message()
    assert studio.read(DIGITS[3]) == "3"
    studio.no_message()


@pytest.mark.full
def test_two_machines_side_by_side(server, open_studio) -> None:
    """The same digit goes to both; a reload keeps them."""
    studio = open_studio(server)
    studio.page.locator(".beside").click()
    studio.wait_for_machines(2)
    second = studio.page.locator(".machine").nth(1)
    second.locator("select[name=conv_pes]").select_option("4")
    studio.page.wait_for_selector("h2:has-text('100 + 20')", timeout=240_000)
    studio.draw(DIGITS[2])
    lines = studio.announced().splitlines()
    assert [line.startswith(f"lenet, {size} multipliers: read as 2. Every value") for line, size in
            zip(lines, ("25 + 20", "100 + 20"), strict=True)] == [True, True]  # fmt: skip
    cycles = [int(re.search(r"([\d,]+) cycles", line)[1].replace(",", "")) for line in lines]
    assert cycles[1] < cycles[0] / 2
    studio.check_accessibility()
    studio.check_width()
    studio.page.reload()
    studio.wait_for_machines(2)
    assert studio.page.locator("h2:has-text('100 + 20')").count() == 1
    second.locator(".beside").click()
    assert studio.page.locator(".machine").count() == 1
    assert studio.read(DIGITS[5]) == "5"


@pytest.mark.full
def test_an_own_checkpoint(server, open_studio, tmp_path) -> None:
    studio = open_studio(server)
    own = studio.page.locator(".own")
    studio.expect_refusal()
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    own.set_input_files(tmp_path / "broken.npz")
    assert "\n" not in studio.message()
    assert studio.page.locator("h2:has-text('lenet, 25 + 20')").count() == 1

    own.set_input_files(SHIPPED.with_name("narrow.npz"))
    studio.page.wait_for_selector("h2:has-text('lenet, 25 + 20')", state="detached", timeout=30_000)
    studio.page.wait_for_selector(".layers figcaption:has-text('8 \u00d7 12 \u00d7 12')", timeout=240_000)
    assert studio.page.locator("select[name=checkpoint] option:checked").inner_text().startswith("own")
    assert studio.read(DIGITS[2]) == "2"
    studio.no_message()


@pytest.mark.full
def test_cycle_by_cycle(server, open_studio) -> None:
    """State, busy units, maps and waveform follow the slider, which plays; the clock gives the time."""
    studio = open_studio(server, reduced_motion="reduce")
    page = studio.page
    assert studio.read(DIGITS[9]) == "9"
    page.wait_for_selector(".inside:visible", timeout=30_000)
    last = int(page.locator(".at").input_value())
    slider = page.locator(".timeline input")
    seen = set()
    for part in (0.1, 0.3, 0.5, 0.7):
        page.locator(".at").fill(str(int(last * part)))
        page.locator(".at").press("Enter")
        busy = page.locator(".diagram .busy").evaluate_all("all => all.map(one => one.dataset.unit)")
        seen.add(tuple(busy))
        assert slider.get_attribute("aria-valuetext").endswith(studio.text(".state"))
        assert re.fullmatch(r"[A-Z0-9_]+", studio.text(".state"))
        page.wait_for_selector(".wave:not(.old) li path", timeout=10_000)
        assert page.locator(".wave .axis span").nth(1).inner_text().replace(",", "") == str(int(last * part))
    assert len(seen) > 1
    assert page.locator(".wave li").count() >= 20
    before = studio.text(".state")
    page.locator(".on").click()
    assert studio.text(".state") != before
    slider.focus()
    here = int(slider.input_value())
    page.keyboard.press("ArrowRight")
    assert int(slider.input_value()) == here + 1
    page.locator(".play").click()
    expect(page.locator(".at")).not_to_have_value(str(here + 1))
    page.locator(".play").click()
    assert int(slider.input_value()) > here + 1
    assert studio.text(".play") == "Play"
    time = studio.text(".facts div:nth-child(2) dd")
    page.locator("#clock-number").fill("200")
    assert studio.text(".facts div:nth-child(2) dt") == "At 200 MHz"
    ratio = float(time.split()[0]) / float(studio.text(".facts div:nth-child(2) dd").split()[0])
    assert 1.9 < ratio < 2.1


@pytest.mark.full
def test_theme(server, open_studio) -> None:
    """The system's, until one chooses."""
    studio = open_studio(server, theme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = studio.page.evaluate(paper)
    studio.page.emulate_media(color_scheme="light")
    light = studio.page.evaluate(paper)
    assert light != dark
    studio.page.locator("#theme").click()
    assert studio.page.evaluate(paper) == dark
    studio.page.reload()
    studio.wait_for_machines()
    assert studio.page.evaluate(paper) == dark


@pytest.mark.full
def test_what_must_not_happen_is_noticed(server, open_studio) -> None:
    """By the checks that the other tests rely on."""
    studio = open_studio(server)
    page = studio.page
    studio.check_accessibility()
    page.evaluate("document.querySelector('#clock').removeAttribute('aria-label')")
    with pytest.raises(AssertionError, match="label"):
        studio.check_accessibility()
    studio.check_width()
    page.evaluate("document.querySelector('footer p').style.width = '2000px'")
    with pytest.raises(AssertionError):
        studio.check_width()
    page.evaluate("console.error('a message')")
    page.evaluate("void setTimeout(() => { throw new Error('an exception') })")
    page.evaluate("fetch('http://elsewhere.example/').catch(() => {})")  # the server's policy forbids it
    with pytest.raises(Error, match="ERR_FAILED"):
        page.goto("http://elsewhere.example/")
    for text in ("a message", "an exception", "Content Security Policy", "a request to http://elsewhere.example/"):
        assert [one for one in studio.wrong if text in one], text
    studio.wrong.clear()
