"""Images that a person names, whatever kind of pixels they are (refusals: tests/cli/test_refusals.py)."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fivebyfive.model.data.images import load_images
from fivebyfive.support.errors import UserError


@pytest.fixture
def pixels() -> np.ndarray:
    """28x28 on a dark border, which is taken as it is."""
    noise = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    return np.pad(noise[1:-1, 1:-1], 1)


def read_one(folder: Path, image: Image.Image, **options) -> np.ndarray:
    image.save(folder / "a.png", **options)
    (only,) = load_images(folder).pixels
    return only


def test_a_number_is_the_first_test_images(digits) -> None:
    images = load_images("3")
    np.testing.assert_array_equal(images.pixels, digits.images[:3])
    np.testing.assert_array_equal(images.labels, digits.labels[:3])
    assert images.names == ("0", "1", "2")
    assert len(load_images(10_000)) == 10_000


def test_a_file_of_pixels(tmp_path: Path) -> None:
    array = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    np.save(tmp_path / "f.npy", np.asfortranarray(array))
    images = load_images(tmp_path / "f.npy")
    np.testing.assert_array_equal(images.pixels, array)
    assert images.labels is None
    (tmp_path / "f.npy").unlink()  # nothing of it is still mapped
    assert images.pixels.sum() == array.sum()


def test_a_folder_whose_name_is_a_number_needs_a_path(tmp_path: Path, monkeypatch, pixels) -> None:
    monkeypatch.chdir(tmp_path)
    Path("5").mkdir()
    Image.fromarray(pixels).save("5/x.png")
    assert len(load_images("5")) == 5
    assert len(load_images("./5")) == 1


def test_pngs_are_sorted_and_other_files_left_alone(tmp_path: Path, pixels) -> None:
    for name, value in (("b", 1), ("a", 2), ("C", 3)):
        Image.fromarray(np.full((28, 28), value, np.uint8)).save(tmp_path / f"{name}.PNG", format="PNG")
    (tmp_path / "notes.txt").write_text("no image")
    images = load_images(tmp_path)
    assert images.names == ("C", "a", "b")
    assert list(images.pixels[:, 0, 0]) == [3, 2, 1]


def test_grey_is_taken_as_it_is(tmp_path: Path, pixels) -> None:
    np.testing.assert_array_equal(read_one(tmp_path, Image.fromarray(pixels)), pixels)


@given(st.binary(min_size=26 * 26, max_size=26 * 26), st.sampled_from(["L", "RGB", "RGBA", "I;16"]), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_any_pixels_come_back_from_any_png(tmp_path_factory, inner, mode, level) -> None:
    pixels = np.pad(np.frombuffer(inner, np.uint8).reshape(26, 26), 1)  # a dark border: taken as it is
    pixels[14, 14] = 255  # or sixteen bits would be taken for fewer
    deep = Image.fromarray(pixels.astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    read = read_one(tmp_path_factory.mktemp("any"), image, compress_level=level)
    np.testing.assert_array_equal(read, pixels)


def test_colour_is_made_grey(tmp_path: Path, pixels) -> None:
    colour = Image.fromarray(np.stack([pixels] * 3, axis=2))
    np.testing.assert_array_equal(read_one(tmp_path, colour), pixels)
    palette = Image.fromarray(pixels).convert("P")
    np.testing.assert_array_equal(read_one(tmp_path, palette), pixels)


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path, pixels) -> None:
    deep = Image.fromarray(pixels.astype(np.uint16) * 256 + 77)
    np.testing.assert_array_equal(read_one(tmp_path, deep), pixels)


def test_black_and_white(tmp_path: Path, pixels) -> None:
    np.testing.assert_array_equal(read_one(tmp_path, Image.fromarray(pixels > 127)), np.where(pixels > 127, 255, 0))


def test_transparency_is_black(tmp_path: Path, pixels) -> None:
    ink = Image.fromarray(np.full((28, 28), 255, np.uint8)).convert("RGBA")
    ink.putalpha(Image.fromarray(pixels))
    np.testing.assert_allclose(read_one(tmp_path, ink), pixels, atol=1)


@pytest.mark.parametrize(("side", "said"), [(10_000, "10000x10000 pixels"), (20_000, "cannot be read")])
def test_a_gigantic_png_is_refused_unread(tmp_path: Path, side: int, said: str) -> None:
    Image.new("1", (side, side)).save(tmp_path / "big.png")
    with pytest.raises(UserError, match=said):
        load_images(tmp_path)


@pytest.mark.parametrize("name", ["picture", "picture.npy", "picture.dat"])
def test_a_file_is_what_it_begins_as(tmp_path: Path, pixels, name: str) -> None:
    Image.fromarray(pixels).save(tmp_path / name, format="PNG")
    np.testing.assert_array_equal(load_images(tmp_path / name).pixels[0], pixels)
    np.testing.assert_array_equal(load_images(tmp_path).pixels[0], pixels)
    np.save(tmp_path / "a.npy", pixels[np.newaxis])
    (tmp_path / "a.npy").rename(tmp_path / "a.png")
    np.testing.assert_array_equal(load_images(tmp_path / "a.png").pixels[0], pixels)


def test_what_is_neither_is_told_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("BMW, P1 and GIF: no pictures")
    said = r"notes\.txt is not a \.npy file or a picture; give uint8 \(N, 28, 28\) .*, or a PNG, JPEG, GIF, WebP"
    with pytest.raises(UserError, match=said):
        load_images(tmp_path / "notes.txt")
    with pytest.raises(UserError, match=r"has 0 pictures \(1 skipped, not pictures: notes\.txt\); give a folder"):
        load_images(tmp_path)


def test_what_a_folder_skips_is_counted_and_named(tmp_path: Path, pixels) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load_images(tmp_path).remarks == ()
    os.mkfifo(tmp_path / "b.png")  # would wait for ever
    (tmp_path / "c [x].txt").write_text("no image")
    (tmp_path / "d").mkdir()
    assert load_images(tmp_path).remarks == (f"{tmp_path}: 3 skipped, not pictures: b.png, c [x].txt, d",)
    for number in range(4):
        (tmp_path / f"e{number}").touch()
    (said,) = load_images(tmp_path).remarks
    assert said.endswith(": 7 skipped, not pictures: b.png, c [x].txt, d, e0, e1 and 2 more")


def test_two_of_one_name_keep_their_suffixes(tmp_path: Path, pixels) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    assert load_images(tmp_path).names == ("a.bmp", "a.png", "b.png")


def test_digits_lie_in_the_middle_of_a_larger_input(tmp_path: Path, digits, pixels) -> None:
    images = load_images("2", (3, 32, 30))
    assert images.pixels.shape == (2, 3, 32, 30)
    for channel in range(3):
        np.testing.assert_array_equal(images.pixels[:, channel, 2:-2, 1:-1], digits.images[:2])
    assert images.pixels.sum() == 3 * digits.images[:2].sum(dtype=int)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (said,) = load_images(tmp_path, (2, 28, 28)).remarks
    assert said.endswith(
        "the same in all 2 channels; for other images give uint8 (N, 2, 28, 28) as numpy.save writes it"
    )
    np.testing.assert_array_equal(load_images(tmp_path, (1, 30, 30)).pixels[0, 1:-1, 1:-1], pixels)


@pytest.mark.parametrize("size", [(1, 8, 9), (3, 4, 5), (2, 40, 28)])
def test_a_file_of_a_network_s_own_images(tmp_path: Path, size: tuple[int, int, int]) -> None:
    array = np.random.default_rng(3).integers(0, 256, (2, *size), np.uint8)
    np.save(tmp_path / "f.npy", array)
    np.testing.assert_array_equal(load_images(tmp_path / "f.npy", size).pixels, array)
    if size[0] == 1:
        np.save(tmp_path / "f.npy", array[:, 0])
        np.testing.assert_array_equal(load_images(tmp_path / "f.npy", size).pixels, array[:, 0])
    np.save(tmp_path / "f.npy", array[..., :-1])
    with pytest.raises(UserError, match=r"f\.npy holds uint8 \(2, .*; give uint8 \(N, .*\) as numpy\.save writes it"):
        load_images(tmp_path / "f.npy", size)


def test_digits_larger_than_the_input(tmp_path: Path, pixels) -> None:
    np.save(tmp_path / "f.npy", pixels[np.newaxis])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    said = r"takes images of 27x30, but these have 28x28; give uint8 \(N, 27, 30\) as numpy\.save writes it"
    for spec in ("3", tmp_path / "f.npy", tmp_path / "a.png", tmp_path):
        with pytest.raises(UserError, match=said):
            load_images(spec, (1, 27, 30))


def test_a_picture_on_standard_input(monkeypatch, digits):
    file = io.BytesIO()
    Image.fromarray(255 - digits.images[4]).save(file, "BMP")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.getvalue())))
    found = load_images("-", (1, 32, 32))
    assert np.array_equal(found.pixels[0, 2:-2, 2:-2], digits.images[4])
    assert (found.names, found.source, found.labels) == (("standard input",), "standard input", None)
    for data, said in (
        (b"hello", "standard input is not a PNG, "),
        (file.getvalue()[:300], "standard input is damaged"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(UserError, match=said):
            load_images("-")
