"""Warping and changes of ink: bounded, seeded, and without effect at strength 0."""

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fivebyfive.model.data.datasets import Dataset  # noqa: E402
from fivebyfive.model.training import augment as module  # noqa: E402
from fivebyfive.model.training.augment import Ink, Warp, augment, flagged, inked  # noqa: E402
from fivebyfive.model.training.loop import TrainingImages  # noqa: E402

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


def test_ink_of_no_strength_draws_nothing(few_digits):
    images, generator = torch.from_numpy(few_digits.images.copy()), torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert inked(images, generator, 0.0) is images
    assert torch.equal(generator.get_state(), before)


def none_but(**changes):
    """Ink of which only some change, in every image."""
    shares = {one.name: 0.0 for one in fields(Ink) if one.name.endswith("_share")}
    return Ink(**(shares | changes))


@pytest.mark.parametrize(
    ("change", "darker"),
    [("thinner_share", False), ("thicker_share", True), ("faint_share", False), ("uneven_share", False)],
)
def test_each_change_of_ink(few_digits, change, darker):
    """Strokes become thinner or thicker, ink less: no pixel goes the other way."""
    images = torch.from_numpy(few_digits.images.copy())
    made = inked(images, torch.Generator().manual_seed(2), 1.0, none_but(**{change: 1.0}))
    assert (made.shape, made.dtype) == (images.shape, torch.uint8)
    low, high = (images, made) if darker else (made, images)
    assert bool((low <= high).all())
    changed = (made != images).flatten(1).any(1)
    assert changed.float().mean() > 0.95
    ink = made.float().sum((1, 2)) / images.float().sum((1, 2))
    assert ink.std() > 0.05  # each image by its own amount


def test_blurred_and_of_other_contrast(few_digits):
    images = torch.from_numpy(few_digits.images.copy())
    blurred = inked(images, torch.Generator().manual_seed(3), 1.0, none_but(blur_share=1.0)).float()
    inside = images[:, 2:-2, 2:-2].float().sum((1, 2))
    assert float((blurred.sum((1, 2)) / images.float().sum((1, 2)) - 1).abs().max()) < 0.03
    assert float(blurred.std((1, 2)).mean()) < float(images.float().std((1, 2)).mean()) - 3
    assert bool((inside > 0).all())
    other = inked(images, torch.Generator().manual_seed(3), 1.0, none_but(contrast_share=1.0))
    more, less = ((other.float() - images).sum((1, 2)) > 0).float().mean(), (other == images).float().mean()
    assert 0.3 < more < 0.7
    assert less < 1
    assert torch.equal(other == 0, images == 0) or float(((other == 0) != (images == 0)).float().mean()) < 0.02


def test_steep_edges(few_digits):
    """Levels below a middle, a quarter to a half of the greatest, become less, those above it more; none beyond the
    range."""
    images = torch.from_numpy(few_digits.images.copy())
    made = inked(images, torch.Generator().manual_seed(5), 1.0, none_but(steep_share=1.0))
    greatest = images.amax((1, 2), keepdim=True)
    assert bool((made <= images)[4 * images.long() < greatest].all())
    assert bool((made.long() >= images.long() - 1)[2 * images.long() > greatest].all())
    between = ((made > 0) & (made < 255)).float().mean() / ((images > 0) & (images < 255)).float().mean()
    assert 0.1 < between < 0.6


def test_centred_as_a_picture_of_one_s_own(few_digits):
    """Moved away, digits come back to where `pictures` would put them."""
    images = torch.from_numpy(few_digits.images.copy())
    images = images[images[:, 3:-3, 3:-3].sum((1, 2)) == images.sum((1, 2))]  # whose ink stays inside
    assert len(images) > 100
    moved = torch.roll(images, (2, -2), (1, 2))
    made = inked(moved, torch.Generator().manual_seed(4), 1.0, none_but(centred_share=1.0)).numpy()
    places = np.arange(28)
    for one, before in zip(made, moved.numpy(), strict=True):
        assert sorted(one[one > 0].tolist()) == sorted(before[before > 0].tolist())  # nothing is lost
        centre = [float(one.sum(axis, dtype=float) @ places / one.sum()) for axis in (0, 1)]
        assert max(abs(place - 14) for place in centre) <= 0.5 + 1e-6


def test_colours_change_together():
    grey = torch.randint(0, 256, (20, 1, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    made = inked(grey.expand(-1, 3, -1, -1), torch.Generator().manual_seed(6))
    assert torch.equal(made[:, :1].expand_as(made), made)
    assert torch.equal(made, inked(grey.expand(-1, 3, -1, -1), torch.Generator().manual_seed(6)))


def test_ones_with_a_flag(few_digits):
    """Ink is added to the left of a one's top, in about as many of them as are asked for, and to nothing else."""
    images, ones = torch.from_numpy(few_digits.images.copy()), torch.from_numpy(few_digits.labels == 1)
    assert 10 < ones.sum() < len(ones)
    drawn = flagged(images, ones, seeded(), 1.0)
    assert (drawn.dtype, drawn.shape) == (torch.uint8, images.shape)
    assert torch.equal(drawn[~ones], images[~ones])
    assert bool((drawn >= images).all())
    for before, after in zip(images[ones], drawn[ones], strict=True):
        rows, columns = torch.nonzero(after - before, as_tuple=True)
        body = torch.nonzero(before >= before.max() / 2)
        top, bottom, first = int(body[0, 0]), int(body[-1, 0]), body[body[:, 0] == body[0, 0], 1].float().mean()
        assert len(rows) > 2
        assert top - 2 <= rows.min()
        assert rows.max() <= top + 4 + 0.35 * (bottom - top + 1)
        assert columns.min() < first
        assert columns.max() <= first + 3
        assert after.max() == before.max()
    some = flagged(images, ones, seeded(), 0.4)
    share = (some != images).flatten(1).any(1)[ones].float().mean()
    assert 0.1 < share < 0.7
    colours = images[:, None].repeat(1, 3, 1, 1)
    assert torch.equal(flagged(colours, ones, seeded(), 0.4), some[:, None].repeat(1, 3, 1, 1))


def test_no_flag_without_share_or_ones(few_digits):
    images, generator = torch.from_numpy(few_digits.images.copy()), seeded()
    before, nothing = generator.get_state(), torch.zeros(len(few_digits), dtype=torch.bool)
    assert flagged(images, ~nothing, generator, 0.0) is images
    assert flagged(images, nothing, generator, 1.0) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mnist-train-learning", True),
        ("emnist-digits-test", True),
        ("fashion-mnist-train", False),
        ("mine-train", False),
    ],
)
def test_classes_that_are_known_to_be_digits(few_digits, name, known):
    dataset = Dataset(name, few_digits.images, few_digits.labels)
    assert dataset.digits == known
    assert int(TrainingImages.of(dataset).ones.sum()) == known * int((few_digits.labels == 1).sum())
