"""Few values, two values, three values: what the network computes with is what the checkpoint holds."""

import numpy as np
import pytest

from fivebyfive.model.golden import forward
from fivebyfive.model.shape import LeNetShape

torch = pytest.importorskip("torch")

from fivebyfive.model.compress.operations.projections import (  # noqa: E402
    Binary,
    Logarithmic,
    Masked,
    Shared,
    Ternary,
    TrainedTernary,
    mask_of,
    step_exponent,
    step_value,
)
from fivebyfive.model.training.lenet import LeNet, pixels_to_values, to_checkpoint  # noqa: E402

SHAPE = LeNetShape(3, 4, (9, 10))


def projected(kind: str) -> LeNet:
    """A net whose layers all have that projection; every third weight of fc1 is masked, unless it is binary."""
    net = LeNet(SHAPE, torch.Generator().manual_seed(0))
    for layer, (weight, _) in net.layers.items():
        mask = torch.ones_like(weight)
        if layer == "fc1" and kind != "binary":
            mask[:, ::3] = 0
        centroids = torch.linspace(*weight.detach().aminmax(), 7)
        net.projections[layer] = {
            "masked": lambda m=mask: Masked(m),
            "regrow": lambda m=mask: Masked(m, regrow=True),
            "shared": lambda m=mask, w=weight, c=centroids: Shared(m, w, c, reassign=False),
            "reassigned": lambda m=mask, w=weight, c=centroids: Shared(m, w, c, reassign=True),
            "ternary": lambda m=mask: Ternary(m, 3),
            "binary": lambda m=mask: Binary(m, 2),
            "trained": lambda m=mask, w=weight: TrainedTernary(m, w.detach(), 0.05),
            "powers": lambda m=mask: Logarithmic(m, LEVELS, incremental=False),
            "fixed": lambda m=mask, w=weight: all_fixed(Logarithmic(m, LEVELS, incremental=True), w.detach()),
        }[kind]()
    return net


def all_fixed(projection: Logarithmic, weight: torch.Tensor) -> Logarithmic:
    """After two rounds."""
    for share in (0.5, 1.0):
        projection.fix(weight, share)
    return projection


LEVELS = torch.tensor([-8, -4, 0, 4, 8]) / 64
KINDS = ("masked", "regrow", "shared", "reassigned", "ternary", "trained", "binary", "powers", "fixed")


@pytest.mark.parametrize("kind", KINDS)
def test_the_checkpoint_is_what_was_computed_with(kind: str, noise) -> None:
    net, dim = projected(kind), noise // 4  # so that nothing wraps
    logits = net(pixels_to_values(torch.from_numpy(dim)), quantized=True)[0]
    checkpoint = to_checkpoint(net)
    trace = forward(checkpoint, dim)
    assert not any(trace.wraps.values())
    assert (logits.detach() * 64).tolist() == trace.logits.tolist()
    codes = checkpoint.arrays["fc1.weight"]
    values = set(np.unique(codes).tolist())
    if kind != "binary":
        assert not codes[:, ::3].any()
    if kind in ("shared", "reassigned"):
        assert len(values) <= 8
    if kind == "ternary":
        assert values == {-8, 0, 8}
    if kind == "trained":
        assert len(values) == 3
        assert min(values) < 0 < max(values)
    if kind == "binary":
        assert values == {-4, 4}
    if kind in ("powers", "fixed"):
        assert values == {-8, -4, 0, 4, 8}


@pytest.mark.parametrize("kind", KINDS)
def test_what_learns(kind: str, noise) -> None:
    """Masked weights only where they may come back; shared ones through their centroids, or both."""
    net = projected(kind)
    net(pixels_to_values(torch.from_numpy(noise)), quantized=True)[0].square().sum().backward()
    weight = net.layers["fc1"][0]
    assert net.layers["fc1"][1].grad.any()
    if kind == "shared":
        assert weight.grad is None
    elif kind == "fixed":
        assert not weight.grad.any()
    else:
        assert weight.grad[:, 1::3].any()
        assert bool(weight.grad[:, ::3].any()) == (kind in ("regrow", "binary"))
    if kind in ("shared", "reassigned"):
        assert net.projections["fc1"].centroids.grad.any()
    if kind == "trained":
        assert net.projections["fc1"].scales.grad.all()


def test_a_centroid_learns_from_all_its_weights() -> None:
    weight = torch.tensor([[0.9, 1.1, -1.0, 1.0]])
    shared = Shared(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), weight, torch.tensor([1.0, -1.0]), reassign=False)
    slopes = torch.tensor([[1.0, 10.0, 100.0, 1000.0]])
    (shared(weight, False) * slopes).sum().backward()
    assert shared.centroids.tolist() == [-1.0, 1.0]
    assert shared.centroids.grad.tolist() == [100.0, 11.0]  # the masked one says nothing


def test_reassigned_weights_go_to_the_nearest() -> None:
    weight = torch.nn.Parameter(torch.tensor([[0.4, 0.6]]))
    shared = Shared(torch.ones(1, 2), weight, torch.tensor([0.0, 1.0]), reassign=True)
    assert shared(weight, False).tolist() == [[0.0, 1.0]]
    with torch.no_grad():
        weight += 0.2
    assert shared(weight, False).tolist() == [[1.0, 1.0]]


def test_ternary_weights_below_the_threshold_are_zero() -> None:
    weight = torch.tensor([[1.0, -0.72, 0.69, 1.59]])  # the mean magnitude is 1.0
    assert Ternary(torch.ones(1, 4), 6)(weight, True).tolist() == [[1.0, -1.0, 0.0, 1.0]]


def test_steps_are_powers_of_two() -> None:
    assert [step_value(exponent) * 64 for exponent in range(7)] == [1, 2, 4, 8, 16, 32, 64]
    assert [step_exponent(value) for value in (0.0, 1 / 64, 0.0311, 2 / 64, 0.49, 0.5, 0.99, 1.0, 5.0)] == [
        0, 0, 0, 1, 4, 5, 5, 6, 6,
    ]  # fmt: skip


def test_a_layer_without_projection_has_a_full_mask() -> None:
    net = LeNet(SHAPE)
    assert mask_of(net, "conv2").all()
    net.projections["conv2"] = Masked(torch.zeros(4, 3, 5, 5))
    assert not mask_of(net, "conv2").any()
