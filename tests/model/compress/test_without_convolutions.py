"""A network whose first layer takes pixels: every method that does not need convolutions, and what the others say."""

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.train import TrainConfig, train
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("constriction")

from fivebyfive.model.compress.operations.channels import Kept, keep  # noqa: E402
from fivebyfive.model.compress.operations.factors import split  # noqa: E402
from fivebyfive.model.compress.packing.packed import pack, unpack  # noqa: E402
from fivebyfive.model.training.lenet import LeNet, pixels_to_values  # noqa: E402
from fivebyfive.model.training.loop import TrainingImages  # noqa: E402

SHAPE = LeNetShape.parse("784-24-16-10")
STEPS = {
    "fine": ('method = "magnitude"\nkeep = { fc1 = 0.1 }', SHAPE),
    "gradual": ('method = "magnitude"\nkeep = 0.25\nschedule = "gradual"\ninterval = 1', SHAPE),
    "banks": ('method = "magnitude"\neach = { fc1 = 3 }', SHAPE),
    "words": ('method = "magnitude"\nkeep = { fc1 = 0.4 }\ngranularity = "vector"', SHAPE),
    "l1": ('method = "l1"\nshape = "784-20-12-10"', "784-20-12-10"),
    "slimming": ('method = "slimming"\nshape = "784-20-12-10"\nfloat_epochs = 4', "784-20-12-10"),
    "taylor": ('method = "taylor"\nshape = "784-20-12-10"\nrounds = 2', "784-20-12-10"),
    "budget": ('method = "taylor"\nmacs = 15_000\nrounds = 2', None),
    "lasso": ('method = "lasso"\nshape = "784-20-12-10"', "784-20-12-10"),
    "thinet": ('method = "thinet"\nshape = "784-20-12-10"', "784-20-12-10"),
    "kmeans": ('method = "kmeans"\nbits = 5\nstart = "k-means++"', SHAPE),
    "linear": ('method = "linear"\nbits = 4', SHAPE),
    "ttq": ('method = "ttq"', SHAPE),
    "powers": ('method = "powers"\nrounds = 2', SHAPE),
    "ternary": ('method = "ternary"', SHAPE),
    "binary": ('method = "binary"\nlayers = "fc2,fc3"', SHAPE),
    "pupil": ('method = "distill"\nshape = "784-20-10"\nfloat_epochs = 10', "784-20-10"),
    "convolutions": ('method = "distill"\nshape = "3-4-10"\nfloat_epochs = 10', "3-4-10"),
}


@pytest.fixture(scope="module")
def trained(few_digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "net.npz"
    save_checkpoint(path, train(TrainConfig(shape=SHAPE, epochs=60, seed=3, threads=1), few_digits).checkpoint)
    return path


@pytest.mark.parametrize("name", STEPS)
def test_what_comes_out_works(name: str, run, few_digits) -> None:
    text, shape = STEPS[name]
    found = run("[[step]]\n" + text).checkpoint
    assert shape is None or str(found.shape) == str(shape)
    assert evaluate(found, few_digits).errors < 250  # of 400; guessing would miss 360
    assert unpack(pack(found).data).digest == found.digest
    fc1 = found.arrays["fc1.weight"]
    if name == "fine":
        assert 0.05 < np.count_nonzero(fc1) / fc1.size <= 0.101
    if name == "banks":
        assert max((fc1[:, lane::20] != 0).sum(1).max() for lane in range(20)) == 3
    if name == "budget":
        assert sum(found.shape.macs.values()) <= 15_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('method = "magnitude"\nkeep = { conv2 = 0.5 }', "no layer conv2; it has fc1, fc2, fc3"),
        ('method = "magnitude"\nkeep = 0.3\ngranularity = "kernel"', "kernels are of convolutions"),
        ('method = "ternary"\nlayers = "conv1"', "no layer conv1; it has fc1"),
        ('method = "l1"\nshape = "2-3-20-10"', "2-3-20-10 has other layers or classes than 784-24-16-10"),
        ('method = "l1"\nshape = "784-24-16-10"', "takes nothing out of it"),
        ('method = "distill"\nlooks = 1.0', "looks and hints compare maps of convolutions"),
        ('method = "distill"\nshape = "2-3-10"\nhints = 1.0', "looks and hints compare maps of convolutions"),
        ('method = "svd"\nlayer = "conv1"', "splits a fully-connected layer"),
    ],
)
def test_what_needs_convolutions_says_so(run, text, words) -> None:
    with pytest.raises(UserError, match=words) as caught:
        run("[[step]]\n" + text)
    assert "\n" not in str(caught.value)


def test_pixels_are_never_taken_out() -> None:
    net = LeNet(SHAPE, torch.Generator().manual_seed(1))
    small = keep(net, Kept.everything(SHAPE, fc1=torch.tensor([3, 0, 7])))
    assert str(small.shape) == "784-3-16-10"
    assert torch.equal(small.layers["fc1"][0], net.layers["fc1"][0][[0, 3, 7]])
    assert torch.equal(small.layers["fc2"][0], net.layers["fc2"][0][:, [0, 3, 7]])


def test_the_first_layer_splits_without_loss(few_digits) -> None:
    net, images = LeNet(SHAPE, torch.Generator().manual_seed(1)), TrainingImages.of(few_digits)
    with torch.no_grad():
        left, right = (torch.randn(size, generator=torch.Generator().manual_seed(2)) for size in ((24, 2), (2, 784)))
        net.layers["fc1"][0].copy_(left @ right / 200)
        x = pixels_to_values(images.pixels)
        wide = split(net, "fc1", 2, images)
        assert str(wide.shape) == "784-2-24-16-10"
        assert torch.allclose(wide(x)[0], net(x)[0], atol=1e-4)


def test_packing_looks_for_neighbours_in_the_image() -> None:
    """Weights in blots of the image take fewer bytes than the same weights anywhere: both have as many of each column,
    row and value."""
    rng = np.random.default_rng(1)
    blots = np.zeros((40, 28, 28), np.int8)
    for output, (row, column) in zip(blots, rng.integers(0, 22, (40, 2)), strict=True):
        output[row : row + 6, column : column + 6] = 5
    torn = blots.reshape(40, 784).copy()
    for column in torn.T:
        rng.shuffle(column)
    arrays = Checkpoint.random(LeNetShape(0, 0, (40, 10)), 1).arrays
    sizes = [
        pack(Checkpoint.from_arrays(arrays | {"fc1.weight": array.reshape(40, 784)})).sizes["fc1.weight"]
        for array in (blots, torn)
    ]
    assert sizes[0] < 0.4 * sizes[1], sizes


def test_packing_tells_the_pixels_from_two_convolutions() -> None:
    """784-3-2 and a network of two convolutions have their widths in the same place of the file."""
    network = Checkpoint.random(LeNetShape(0, 0, (3, 2)), 1)
    again = unpack(pack(network).data)
    assert again.shape == network.shape
    assert again.digest == network.digest
