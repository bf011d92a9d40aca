"""Channels that go, normalization that folds, layers that split: what is left computes the same."""

from copy import deepcopy

import numpy as np
import pytest

from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")

from fivebyfive.model.compress.methods.lasso import choose as by_lasso  # noqa: E402
from fivebyfive.model.compress.methods.thinet import choose as by_thinet  # noqa: E402
from fivebyfive.model.compress.operations.channels import Kept, keep  # noqa: E402
from fivebyfive.model.compress.operations.factors import split  # noqa: E402
from fivebyfive.model.compress.operations.job import Compression  # noqa: E402
from fivebyfive.model.compress.operations.moments import activations, parts, refit, second_moments  # noqa: E402
from fivebyfive.model.compress.operations.normalized import Normalized  # noqa: E402
from fivebyfive.model.compress.operations.projections import Binary, Masked  # noqa: E402
from fivebyfive.model.compress.operations.scales import project  # noqa: E402
from fivebyfive.model.training.lenet import LeNet, pixels_to_values  # noqa: E402
from fivebyfive.model.training.loop import TrainingImages  # noqa: E402
from fivebyfive.model.training.resume import States  # noqa: E402

SHAPE = LeNetShape(5, 6, (12, 8, 10))
KEPT = {"conv1": [0, 3], "conv2": [1, 2, 5], "fc1": [0, 4, 6, 11], "fc2": [7]}


@pytest.fixture
def net() -> LeNet:
    return LeNet(SHAPE, torch.Generator().manual_seed(4))


@pytest.fixture
def images(few_digits) -> TrainingImages:
    return TrainingImages.of(few_digits)


def logits(net: LeNet, images: TrainingImages, quantized: bool = False) -> torch.Tensor:
    with torch.no_grad():
        return net(pixels_to_values(images.pixels[:50]), quantized)[0]


def kept() -> Kept:
    return Kept.everything(SHAPE, **{layer: torch.tensor(index) for layer, index in KEPT.items()})


def silence(net: LeNet) -> None:
    """Nothing takes the outputs that are to go."""
    following = dict(zip(SHAPE.layers, SHAPE.layers[1:], strict=False))
    with torch.no_grad():
        for layer, index in KEPT.items():
            weight = net.layers[following[layer]][0]
            size = weight.shape[1] // SHAPE.arrays[f"{layer}.bias"][0]
            for channel in set(range(SHAPE.arrays[f"{layer}.bias"][0])) - set(index):
                weight[:, channel * size : (channel + 1) * size] = 0


def test_channels_nobody_takes_can_go(net, images) -> None:
    before = logits(net, images, quantized=True)
    small = keep(net, kept())
    assert str(small.shape) == "2-3-4-1-10"
    assert not torch.equal(logits(small, images, quantized=True), before)
    silence(net)
    wanted = logits(net, images, quantized=True)
    assert torch.equal(logits(keep(net, kept()), images, quantized=True), wanted)


def test_masks_are_cut_too(net) -> None:
    mask = torch.zeros(12, 96)
    mask[4, 16:32] = 1  # what fc1's output 4 takes from channel 1
    net.projections["fc1"] = Masked(mask, regrow=True)
    small = keep(net, kept())
    assert torch.nonzero(small.projections["fc1"].mask).tolist() == [[1, place] for place in range(16)]
    assert small.projections["fc1"].regrow
    net.projections["fc2"] = Binary(torch.ones(8, 12), 1)
    with pytest.raises(UserError, match="fc2 has binary weights already; take channels out before that"):
        keep(net, kept())


def test_the_best_stay_in_order() -> None:
    worth = {"conv1": torch.tensor([5.0, 1.0, 9.0, 2.0, 7.0])}
    found = Kept.best(SHAPE, LeNetShape(3, 6, (12, 8, 10)), worth)
    assert found.outputs["conv1"].tolist() == [0, 2, 4]
    assert str(found.shape) == "3-6-12-8-10"


def test_normalization_folds(net, images) -> None:
    normal = Normalized(net)
    for _ in range(3):
        normal(pixels_to_values(images.pixels))  # with gradients: learns means and variances
    with torch.no_grad():
        for scale in normal.scales.values():
            scale.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    wanted = logits(normal, images)
    assert torch.allclose(logits(normal.folded(), images), wanted, atol=1e-4)
    assert not torch.allclose(logits(net, images), wanted, atol=1e-2)


@pytest.mark.parametrize("layer", ["fc1", "fc2", "fc3"])
def test_a_layer_of_low_rank_splits_without_loss(net, images, layer) -> None:
    weight = net.layers[layer][0]
    with torch.no_grad():
        left = torch.randn(len(weight), 2, generator=torch.Generator().manual_seed(2))
        right = torch.randn(2, weight.shape[1], generator=torch.Generator().manual_seed(3))
        weight.copy_(left @ right / 24)
    wide = split(net, layer, 2, images)
    place = int(layer[2:]) + 1
    widths = [5, 6, 12, 8, 10]
    assert str(wide.shape) == "-".join(map(str, [*widths[:place], 2, *widths[place:]]))
    assert float(wide.layers[layer][1].detach().min()) >= 0  # the bias that lifts
    x = activations(net, SHAPE.layers[SHAPE.layers.index(layer) - 1], images.pixels).flatten(1)
    (down, lift), (up, shift) = (value for name, value in wide.layers.items() if name in (layer, after(layer)))
    between = torch.nn.functional.linear(x, down, lift)
    assert float(between.detach().min()) > -1e-5
    assert float(between.detach().max()) < 1.5001  # of the range's 2.0
    assert float(down.detach().abs().max()) < 1.5001
    found = torch.nn.functional.linear(between.relu(), up, shift)
    wanted = torch.nn.functional.linear(x, *net.layers[layer])
    assert torch.allclose(found, wanted, atol=1e-4)


