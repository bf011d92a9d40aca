"""Steps against the layers that they are folded into: the same scores, or a line that says why not."""

import math
import random

import numpy as np
import pytest

from fivebyfive.model.network import Pool
from fivebyfive.model.readers.execution import FUNCTIONS, run
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.steps import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Padding,
    Pooling,
    Step,
    Steps,
    Unsupported,
)

INPUT = (2, 12, 12)


def convolution(rng: np.random.Generator, outputs: int, inputs: int, *sizes: int, name: str = "c", **more) -> Step:
    weight = rng.normal(size=(outputs, inputs // more.get("groups", 1), *(sizes * 2)[:2])) / 3
    return Convolution(name, weight, rng.normal(size=outputs) if rng.random() < 0.7 else None, **more)


def dense(rng: np.random.Generator, outputs: int, inputs: int, name: str = "f") -> Dense:
    return Dense(name, rng.normal(size=(outputs, inputs)) / math.sqrt(inputs), rng.normal(size=outputs))


def affine(rng: np.random.Generator, channels: int, low: float = 0.5) -> Affine:
    return Affine(rng.uniform(low, 2, channels), rng.normal(size=channels))


def agree(steps: Steps) -> None:
    images = np.random.default_rng(7).normal(size=(5, *steps.input))
    wanted, network = run(steps, images), fold(steps)
    np.testing.assert_allclose(run(network, images), wanted, atol=1e-9 * max(1, np.abs(wanted).max()))
    once = network.taking(0.3, 0.2)
    np.testing.assert_allclose(run(once, (images - 0.2) / 0.3), wanted, atol=1e-8 * max(1, np.abs(wanted).max()))


def random_steps(seed: int) -> Steps:
    """Steps such as files hold, and some that no layer is made of."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    steps: list[Step] = []
    size = INPUT
    if draw.random() < 0.5:
        steps.append(affine(rng, draw.choice((1, 2))))
    for number in range(draw.randint(0, 3)):
        if draw.random() < 0.3:
            steps.append(Padding((1, 0, 2, 1), draw.choice((0.0, 0.0, 0.5))))
        groups = 2 if size[0] % 2 == 0 and draw.random() < 0.3 else 1
        more = {
            "padding": draw.choice(((0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 2))),
            "stride": (draw.choice((1, 1, 2)),) * 2,
        }
        outputs = draw.choice((2, 4, 6))
        kernel = draw.choice(((3, 3), (1, 3), (3, 1), (1, 1), (5, 5)))
        steps.append(convolution(rng, outputs, size[0], *kernel, name=f"c/{number}", groups=groups, **more))
        between: list[Step] = [
            affine(rng, outputs, draw.choice((0.5, -1)))
            if draw.random() < 0.6
            else Affine(np.array(2.0), np.array(0.5)),
            Activation(draw.choice(("relu", "relu", "tanh", "gelu", "abs"))),
            Pooling(draw.choice(("max", "average")), (2, 2), (2, 2), ceil=draw.random() < 0.3),
        ]
        draw.shuffle(between)
        steps += between[: draw.randint(0, 3)]
        size = (outputs, 0, 0)
    width = run(Steps(INPUT, tuple(steps)), np.zeros((1, *INPUT))).shape[1]
    steps.append(Flatten(draw.choice(((0, 1, 2), (1, 2, 0)))))
    if draw.random() < 0.3:
        steps.append(affine(rng, width))
    steps.append(dense(rng, 8, width))
    steps += [affine(rng, 8)] * draw.randint(0, 1) + [Activation("sigmoid")] * draw.randint(0, 1)
    steps += [affine(rng, 8, -1), dense(rng, 3, 8)]
    return Steps(INPUT, tuple(steps))


def test_random_steps() -> None:
    read = 0
    for seed in range(300):
        try:
            steps = random_steps(seed)
        except ValueError:  # nothing was left of the maps
            continue
        refusal = ""
        try:
            fold(steps)
        except Unsupported as error:
            refusal = str(error)
        assert "\n" not in refusal
        if not refusal:
            agree(steps)
            read += 1
    assert read > 80


def test_batch_norm_goes_into_the_layer_in_front() -> None:
    rng = np.random.default_rng(1)
    steps = (convolution(rng, 4, 2, 3), Pooling("average", (2, 2), (2, 2)), affine(rng, 4, -1), Activation("tanh"))
    steps += (Flatten(), dense(rng, 10, 100), affine(rng, 10))
    agree(Steps(INPUT, steps))
    network = fold(Steps(INPUT, steps))
    assert network.network.layers[0].then == (Pool("average", 2, 2), "table")
    assert network.functions == {"c": (Activation("tanh"),)}


def test_factors_behind_a_function_go_into_the_next_layer_with_its_padding() -> None:
    rng = np.random.default_rng(1)
    steps = (convolution(rng, 4, 2, 3), Activation("relu"), affine(rng, 4), Pooling("max", (2, 2), (2, 2)))
    steps += (convolution(rng, 4, 4, 3, padding=(1, 1, 1, 1)), Flatten(), dense(rng, 3, 100))
    agree(Steps(INPUT, steps))
    network = fold(Steps(INPUT, steps))
    assert network.network.names == ("c", "c_2", "f")
    assert len(network.fills["c_2"]) == 4
    assert (network.fills["c_2"] != 0).all()


def test_scaling_of_the_input_and_padding_behind_it() -> None:
    rng = np.random.default_rng(1)
    scaling = Affine(np.array([1 / 0.3, 1 / 0.25]), np.array([-0.13 / 0.3, -0.5 / 0.25]))
    steps = Steps(INPUT, (scaling, convolution(rng, 3, 2, 5, padding=(2, 2, 2, 2)), Flatten(), dense(rng, 3, 432)))
    agree(steps)
    network = fold(steps)
    np.testing.assert_array_equal(network.scale, scaling.scale)
    assert not network.fills  # 0, as the layer sees it
    np.testing.assert_allclose(network.taking().fills["c"], [0.13, 0.5])  # as the image has it
    codes = network.taking(128 / 255).described()["layers"][0]["fill"]
    assert codes == [17, 64]


def test_padding_around_padding() -> None:
    rng = np.random.default_rng(1)
    rest = (Flatten(), dense(rng, 3, 3 * 14 * 14))
    agree(Steps(INPUT, (Padding((2, 2, 2, 2)), convolution(rng, 3, 2, 3), *rest)))
    agree(Steps(INPUT, (convolution(rng, 3, 2, 1, padding=(1, 1, 1, 1)), *rest)))
    last = (convolution(rng, 3, 2, 3, padding=(1, 1, 1, 1)), *rest)
    agree(Steps(INPUT, (Padding((1, 1, 1, 1), 0.5), last[0], Flatten(), dense(rng, 3, 3 * 14 * 14))))


def test_a_convolution_over_the_whole_map_stays_one() -> None:
    rng = np.random.default_rng(1)
    steps = Steps(
        INPUT, (convolution(rng, 2, 2, 7), convolution(rng, 9, 2, 6, stride=(3, 1)), Flatten(), affine(rng, 9))
    )
    agree(steps)
    assert [layer.kind for layer in fold(steps).network.layers] == ["conv", "conv"]


def test_several_functions_in_their_order() -> None:
    rng = np.random.default_rng(1)
    functions = [Activation("clip", {"low": -1.0}), Affine(np.array(2.0), np.array(1.0)), Activation("tanh")]
    steps = Steps(INPUT, (Flatten(), dense(rng, 5, 288), *functions, dense(rng, 2, 5)))
    agree(steps)
    assert fold(steps).described()["layers"][0]["then"] == [
        {"function": "clip", "low": -1.0}, {"function": "affine", "scale": 2.0, "shift": 1.0}, {"function": "tanh"},
    ]  # fmt: skip


CONV, POOL = convolution(np.random.default_rng(1), 2, 2, 3), Pooling("max", (2, 2), (2, 2))
END = dense(np.random.default_rng(1), 2, 50)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([CONV, Pooling("max", (3, 3), (2, 2), (1, 1, 1, 1))], "partly outside the map of 10x10"),
        ([CONV, Pooling("max", (3, 3), (2, 2), ceil=True)], "partly outside the map of 10x10"),
        ([CONV, Pooling("max", (2, 2), (3, 3)), Flatten(), dense(np.random.default_rng(1), 2, 18)], "stride of a pool"),
        ([CONV, Pooling("max", (2, 1), (2, 1))], "max pooling of 2x1 behind c is not square"),
        ([CONV, CONV, CONV, CONV, CONV, CONV], "nothing is left"),
        ([CONV, Flatten(), CONV], "behind fully-connected layers"),
        ([CONV, END], "nothing made a vector of"),
        ([CONV, Flatten(), END], "2x50 weights; there are 200 inputs"),
        ([CONV], "its maps must be 1x1, not 10x10"),
        ([], "no convolution and no fully-connected layer"),
    ],
)  # fmt: skip
def test_what_no_layer_is_made_of(steps: list[Step], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        fold(Steps(INPUT, tuple(steps)))


GLOBAL, TANH, AVERAGE = Pooling("average", None), Activation("tanh"), Pooling("average", (2, 2), (2, 2))
NORM = Affine(np.array([-1.0, 2.0]), np.array([0.3, 0.1]))


@pytest.mark.parametrize(
    ("steps", "layers"),
    [
        ([POOL, CONV, GLOBAL], ["first", "c"]),
        ([NORM, Activation("round"), CONV, GLOBAL], ["first", "c"]),
        ([CONV, POOL, POOL, GLOBAL], ["c", "c_then", "c_then_then"]),
        ([CONV, TANH, AVERAGE, Activation("sigmoid"), GLOBAL], ["c", "c_then"]),
        ([CONV, TANH, AVERAGE, TANH, TANH, CONV, GLOBAL], ["c", "c_then", "c_2"]),
        ([CONV, Activation("relu"), NORM, POOL, GLOBAL], ["c", "c_then", "c_then_then"]),
        ([CONV, Padding((1, 2, 1, 0), -0.4), TANH, GLOBAL], ["c", "c_then"]),
        ([CONV, Padding((1, 1, 1, 1), 0.3), POOL, Padding((1, 0, 1, 2)), Padding((1, 2, 1, 0), 1.0), CONV, GLOBAL],
         ["c", "c_then", "c_then_then", "c_2"]),
        ([CONV, TANH, Pooling("max", (3, 3), (2, 2), (1, 1, 1, 1)), CONV, GLOBAL], ["c", "c_then", "c_2"]),
        ([CONV, Activation("relu"), Pooling("max", (3, 3), (2, 2), ceil=True), CONV, GLOBAL], ["c", "c_then", "c_2"]),
        ([CONV, Pooling("average", (3, 3), (2, 2), (1, 1, 1, 1)), CONV, GLOBAL], ["c", "c_then", "c_2"]),
        ([CONV, Padding((1, 0, 1, 0), 0.5), Flatten(), dense(np.random.default_rng(1), 2, 240)], ["c", "c_then", "f"]),
        ([CONV, TANH, Flatten(), affine(np.random.default_rng(1), 200), TANH, dense(np.random.default_rng(1), 2, 200)],
         ["c", "c_then", "f"]),
    ],
)  # fmt: skip
def test_what_a_layer_has_no_room_for_has_one_of_its_own(steps: list[Step], layers: list[str]) -> None:
    steps = [*steps, Flatten()] if steps[-1] == GLOBAL else steps
    agree(Steps(INPUT, tuple(steps)))
    network = fold(Steps(INPUT, tuple(steps)))
    assert list(network.network.names) == layers
    assert sum("a layer of its own" in remark for remark in network.remarks) == sum(
        "then" in n or n == "first" for n in layers
    )


def test_names() -> None:
    rng = np.random.default_rng(1)
    layers = [
        dense(rng, 4, 288, "9 \n"),
        dense(rng, 4, 4, ""),
        dense(rng, 4, 4, "a/b"),
        dense(rng, 2, 4, "a/b" + "x" * 99),
    ]
    network = fold(Steps(INPUT, (Flatten(), *layers)))
    assert network.network.names[:3] == ("fc_9", "fc2", "a_b")


def test_functions() -> None:
    """erf is interpolated; the others are NumPy's."""
    x = np.linspace(-7, 7, 1001)
    exact = 0.5 * x * (1 + np.array([math.erf(one / math.sqrt(2)) for one in x]))
    np.testing.assert_allclose(FUNCTIONS["gelu"](x, {}), exact, atol=1e-10)


def test_a_network_that_no_checkpoint_holds() -> None:
    layers = [dense(np.random.default_rng(1), outputs, inputs) for outputs, inputs in ((4096, 1024), (10, 4096))]
    with pytest.raises(Unsupported, match="the weights take 4,239,370 bytes; there is room for 4,194,304"):
        fold(Steps((1, 32, 32), (Flatten(), *layers)))
