"""Pictures of one's own: whatever size and kind they have, the network is given what MNIST would hold."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.data import pictures
from fivebyfive.model.data.images import load_images
from fivebyfive.model.data.pictures import load_picture, mnist_form
from fivebyfive.model.golden import classify, predict
from fivebyfive.support.errors import UserError

from .photographs import Scene, photograph

COUNT = 34  # of which one may be read wrong
FEW = 5


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
    with pytest.raises(UserError, match=r"^.*a\.png: nothing in it stands out from its background; give a digit"):
        load_picture(tmp_path / "a.png")


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends where its pixels should begin: a reader that goes on fails in another way."""
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


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".webp", ".bmp", ".tif", ".pgm"])
def test_files_that_are_cut_off(tmp_path: Path, suffix: str) -> None:
    seven().save(tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    for length in (0, 1, 10, 100, len(whole) // 2):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"cut\.\w+ is (damaged|not a PNG, JPEG, GIF)") as raised:
            load_picture(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="No such file"):
        load_picture(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="it is a folder"):
        load_picture(tmp_path)


def test_a_damaged_tiff_is_refused_in_one_line(tmp_path: Path, capfd) -> None:
    """libtiff has its own opinion of it, on the process's standard error."""
    seven().save(tmp_path / "a.tif", compression="tiff_lzw")
    whole = bytearray((tmp_path / "a.tif").read_bytes())
    whole[8:60] = bytes(52)
    (tmp_path / "a.tif").write_bytes(whole)
    with pytest.raises(UserError, match=r"a\.tif is damaged"):
        load_picture(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    seven().save(tmp_path / "plain.jpg")
    seven().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.jpg"), load_picture(tmp_path / "plain.jpg"))


def same_as_mnist(digits, shots: list[Image.Image]) -> int:
    """How many pictures of the first digits the network takes for what it takes the digits for."""
    pixels = np.stack([mnist_form(np.asarray(shot)) for shot in shots])
    network = load_checkpoint()
    return int(np.sum(classify(predict(network, pixels)) == classify(predict(network, digits.images[: len(shots)]))))


LIGHTS = {
    "15 %": {"vignette": 0.15}, "35 %": {"vignette": 0.35}, "50 %": {"vignette": 0.5}, "lamp": {"lamp": 0.6},
    "strong lamp": {"lamp": 1.5}, "JPEG": {"vignette": 0.3, "quality": 40}, "pencil": {"paper": 190, "ink": 110},
    "chalk": {"paper": 60, "ink": 200, "vignette": 0.3}, "chalk, lamp": {"paper": 60, "ink": 200, "lamp": 1.0},
    "blue": {"paper": (230, 228, 220), "ink": (40, 60, 170), "vignette": 0.3},
    "yellow": {"paper": (250, 250, 250), "ink": (250, 240, 60)},
}  # fmt: skip


@pytest.mark.parametrize("pen", [None, 0.01, 0.05])
@pytest.mark.parametrize("light", LIGHTS)
def test_light_pen_and_colour_do_not_matter(digits, pen: float | None, light: str) -> None:
    """Pens of a hundredth of the side (a ball pen) to a brush, on paper as it is photographed."""
    rng = np.random.default_rng(5)
    scene = Scene(pen=pen, noise=2, **LIGHTS[light])
    assert same_as_mnist(digits, [photograph(digit, scene, rng) for digit in digits.images[:FEW]]) >= FEW - 1


@pytest.mark.parametrize("size", [20, 28, 40, 100, 1000])
def test_resolution_does_not_matter(digits, size: int) -> None:
    rng = np.random.default_rng(6)
    scene = Scene(size=size, vignette=0.3, noise=2)
    assert same_as_mnist(digits, [photograph(digit, scene, rng) for digit in digits.images[:FEW]]) == FEW


def test_a_line_of_one_pixel_is_no_speck(digits) -> None:
    rng = np.random.default_rng(7)
    shots = [photograph(digit, Scene(pen=0.005), rng) for digit in digits.images[:FEW]]
    assert same_as_mnist(digits, shots) >= FEW - 1


def test_no_digit_of_mnist_on_paper_is_refused(digits) -> None:
    """Broken strokes are no several digits, a wide 0 is no frame: 500 digits in a vignette, none refused."""
    rng = np.random.default_rng(9)
    scene = Scene(size=64, vignette=0.3, noise=3)
    pixels = np.stack([mnist_form(np.asarray(photograph(digit, scene, rng))) for digit in digits.images[:500]])
    assert np.mean(classify(predict(load_checkpoint(), pixels)) == digits.labels[:500]) >= 0.97


def test_28x28_on_grey_paper_is_cleaned(tmp_path: Path, digits) -> None:
    right = 0
    for digit, label in zip(digits.images[:FEW], digits.labels[:FEW], strict=True):
        Image.fromarray((200 - digit * 0.6).astype(np.uint8)).save(tmp_path / "a.png")
        right += class_of(tmp_path / "a.png") == label
        assert np.median(load_picture(tmp_path / "a.png")[0]) == 0
    assert right >= FEW - 1


def scenery(digits, **scene) -> np.ndarray:
    """A seven on paper, 200x200."""
    return np.asarray(photograph(digits.images[0], Scene(**scene), np.random.default_rng(8)).convert("L"))


def on_a_desk(digits, part: float, angle: float) -> Image.Image:
    """Paper with a digit on it that covers so much of a dark desk's side."""
    paper = Image.fromarray(scenery(digits)).resize((round(400 * part),) * 2).convert("RGBA").rotate(angle, expand=True)
    desk = Image.new("L", (400, 400), 60)
    desk.paste(paper.convert("L"), tuple((400 - side) // 2 for side in paper.size), paper)
    return desk


@pytest.mark.parametrize("angle", [0, 12, 30])
@pytest.mark.parametrize("part", [0.35, 0.5, 0.65, 0.8, 0.9])
def test_paper_on_a_desk_is_refused(digits, part: float, angle: float) -> None:
    said = r"solid area: paper on a desk|% of its border: a desk|border to border|a frame\?|separate shapes"
    with pytest.raises(ValueError, match=said):
        mnist_form(np.asarray(on_a_desk(digits, part, angle)))


@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
@pytest.mark.parametrize("width", [2, 8])
def test_a_frame_is_refused(digits, kind: str, width: int) -> None:
    image = Image.fromarray(scenery(digits))
    getattr(ImageDraw.Draw(image), kind)((12, 12, 188, 188), outline=40, width=width)
    with pytest.raises(ValueError, match=r"what stands out is around something else: a frame\? crop it"):
        mnist_form(np.asarray(image))
    image = Image.fromarray(scenery(digits))
    ImageDraw.Draw(image).rectangle((0, 0, 199, 199), outline=40, width=width)
    with pytest.raises(ValueError, match=r"covers \d+ % of its border: a desk, a frame, a shadow\? crop it"):
        mnist_form(np.asarray(image))


@pytest.mark.parametrize("pen", [None, 0.01, 0.03])
def test_several_digits_are_refused(digits, pen: float | None) -> None:
    rng = np.random.default_rng(4)
    for count in (2, 3, 5):
        parts = [photograph(digit, Scene(pen=pen), rng).convert("L") for digit in digits.images[1 : 1 + count]]
        row = np.pad(np.hstack([np.asarray(part)[:, 30:170] for part in parts]), ((0, 0), (40, 40)), mode="edge")
        for picture in (row, 255 - row):
            with pytest.raises(ValueError, match=rf"{count} separate shapes are in it: several digits\? crop it"):
                mnist_form(picture)


def test_ruled_paper_is_refused_where_its_lines_are_strong(digits) -> None:
    picture = scenery(digits).copy()
    picture[10::20] = picture[11::20] = 110
    with pytest.raises(ValueError, match=r"% of its border|a line reaches from border to border"):
        mnist_form(picture)


def test_light_alone_is_no_digit() -> None:
    blank = np.zeros((28, 28), np.uint8)
    for scene in (Scene(vignette=0.5, lamp=1.5), Scene(vignette=0.3, noise=2), Scene(noise=12)):
        with pytest.raises(ValueError, match="nothing in it stands out"):
            mnist_form(np.asarray(photograph(blank, scene, np.random.default_rng(3))))


def test_what_reaches_the_border_is_said(tmp_path: Path, digits) -> None:
    picture = scenery(digits).copy()
    picture[:40, 20:26] = 40
    Image.fromarray(picture).save(tmp_path / "a [1].png")
    images = load_images(tmp_path / "a [1].png")
    said = "ink reaches its border; it may be cut off, or no part of the digit"
    assert images.remarks == (f"{tmp_path}/a [1].png: {said}",)


def test_a_wide_one_is_said(tmp_path: Path) -> None:
    image = Image.new("L", (300, 200), 230)
    ImageDraw.Draw(image).line([(40, 120), (90, 80), (140, 120), (190, 80), (250, 120)], fill=20, width=8)
    image.save(tmp_path / "a.png")
    assert load_images(tmp_path).remarks == (f"{tmp_path}/a.png: it is wider than a digit; are there several?",)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_few_bits_in_sixteen(tmp_path: Path, bits: int) -> None:
    seven().save(tmp_path / "plain.png")
    deep = np.asarray(seven(), np.uint16) * ((2**bits - 1) // 255)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert class_of(tmp_path / "a.png") == 7
    np.testing.assert_allclose(load_picture(tmp_path / "a.png"), load_picture(tmp_path / "plain.png"), atol=2)


def sixteen_bit_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a sample, uint16 (H, W, C), which Pillow reads but does not write."""
    height, width, samples = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)), (b"IDAT", zlib.compress(rows)))
    made = b"\x89PNG\r\n\x1a\n"
    for name, body in (*chunks, (b"IEND", b"")):
        made += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return made


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
@pytest.mark.parametrize("largest", [4095, 65535])
def test_sixteen_bits_of_colour(tmp_path: Path, samples: int, largest: int) -> None:
    grey = np.asarray(seven(), np.uint16)[..., np.newaxis] * (largest // 255)
    colours = [grey] * (samples - (samples % 2 == 0)) + [np.full_like(grey, 65535)] * (samples % 2 == 0)
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(np.concatenate(colours, axis=2)))
    assert class_of(tmp_path / "a.png") == 7


def test_a_pen_that_only_one_channel_shows(tmp_path: Path) -> None:
    seven().save(tmp_path / "plain.png")
    for ink, paper in (((255, 255, 0), (255, 255, 255)), ((0, 0, 255), (0, 0, 0)), ((255, 0, 0), (0, 130, 0))):
        seven(ink=ink, paper=paper, mode="RGB").save(tmp_path / "a.png")
        np.testing.assert_allclose(load_picture(tmp_path / "a.png"), load_picture(tmp_path / "plain.png"), atol=2)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.gif", "P"), ("a.webp", "RGB"), ("a.webp", "RGBA"), ("a.bmp", "L"), ("a.bmp", "1"), ("a.tif", "L"),
     ("a.tif", "CMYK"), ("a.tiff", "F"), ("a.tif", "I;16"), ("a.pgm", "L"), ("a.ppm", "RGB"), ("a.pbm", "1"),
     ("a.jpg", "CMYK"), ("a.JPEG", "L")],
)  # fmt: skip
def test_every_kind_of_file(tmp_path: Path, name: str, mode: str) -> None:
    seven().save(tmp_path / "plain.png")
    picture = Image.fromarray(np.asarray(seven(), np.uint16) * 257) if mode == "I;16" else seven().convert(mode)
    picture.save(tmp_path / name)
    (only,) = load_images(tmp_path / name).pixels
    assert class_of(tmp_path / name) == 7
    if not name.lower().endswith(("jpg", "jpeg", "webp")):  # those lose something
        np.testing.assert_array_equal(only, load_picture(tmp_path / "plain.png"))


def test_the_first_frame_is_taken_and_that_is_said(tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        seven().save(tmp_path / name, save_all=True, append_images=[seven().rotate(90), seven().rotate(180)])
        images = load_images(tmp_path / name)
        assert images.remarks == (f"{tmp_path / name}: the first of its 3 frames is taken",)
        assert class_of(tmp_path / name) == 7


def test_a_folder_and_a_single_file(tmp_path: Path) -> None:
    seven().save(tmp_path / "b.jpg")
    seven().rotate(180).save(tmp_path / "a.PNG", format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    images = load_images(tmp_path)
    assert images.names == ("a", "b")
    only = load_images(tmp_path / "b.jpg")
    assert (only.names, only.source) == (("b",), "b.jpg")
    np.testing.assert_array_equal(only.pixels[0], images.pixels[1])
