"""Which weights stay, and that they are all that stays once codes are rounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import FC_WORD, LeNetShape

torch = pytest.importorskip("torch")

from fivebyfive.model.compress.operations.masks import above, balanced, banks, largest  # noqa: E402
from fivebyfive.model.compress.operations.projections import Masked  # noqa: E402
from fivebyfive.model.training.lenet import LeNet, to_checkpoint  # noqa: E402


def drawn(shape: LeNetShape, seed: int) -> LeNet:
    return LeNet(shape, torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(
    conv2=st.integers(1, 7), hidden=st.integers(1, 45), each=st.integers(1, 4), outputs=st.integers(1, 5),
    uneven=st.booleans(), regrow=st.booleans(), seed=st.integers(0, 1000),
)  # fmt: skip
def test_banks_stay_balanced_in_codes(conv2, hidden, each, outputs, uneven, regrow, seed) -> None:
    """No lane of an output holds more weights than the others may: the hardware never waits for one."""
    shape = LeNetShape(1, conv2, (hidden, 10))
    net = drawn(shape, seed)
    for layer in ("fc1", "fc2"):
        weight = net.layers[layer][0]
        places = banks(shape.network, layer, outputs)
        mask = balanced(weight, each, places, uneven)
        net.projections[layer] = Masked(mask, regrow)
        codes = to_checkpoint(net).arrays[f"{layer}.weight"]
        assert not codes[~mask.numpy()].any()
        order = np.array(Config(outputs=outputs).fc1_order(shape.network)) if layer == "fc1" else np.arange(hidden)
        kept = np.zeros((len(codes), FC_WORD), int)
        full = np.zeros(FC_WORD, int)
        for place, column in enumerate(order):
            kept[:, place % FC_WORD] += mask.numpy()[:, column]
            full[place % FC_WORD] += 1
        numbers = kept.max(axis=1)
        assert (kept == np.minimum(numbers[:, None], full)).all()  # a lane has fewer only where it has no more inputs
        if uneven:
            assert numbers.sum() == min(each, len(places)) * len(codes)
            assert numbers.min() >= 1
        else:
            assert set(numbers) == {min(each, len(places))}


def test_lanes_keep_their_largest() -> None:
    shape = LeNetShape(1, 5, (3, 10))
    weight = torch.arange(240.0).reshape(3, 80) - 100
    mask = balanced(weight, 1, banks(shape.network, "fc1"))
    assert torch.nonzero(mask[0]).flatten().tolist() == list(range(20))  # -100 .. -81 are larger than -40 .. -21
    assert torch.nonzero(mask[2]).flatten().tolist() == list(range(60, 80))


def test_outputs_worth_more_have_more() -> None:
    shape = LeNetShape(1, 5, (2, 10))
    weight = torch.ones(2, 80)
    weight[0, 20:] = 0.01
    mask = balanced(weight, 2, banks(shape.network, "fc1"), uneven=True)
    assert mask.sum(1).tolist() == [20, 60]


@pytest.mark.parametrize(
    ("layer", "granularity", "groups", "block"),
    [
        ("conv2", "fine", 300, (1, 1, 1, 1)),
        ("conv2", "vector", 60, (1, 1, 1, 5)),
        ("conv2", "kernel", 12, (1, 1, 5, 5)),
        ("conv2", "filter", 6, (1, 2, 5, 5)),
        ("fc1", "fine", 96 * 21, (1, 1)),
        ("fc1", "filter", 21, (1, 96)),
        ("fc1", "vector", 21 * 5, (1, 20)),
    ],
)
def test_groups_stay_whole(layer, granularity, groups, block) -> None:
    weight = drawn(LeNetShape(2, 6, (21, 10)), 1).layers[layer][0].detach()
    mask = largest(weight, 0.4, granularity)
    assert mask.shape == weight.shape
    kept = set()
    for place in torch.nonzero(mask).tolist():
        start = tuple(p // b * b for p, b in zip(place, block, strict=True))
        ends = tuple(min(s + b, n) for s, b, n in zip(start, block, weight.shape, strict=True))
        inside = tuple(slice(s, e) for s, e in zip(start, ends, strict=True))
        assert mask[inside].all()
        kept.add((start, float(weight[inside].abs().mean())))
    assert len(kept) == round(0.4 * groups)
    worst = min(worth for _, worth in kept)
    outside = largest(weight, 0.4 + 1 / groups, granularity) & ~mask  # the next one
    assert float(weight[outside].abs().mean()) <= worst


def test_equal_weights_are_counted_exactly() -> None:
    """A checkpoint's codes are few: a threshold would take all of one value or none."""
    assert int(largest(torch.ones(10, 10), 0.37, "fine").sum()) == 37
    assert int(largest(torch.ones(10, 10), 1e-6, "fine").sum()) == 1


def test_the_threshold_is_sensitivity_times_deviation() -> None:
    weight = torch.tensor([[3.0, -3.0, 1.0, -1.0, 0.0]])  # the deviation of what is not zero is sqrt(5)
    assert above(weight, 1.0, "fine").tolist() == [[True, True, False, False, False]]
    assert above(weight, 0.4, "fine").tolist() == [[True, True, True, True, False]]
    assert above(weight, 50.0, "fine").sum() == 2  # never nothing


def test_kernels_are_of_convolutions() -> None:
    with pytest.raises(ValueError, match="kernels are of convolutions"):
        largest(torch.ones(4, 4), 0.5, "kernel")
