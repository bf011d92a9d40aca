"""Pictures of one's own: whatever size and kind they have, the network is given what MNIST would hold."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fivebyfive.model import pictures
from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.errors import UserError
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.images import load_images
from fivebyfive.model.pictures import load_picture, mnist_form

COUNT = 100


def enlarged(digit: np.ndarray, rng: np.random.Generator, scale: int = 9) -> np.ndarray:
    """A digit somewhere in a picture of 400x480, uint8."""
    side = 28 * scale
    large = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))
    picture = np.zeros((400, 480), np.uint8)
    row, column = rng.integers(1, 400 - side), rng.integers(1, 480 - side)
    picture[row : row + side, column : column + side] = large
    return picture


def on_paper(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same as a photograph: dark on light, unevenly lit, with noise."""
    ink = enlarged(digit, rng) / 255
    paper = 210 - np.linspace(0, 70, ink.shape[1]) + rng.normal(0, 5, ink.shape)
    return np.clip(paper * (1 - 0.8 * ink), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "draw", [enlarged, on_paper, lambda digit, rng: 255 - enlarged(digit, rng), lambda *given: enlarged(*given, 3)]
)
def test_the_network_reads_them_as_it_reads_mnist(digits, draw) -> None:
    rng = np.random.default_rng(1)
    pixels = np.stack([mnist_form(draw(digit, rng)) for digit in digits.images[:COUNT]])
    right = classify(predict(load_checkpoint(), pixels)) == digits.labels[:COUNT]
    assert right.mean() >= 0.97
    centres = [[image.sum(axis) @ np.arange(28.0) / image.sum() for axis in (0, 1)] for image in pixels]
    assert np.abs(np.array(centres) - 14).max() <= 0.5
    boxes = [[np.ptp(np.flatnonzero(image.any(axis))) + 1 for axis in (0, 1)] for image in pixels]
    assert np.max(boxes) == 20


def test_a_digit_of_mnist_in_a_larger_picture_comes_out_as_it_was(digits) -> None:
    same = 0
    for digit in digits.images[:COUNT]:
        picture = np.zeros((60, 90), np.uint8)
        picture[5:33, 40:68] = digit
        same += np.array_equal(mnist_form(picture), digit)
    assert same >= 0.8 * COUNT  # others are 19 pixels long, or a faint row at their edge is no ink


def test_28x28_is_left_as_it_is_or_inverted(tmp_path: Path, digits) -> None:
    for number, digit in enumerate(digits.images[:20]):
        Image.fromarray(digit).save(tmp_path / "a.png")
        np.testing.assert_array_equal(load_picture(tmp_path / "a.png"), digit)
        Image.fromarray(255 - digit).save(tmp_path / "b.png")
        np.testing.assert_array_equal(load_picture(tmp_path / "b.png"), digit, f"digit {number}")


def seven(size: int = 300, width: int = 20, ink: object = 0, paper: object = 255, mode: str = "L") -> Image.Image:
    """A seven, drawn with a pen."""
    image = Image.new(mode, (size, size), paper)
    corners = [(size * x, size * y) for x, y in ((0.3, 0.2), (0.7, 0.2), (0.45, 0.8))]
    ImageDraw.Draw(image).line(corners, fill=ink, width=width, joint="curve")
    return image


def class_of(path: Path) -> int:
    return int(classify(predict(load_checkpoint(), load_picture(path)[np.newaxis]))[0])


@pytest.mark.parametrize("width", [2, 10, 40])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_drawing_with_any_pen(tmp_path: Path, width: int, suffix: str) -> None:
    seven(width=width).save(tmp_path / f"a{suffix}")
    assert class_of(tmp_path / f"a{suffix}") == 7
    assert load_picture(tmp_path / f"a{suffix}").max() == 255


def test_large_pictures(tmp_path: Path) -> None:
    seven(4000, 300).save(tmp_path / "a.jpg")
    assert class_of(tmp_path / "a.jpg") == 7
    seven(4000, 300, (90, 90, 255, 255), (0, 0, 0, 0), "RGBA").save(tmp_path / "b.png")
    assert class_of(tmp_path / "b.png") == 7
    deep = Image.fromarray(np.asarray(seven(2000, 150), dtype=np.uint16) * 257)
    deep.save(tmp_path / "c.png")
    assert class_of(tmp_path / "c.png") == 7


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation(tmp_path: Path, orientation: int) -> None:
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # what undoes each, as Image.Transpose
    image = seven()
    for turn in turns.get(orientation, []):
        image = image.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seven().save(tmp_path / "plain.png")
    image.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(load_picture(tmp_path / "turned.png"), load_picture(tmp_path / "plain.png"))


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0, 0, 0, 255), (255, 255, 255, 0)),  # dark ink on nothing
        ((255, 255, 255, 255), (0, 0, 0, 0)),  # light ink on nothing
        ((0, 0, 0, 255), (0, 0, 0, 0)),  # its nothing has the ink's colour
        ((200, 0, 0, 255), (255, 255, 200, 255)),  # all of it can be seen
    ],
)
def test_transparency(tmp_path: Path, ink: tuple, paper: tuple) -> None:
    seven().save(tmp_path / "plain.png")
    seven(ink=ink, paper=paper, mode="RGBA").save(tmp_path / "a.png")
    np.testing.assert_allclose(load_picture(tmp_path / "a.png"), load_picture(tmp_path / "plain.png"), atol=2)


