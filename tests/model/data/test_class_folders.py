"""Folders of classes, with pictures in them."""

import numpy as np
import pytest
from PIL import Image

from fivebyfive.model.data import class_folders
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.support.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 20, 24), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (4, 20, 24, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


def save(folder, images, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{number:02}.{suffix}")


def test_every_fifth_picture_is_a_test_image(folder):
    save(folder / "b", GREY[:7])
    save(folder / "a", GREY[7:])
    (folder / "a" / "notes.txt").write_text("no picture")
    (folder / ".hidden").mkdir()
    (folder / "a" / "._00.png").write_bytes(b"of another system")
    remarks = []
    train = load_dataset(folder, "train", remark=remarks.append)
    assert remarks == []
    test = load_dataset(folder, "test", remark=remarks.append)
    assert np.array_equal(train.images, [*GREY[7:11], *GREY[:4], *GREY[5:7]])
    assert train.labels.tolist() == [0] * 4 + [1] * 6
    assert np.array_equal(test.images, [GREY[11], GREY[4]])
    assert (test.labels.tolist(), test.name, test.size) == ([0, 1], "mine-test", (1, 20, 24))
    assert [line.split(": ")[1][:40] for line in remarks] == [
        "every fifth picture of a class is a test", "1 files are skipped, not pictures",
    ]  # fmt: skip


def test_train_and_test_have_the_same_classes(folder):
    for split, images in (("train", GREY[:4]), ("test", GREY[4:8])):
        save(folder / split / "dog", images[:2])
        save(folder / split / "cat", images[2:])
    remarks = []
    test = load_dataset(folder, "test", remark=remarks.append)
    assert np.array_equal(test.images, GREY[[6, 7, 4, 5]])
    assert test.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(load_dataset(folder, "train").images, GREY[[2, 3, 0, 1]])
    assert remarks == []
    save(folder / "test" / "cow", GREY[:1])
    with pytest.raises(UserError, match=r"test has a class that .*train lacks: cow"):
        load_dataset(folder)


def test_sizes_and_colours_are_those_of_all_pictures(folder):
    """The training images are grey and of one size, those of the test are not: both are in the form of all."""
    save(folder / "train" / "x", GREY[:4])
    save(folder / "test" / "x", COLOUR[:2])
    save(folder / "test" / "y", [COLOUR[0, :10]])
    (folder / "train" / "y").mkdir()
    remarks = []
    test = load_dataset(folder, "test", remark=remarks.append)
    assert test.size == (3, 20, 24)
    assert np.array_equal(test.images[:2], COLOUR[:2].transpose(0, 3, 1, 2))
    assert remarks == [
        f"{folder}: 1 of 7 pictures are resized to 20x24, the size of most",
        f"{folder}: grey pictures are taken as colour ones, as others are in colour",
    ]
    train = load_dataset(folder, "train")
    assert np.array_equal(train.images, np.broadcast_to(GREY[:4, np.newaxis], (4, 3, 20, 24)))


def test_pictures_are_taken_as_they_are(folder):
    """Neither inverted nor centred, whatever their kind; turned as the camera was held."""
    white = 255 - GREY[:1]
    save(folder / "train" / "x", white)
    save(folder / "test" / "x", white, "bmp")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(white[0]).copy()).save(folder / "test" / "x" / "turned.png", exif=exif)
    remarks = []
    assert np.array_equal(load_dataset(folder, "test", remark=remarks.append).images, [white[0], white[0]])
    assert remarks == []
    assert np.array_equal(load_dataset(folder, "train").images, white)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda at: at.mkdir(), "has no file t10k-images-idx3-ubyte"),
        (lambda at: (at / "x").mkdir(parents=True), "mine has no pictures to test with; give folders of PNG"),
        (lambda at: save(at / "x", GREY[:4]), "mine has no pictures to test with"),
        (lambda at: save(at / "train" / "x", GREY[:5]), "mine has a folder train alone; give both train and test"),
        (lambda at: save(at / "x", [np.zeros((300, 40), np.uint8)] * 5), "images are 300x40; networks take 4 to 128"),
        (lambda at: [(at / f"{n:03}").mkdir(parents=True) for n in range(257)], "has 257 folders; .* 256 classes"),
        (lambda at: (save(at / "x", GREY[:5]), (at / "x" / "05.png").write_bytes(b"\x89PNG")), "05.png is not"),
    ],
)  # fmt: skip
def test_what_is_refused(folder, make, words):
    make(folder)
    remarks = []
    with pytest.raises(UserError, match=words) as caught:
        load_dataset(folder, remark=remarks.append)
    assert "\n" not in str(caught.value)
    assert remarks == []  # a refusal is one line


def test_too_many_pixels_are_not_read(folder, monkeypatch):
    save(folder / "x", GREY)
    monkeypatch.setattr(class_folders, "MAX_PICTURES", 11)
    with pytest.raises(UserError, match="mine has more than 11 pictures"):
        load_dataset(folder, "train")
    monkeypatch.setattr(class_folders, "MAX_PICTURES", 12)
    monkeypatch.setattr(class_folders, "MAX_BYTES", 1 << 10)
    monkeypatch.setattr(class_folders, "read_pixels", None)
    with pytest.raises(UserError, match="mine has 10 pictures of 20x24; at most 0 MiB are read"):
        load_dataset(folder, "train")
