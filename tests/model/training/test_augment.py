"""Warping: bounded, seeded, and without effect at strength 0."""

import pytest

torch = pytest.importorskip("torch")

from fivebyfive.model.training import augment as module  # noqa: E402
from fivebyfive.model.training.augment import Warp, augment  # noqa: E402

STILL = Warp(rotation_degrees=0, scale=0, shift_pixels=0, shear=0, elastic_pixels=0)


@pytest.fixture
def images(few_digits):
    return torch.from_numpy(few_digits.images[:50].copy())


def seeded(seed: int = 1):
    return torch.Generator().manual_seed(seed)


def test_the_seed_alone_decides(images):
    warped = augment(images, seeded())
    assert (warped.dtype, warped.shape) == (torch.uint8, images.shape)
    assert torch.equal(warped, augment(images, seeded()))
    assert not torch.equal(warped, augment(images, seeded(2)))


def test_every_image_gets_its_own_warp(images):
    same = images[:1].repeat(20, 1, 1)
    assert len({image.numpy().tobytes() for image in augment(same, seeded())}) == 20


def test_no_strength_no_change(images):
    assert augment(images, seeded(), strength=0) is images
    assert torch.equal(augment(images, seeded(), warp=STILL), images)


def test_half_the_strength_changes_less(images):
    def change(strength):
        return float((augment(images, seeded(), strength).float() - images.float()).abs().mean())

    assert 0 < change(0.1) < change(0.5) < change(1.0)


def test_a_digit_stays_a_digit(images):
    """As much ink as before, about, and its centre within the largest shift and bend of where it was."""
    warped = augment(images, seeded())
    ink = warped.float().sum((1, 2)) / images.float().sum((1, 2))
    assert 0.6 < float(ink.min())
    assert float(ink.max()) < 1.6
    distance = (centre(warped) - centre(images)).norm(dim=1)
    assert float(distance.max()) < 2.2 * 2**0.5 + 2.5


def centre(images) -> "torch.Tensor":
    pixels = images.float()
    position = torch.arange(28.0)
    mass = pixels.sum((1, 2))
    return torch.stack([(pixels.sum(axis) * position).sum(1) / mass for axis in (2, 1)], 1)


def test_a_shift_is_in_pixels():
    dot = torch.zeros(200, 28, 28, dtype=torch.uint8)
    dot[:, 14, 14] = 200
    moved = augment(dot, seeded(), warp=Warp(0, 0, 3.0, 0, 0))
    far = (centre(moved) - 14).abs()
    assert 2.5 < float(far.max()) <= 3.01


def test_chunks_do_not_show(images, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7)
    assert augment(images, seeded()).shape == images.shape


def test_images_of_any_size_and_colours(images):
    """Each channel is warped alike, by as many pixels as a digit is."""
    wide = torch.zeros(50, 3, 20, 40, dtype=torch.uint8)
    wide[:, :, :, 6:34] = images[:, None, 4:24]
    warped = augment(wide, seeded())
    assert warped.shape == wide.shape
    assert torch.equal(warped[:, 0], warped[:, 2])
    assert torch.equal(augment(wide, seeded(), warp=STILL), wide)
    shifted = Warp(rotation_degrees=0, scale=0, shift_pixels=2.0, shear=0, elastic_pixels=0)
    line = torch.zeros(200, 20, 40, dtype=torch.uint8)
    line[:, 10, 20] = 255
    where = (augment(line, seeded(), warp=shifted).float() / 255).sum(0)
    assert where[8:13, 18:23].sum() == pytest.approx(where.sum())
    assert min(where[8].sum(), where[12].sum(), where[:, 18].sum(), where[:, 22].sum()) > 0