def test_round_corners_are_no_ink(tmp_path: Path) -> None:
    image = seven().convert("RGBA")
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 299, 299), 40, fill=255)
    image.putalpha(mask)
    image.save(tmp_path / "a.png")
    seven().save(tmp_path / "plain.png")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png"), load_picture(tmp_path / "plain.png"))


def test_specks_are_no_ink(tmp_path: Path) -> None:
    pixels = np.array(seven())
    pixels[np.random.default_rng(2).integers(0, 300, 60), np.random.default_rng(3).integers(0, 300, 60)] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    seven().save(tmp_path / "plain.png")
    assert np.abs(load_picture(tmp_path / "a.png").astype(int) - load_picture(tmp_path / "plain.png")).max() < 60


def test_palettes_and_black_and_white(tmp_path: Path) -> None:
    seven().save(tmp_path / "plain.png")
    for name, image in (("p", seven().convert("P")), ("one", seven().convert("1")), ("la", seven().convert("LA"))):
        image.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(load_picture(tmp_path / f"{name}.png"), load_picture(tmp_path / "plain.png"))


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (28, 28), (29, 29), (640, 480)])
def test_a_picture_of_nothing(tmp_path: Path, size: tuple) -> None:
    Image.new("L", size, 230).save(tmp_path / "a.png")
    if size == (28, 28):  # MNIST's form: whatever it shows
        assert load_picture(tmp_path / "a.png").max() == 25
        return
    with pytest.raises(UserError, match=r"^.*a\.png: nothing in it stands out from its border; give a digit"):
        load_picture(tmp_path / "a.png")


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends where its pixels should begin: whoever reads on fails in another way."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">II", zlib.crc32(chunk), 1000) + b"IDAT"


def test_a_chunk_that_claims_four_gigabytes(tmp_path: Path) -> None:
    """Pillow asks the file for as many bytes as a chunk claims to have, and Python makes room for them."""
    path = tmp_path / "wild.png"
    Image.new("L", (40, 30)).save(path)
    data = path.read_bytes()
    at = data.index(b"IDAT") - 4
    path.write_bytes(data[:at] + b"\xff\xff\xff\xf0" + data[at + 4 :])
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"wild\.png"):
            load_picture(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 1 << 20)
    path = tmp_path / "large.png"
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(UserError, match=r"large\.png has 1048577 bytes; a picture has at most 1048576"):
        load_picture(path)


def test_size_is_judged_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    for width, height in ((8001, 8000), (64_000_001, 1), (9000, 9000)):
        path.write_bytes(png_header(width, height))
        with pytest.raises(UserError, match=rf"big\.png is {width}x{height} pixels; give one of at most 64 million"):
            load_picture(path)
    path.write_bytes(png_header(2**31 - 1, 2**31 - 1))
    with pytest.raises(UserError, match=r"big\.png is damaged or cannot be read"):
        load_picture(path)
    path.write_bytes(png_header(8000, 8000))  # so much is allowed, but it is not there
    with pytest.raises(UserError, match=r"big\.png is damaged or cannot be read"):
        load_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_files_that_are_cut_off(tmp_path: Path, suffix: str) -> None:
    seven().save(tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    for length in (0, 1, 10, 100, len(whole) // 2):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"cut\.\w+ is (damaged|not a PNG or JPEG)") as raised:
            load_picture(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="No such file"):
        load_picture(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="it is a folder"):
        load_picture(tmp_path)


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    seven().save(tmp_path / "plain.jpg")
    seven().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.jpg"), load_picture(tmp_path / "plain.jpg"))


def test_a_folder_and_a_single_file(tmp_path: Path) -> None:
    seven().save(tmp_path / "b.jpg")
    seven().rotate(180).save(tmp_path / "a.PNG", format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    images = load_images(tmp_path)
    assert images.names == ("a", "b")
    only = load_images(tmp_path / "b.jpg")
    assert (only.names, only.source) == (("b",), "b.jpg")
    np.testing.assert_array_equal(only.pixels[0], images.pixels[1])