def after(layer: str) -> str:
    return f"fc{int(layer[2:]) + 1}"


def test_scales_become_powers_of_two_without_loss(net, images) -> None:
    job = Compression(net, images, images, torch.Generator(), 3.0, States(), lambda *args: None)
    before = 3.0 * logits(net, images)
    layers = ("conv2", "fc2", "fc3")
    project(job, layers, lambda weight, mask: float(weight.abs().mean()), lambda mask, exponent: Masked(mask))
    assert torch.allclose(job.temperature * logits(job.net, images), before, rtol=1e-4, atol=1e-5)
    for layer in layers:
        size = float(net.layers[layer][0].detach().abs().mean()) * 64
        assert size == pytest.approx(2.0 ** round(np.log2(size)), rel=1e-5)
    assert 3.0 <= job.temperature <= 3.0 * 8  # outputs shrink to a half at most in each


@pytest.mark.parametrize(("layer", "size"), [("conv1", 25), ("conv2", 16), ("fc1", 1)])
def test_parts_of_channels_are_what_they_are_summed_from(net, images, layer, size) -> None:
    few = TrainingImages(images.pixels[:9], images.labels[:9], images.ones[:9])
    channels = SHAPE.arrays[f"{layer}.bias"][0]
    following = SHAPE.layers[SHAPE.layers.index(layer) + 1]
    weight = net.layers[following][0].detach()
    moments = second_moments(net, layer, few).own
    assert moments.shape == (channels * size, channels * size)
    maps = activations(net, layer, few.pixels)
    alone = []
    for channel in range(channels):
        part = torch.zeros_like(maps)
        part[:, channel] = maps[:, channel]
        if following == "conv2":
            alone.append(torch.nn.functional.conv2d(part, weight)[:, :, ::2, ::2].flatten().double())
        else:
            alone.append((part.flatten(1) @ weight.T).flatten().double())
    together = torch.stack(alone)
    assert torch.allclose(parts(moments, weight, channels), together @ together.T, rtol=1e-3, atol=1e-3)


def test_refitting_makes_up_for_a_double(net, images) -> None:
    """Where two channels say the same, one can go, and the other's weights take over."""
    with torch.no_grad():
        for value in net.layers["conv1"]:
            value[1] = value[0]
    weight = net.layers["conv2"][0].detach()
    moments = second_moments(net, "conv1", images)
    stay = torch.tensor([0, 2, 3, 4])
    found, lift = refit(moments, weight, stay, 5)
    assert not found[:, 1].any()
    assert not lift.any()  # without another network's sums
    products = parts(moments.own, weight, 5)
    change = (found - weight).flatten(1).double()
    error = (change @ moments.own * change).sum()
    assert error < 1e-3 * products.sum()
    removed = weight.clone()
    removed[:, 1] = 0
    loss = (removed - weight).flatten(1).double()
    assert (loss @ moments.own * loss).sum() > 20 * error


def test_refitting_makes_up_for_what_an_earlier_layer_lost(net, images) -> None:
    """The sums of the network before, which the one that is narrow already no longer has, are fitted with an
    intercept; as least squares over all windows do."""
    narrow = deepcopy(net)
    with torch.no_grad():
        narrow.layers["conv2"][0].mul_(0.7)
        narrow.layers["conv2"][1].sub_(0.1)
    weight, bias = (value.detach().double() for value in net.layers["fc1"])
    stay = torch.tensor([0, 2, 3, 5])
    found, lift = refit(second_moments(narrow, "conv2", images, net), weight.float(), stay, 6)
    x, wanted = (activations(one, "conv2", images.pixels).flatten(1).double() for one in (narrow, net))
    wanted = wanted @ weight.T + bias

    def error(weight: torch.Tensor, bias: torch.Tensor) -> float:
        return float((x @ weight.double().T + bias - wanted).square().sum())

    inputs = (stay[:, None] * 16 + torch.arange(16)).flatten()
    all_inputs = torch.cat([x[:, inputs], torch.ones(len(x), 1, dtype=torch.float64)], 1)
    best = float((all_inputs @ torch.linalg.lstsq(all_inputs, wanted, driver="gelsd").solution - wanted).square().sum())
    assert best <= error(found, bias + lift) < 1.05 * best + 1e-3
    own, none = refit(second_moments(narrow, "conv2", images), weight.float(), stay, 6)
    assert error(own, bias + none) > 1.5 * error(found, bias + lift)


def test_channels_that_say_nothing_go_first() -> None:
    parts_of = torch.diag(torch.tensor([4.0, 0.001, 9.0, 1.0, 0.0], dtype=torch.float64))
    for choose in (by_lasso, by_thinet):
        for count, stay in ((4, {0, 1, 2, 3}), (3, {0, 2, 3}), (2, {0, 2}), (1, {2})):
            assert set(choose(parts_of, parts_of.sum(1), count).tolist()) == stay, choose
