"""Files of x_train, y_train, x_test and y_test."""

import pickle

import numpy as np
import pytest

from fivebyfive.model.data import arrays
from fivebyfive.model.data.arrays import labels_of
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.support.errors import UserError

from .test_named_sets import zip_file

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8)
LABELS = np.array([[7], [0], [255], [1]], np.int64)


@pytest.fixture
def save(tmp_path):
    def save(**changed):
        whole = {"x_train": IMAGES[:3], "y_train": LABELS[:3], "x_test": IMAGES, "y_test": LABELS}
        np.savez(tmp_path / "mine.npz", **(whole | changed))
        return tmp_path / "mine.npz"

    return save


def test_colours_grey_and_a_channel(save):
    found = load_dataset(save(), "test")
    assert np.array_equal(found.images, IMAGES.transpose(0, 3, 1, 2))
    assert (found.labels.tolist(), found.name, found.size) == ([7, 0, 255, 1], "mine-test", (3, 20, 24))
    assert len(load_dataset(save(), "train")) == 3
    for one in (IMAGES[..., 1], IMAGES[..., 1:2]):
        found = load_dataset(save(x_test=one), "test")
        assert np.array_equal(found.images, IMAGES[..., 1])
        assert found.size == (1, 20, 24)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_test": IMAGES / 255}, r"x_test holds float64 \(4, 20, 24, 3\); give x_train, y_train"),
        ({"x_test": IMAGES[0, 0]}, r"x_test holds uint8 \(24, 3\)"),
        ({"x_test": IMAGES[:, :3]}, "x_test: images are 3x24 of 3 channels; networks take 4 to 128 rows"),
        ({"x_test": np.zeros((4, 200, 28), np.uint8)}, "images are 200x28; networks take 4 to 128 rows"),
        ({"x_test": IMAGES.transpose(0, 3, 1, 2)}, "images are 3x20 of 24 channels"),
        ({"y_test": LABELS + 1}, "y_test holds labels from 1 to 256; number the classes from 0, at most 256"),
        ({"y_test": LABELS - 1}, "labels from -1"),
        ({"y_test": LABELS * 1.0}, r"y_test holds float64 \(4, 1\); labels are integers"),
        ({"y_test": np.eye(4, 10, dtype=np.uint8)}, r"y_test holds uint8 \(4, 10\); labels are integers"),
        ({"y_test": LABELS[:3]}, r"labels must be uint8 \(4,\)"),
        ({"y_test": np.array([object()] * 4)}, "y_test holds Python objects, which are never loaded"),
    ],
)
def test_what_is_refused(save, changed, words):
    with pytest.raises(UserError, match=words) as caught:
        load_dataset(save(**changed), "test")
    assert "\n" not in str(caught.value)


def test_files_that_are_none(save, tmp_path, monkeypatch):
    path = save()
    whole = path.read_bytes()
    for data, words in (
        (whole[:-10], "mine.npz is damaged or truncated"),
        (zip_file({"x_train.npy": b""}), r"mine.npz lacks a file \(.*x_test.*\); give x_train, y_train"),
        (zip_file({"x_test.npy": b"\x93NUMPY", "y_test.npy": b""}), r"damaged or truncated \(x_test: no header"),
        (b"text", "mine.npz is not an .npz file; give x_train"),
        (pickle.dumps([1, 2]), "is not an .npz file"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=words):
            load_dataset(path)
    path.write_bytes(whole)
    monkeypatch.setattr(arrays, "MAX_BYTES", len(whole) - 1)
    with pytest.raises(UserError, match="a data set has at most"):
        load_dataset(path)


def test_a_member_is_judged_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x_test=np.zeros((2000, 28, 28), np.uint8), y_test=np.zeros(2000, np.uint8))
    monkeypatch.setattr(arrays, "MAX_BYTES", 1 << 20)
    with pytest.raises(UserError, match=r"x_test.npy unpacks to 1568128 bytes"):
        load_dataset(tmp_path / "a.npz")


def test_labels_of_no_images():
    assert labels_of(np.empty(0, np.int32), "x").dtype == np.uint8
