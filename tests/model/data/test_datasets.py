"""Where images come from, without a network."""

import gzip

import numpy as np
import pytest

from fivebyfive.model.data import datasets
from fivebyfive.model.data.datasets import Dataset, fit_images, load_dataset
from fivebyfive.model.data.idx import idx_bytes
from fivebyfive.support.errors import UserError


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No cache, no variable, no network."""
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(datasets, "fetch", offline)
    monkeypatch.setattr(datasets, "cache_folder", lambda name: tmp_path / "cache" / name)


def offline(spec, name, folder, progress):
    raise UserError(f"no source of {name}")


def write_set(folder, images, labels, prefix="t10k", suffix=""):
    folder.mkdir(exist_ok=True)
    pack = gzip.compress if suffix == ".gz" else bytes
    (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(images)))
    (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(labels)))


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 0, 11, 2, 1], np.uint8)


def test_the_shipped_test_set(digits):
    assert (digits.name, digits.images.shape, digits.labels.shape) == (
        "mnist-test",
        (10_000, 28, 28),
        (10_000,),
    )
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert digits.classes == 10


def test_a_damaged_shipped_file_is_not_used(monkeypatch, tmp_path):
    write_set(tmp_path / "mnist", IMAGES, LABELS)
    monkeypatch.setattr(datasets, "SHIPPED_DATA", tmp_path)
    with pytest.raises(UserError, match="not the published file"):
        load_dataset("mnist", "test")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("split", "prefix"), [("test", "t10k"), ("train", "train")])
def test_a_folder_of_idx_files(tmp_path, suffix, split, prefix):
    write_set(tmp_path / "mine", IMAGES, LABELS, prefix, suffix)
    found = load_dataset(tmp_path / "mine", split)
    assert np.array_equal(found.images, IMAGES)
    assert np.array_equal(found.labels, LABELS)
    assert (found.name, found.classes, len(found)) == (f"mine-{split}", 12, 5)
    assert load_dataset(str(tmp_path / "mine"), split).name == found.name


def test_idx_files_of_another_size(tmp_path):
    images = np.arange(5 * 9 * 128, dtype=np.uint32).astype(np.uint8).reshape(5, 9, 128)
    write_set(tmp_path / "mine", images, LABELS)
    found = load_dataset(tmp_path / "mine")
    assert np.array_equal(found.images, images)
    assert found.size == (1, 9, 128)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES[:, :3], LABELS, "images are 3x28; networks take 4 to 128 rows and columns"),
        (np.zeros((5, 28, 129), np.uint8), LABELS, "images are 28x129; networks take"),
        (IMAGES[:4], LABELS, "labels must be uint8 (4,)"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path, images, labels, words):
    write_set(tmp_path / "mine", images, labels)
    with pytest.raises(UserError) as caught:
        load_dataset(tmp_path / "mine")
    assert words in str(caught.value)


def test_no_such_set(tmp_path):
    with pytest.raises(
        UserError, match=r"no data set called emnist: give mnist, .*, emnist-letters, .*or an .npz file"
    ):
        load_dataset("emnist")
    with pytest.raises(UserError, match=r"no data set called x+: give"):
        load_dataset("x" * 300)
    with pytest.raises(UserError, match="no file can be called"):
        load_dataset("x\0")
    with pytest.raises(UserError, match="has no file t10k-images-idx3-ubyte"):
        load_dataset(tmp_path)
    with pytest.raises(ValueError, match="split must be train or test"):
        load_dataset("mnist", "validation")


def test_the_variable_comes_first_but_only_with_genuine_files(monkeypatch, tmp_path):
    write_set(tmp_path, IMAGES, LABELS, "train")
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="no source of train-images"):
        load_dataset("mnist", "train")
    monkeypatch.setattr(datasets, "genuine", lambda spec, name, data: spec == "mnist")
    assert len(load_dataset("mnist", "train")) == 5
    write_set(tmp_path / "mnist", IMAGES[:2], LABELS[:2], "train")
    assert len(load_dataset("mnist", "train")) == 2


def test_what_was_fetched_is_read(monkeypatch, tmp_path):
    asked = []

    def fetch(spec, name, folder, progress):
        asked.append((spec, name))
        write_set(tmp_path / "cache", IMAGES, LABELS, "train", ".gz")
        return tmp_path / "cache" / f"{name}.gz"

    monkeypatch.setattr(datasets, "fetch", fetch)
    assert len(load_dataset("fashion-mnist", "train")) == 5
    assert asked == [
        ("fashion-mnist", "train-images-idx3-ubyte"),
        ("fashion-mnist", "train-labels-idx1-ubyte"),
    ]


def test_a_set_is_split_by_a_seed(few_digits):
    learning, held_out = few_digits.split(100, seed=1)
    assert (len(learning), len(held_out)) == (300, 100)
    together = {image.tobytes() for part in (learning, held_out) for image in part.images}
    assert together == {image.tobytes() for image in few_digits.images}
    assert np.array_equal(few_digits.split(100, seed=1)[1].images, held_out.images)
    assert not np.array_equal(few_digits.split(100, seed=2)[1].images, held_out.images)


def test_images_in_a_larger_input():
    grey, colour = IMAGES[:, :5, :6], IMAGES[:4].reshape(2, 2, 28, 28)[:, :, :5, :6]
    assert np.array_equal(fit_images(grey, (1, 5, 6)), grey)
    for one, size in ((grey, (1, 8, 7)), (grey, (3, 8, 7)), (grey[:, np.newaxis], (1, 8, 7)), (colour, (2, 8, 7))):
        fitted = fit_images(one, size)
        maps = fitted.reshape(len(one), *size)
        inner = maps[:, :, 1:6, :6]
        assert np.array_equal(inner, np.broadcast_to(one.reshape(len(one), -1, 5, 6), inner.shape))
        assert maps.sum(dtype=int) == inner.sum(dtype=int)
        assert fitted.ndim == 3 + (size[0] > 1)
    assert fit_images(grey[:0], (3, 8, 7)).shape == (0, 3, 8, 7)


@pytest.mark.parametrize(
    ("channels", "size", "words"),
    [
        (1, (1, 27, 28), "takes images of 27x28, but these have 28x28; give a set that fits with --data"),
        (3, (1, 28, 28), "takes grey images, but these have 3 channels; give a set that fits with --data"),
        (3, (2, 30, 30), "takes images of 2 channels, but these have 3 channels"),
    ],
)
def test_images_that_do_not_fit(channels, size, words):
    with pytest.raises(UserError) as caught:
        fit_images(np.zeros((2, channels, 28, 28), np.uint8), size)
    assert words in str(caught.value)


def test_an_empty_set_has_no_classes():
    assert Dataset("none", IMAGES[:0], LABELS[:0]).classes == 0
