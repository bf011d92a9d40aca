"""Networks that are quantized already: the golden model gives what onnxruntime gives for the same arithmetic spelt out,
in codes, or the condition that is not met is named."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.network import Pool
from fivebyfive.model.readers.execution import ROUNDINGS, run
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.onnx.onnx_reader import read_onnx
from fivebyfive.model.readers.quantized import Inexact, is_quantized, take_over, unquantized
from fivebyfive.model.readers.steps import Quantizer, Unsupported
from fivebyfive.model.training.quantize import calibrate, quantize
from fivebyfive.model.training.stage import QuantizeConfig
from fivebyfive.support.errors import UserError

from .test_onnx import QONNX, Graph, scores

BY_128 = Scaling(0.0, 128 / 255)
HALF = Scaling(0.5 / 255, 128 / 255)  # (p - 0.5) / 128: to the nearest 1 / 64 is p >> 1
ROUND, FLOOR, CEIL = "Round", "Floor", "Ceil"


@dataclass(frozen=True)
class Grid:
    """What a Quant rounds to."""

    scale: float = 1 / 64
    bits: int = 8
    signed: bool = True
    mode: str = "FLOOR"
    narrow: bool = False


class Quantized(Graph):
    """A graph with quantizers as QONNX has them or, ``spelt`` out, as onnxruntime knows them."""

    def __init__(self, spelt: bool, shape: tuple = ("n", 1, 28, 28), seed: int = 1) -> None:
        super().__init__(17, shape, seed)
        self.spelt = spelt

    def quant(self, grid: Grid, of: str = "") -> str:
        of = of or self.last
        scale, mode = self.array(grid.scale), grid.mode
        if not self.spelt:
            inputs = of, scale, self.array(0.0), self.array(float(grid.bits))
            flags = {"signed": int(grid.signed), "narrow": int(grid.narrow), "rounding_mode": mode}
            return self.op("Quant", *inputs, domain=QONNX, **flags)
        low = -(2.0 ** (grid.bits - 1)) + grid.narrow if grid.signed else 0.0
        high = 2.0 ** (grid.bits - grid.signed) - 1 - (grid.narrow and not grid.signed)
        self.op("Div", of, scale)
        if mode == "HALF_UP":  # away from 0
            x = self.last
            sign = self.op("Sign", x)
            self.op("Add", self.op("Abs", x), self.array(0.5))
            self.op("Mul", self.op("Floor"), sign)
        else:
            self.op({"FLOOR": "Floor", "ROUND": "Round", "CEIL": "Ceil"}[mode])
        self.op("Clip", self.last, self.array(low), self.array(high))
        return self.op("Mul", self.last, scale)

    def layer(self, shape: tuple[int, ...], weights: Grid, bias: Grid, spread: float, **attributes) -> None:
        x = self.last
        values = self.rng.normal(size=shape) * spread / np.prod(shape[1:]) ** 0.5
        names = (
            self.quant(weights, self.array(values)),
            self.quant(bias, self.array(self.rng.normal(size=shape[0]) / 8)),
        )
        self.op("Gemm", x, *names, transB=1) if len(shape) == 2 else self.op("Conv", x, *names, **attributes)


@dataclass
class Plan:
    """Two convolutions, two fully-connected layers."""

    inputs: Grid | None = Grid()
    weights: Grid = Grid(mode="ROUND", narrow=True)
    bias: Grid = Grid(mode="ROUND")
    values: Grid = Grid()
    scores: Grid | None = Grid()
    around: bool = False  # quantized in front of the function
    function: str = "Relu"
    pool: str = "MaxPool"
    size: int = 2
    first: bool = True  # quantized in front of the pool
    behind: bool = True  # quantized behind it
    after: str = "Identity"  # a function behind it
    padding: int = 0
    spread: float = 0.4
    seed: int = 1

    def graph(self, spelt: bool) -> Quantized:
        graph = Quantized(spelt, seed=self.seed)
        if self.inputs:
            graph.quant(self.inputs)
        side, channels = 28, 1
        for outputs, kernel in ((4, 5), (6, 3)):
            pads = [self.padding] * 4
            graph.layer((outputs, channels, kernel, kernel), self.weights, self.bias, self.spread, pads=pads)
            if self.around:
                graph.quant(self.values)
            graph.op(self.function)
            if self.first:
                graph.quant(self.values)
            side, channels = side + 2 * self.padding - kernel + 1, outputs
            if self.pool:
                graph.op(self.pool, kernel_shape=[self.size] * 2, strides=[self.size] * 2)
                side //= self.size
                if self.behind:
                    graph.quant(self.values)
                graph.op(self.after)
        graph.op("Flatten")
        graph.layer((12, channels * side**2), self.weights, self.bias, self.spread)
        if self.around:
            graph.quant(self.values)
        graph.op(self.function)
        graph.quant(self.values)
        graph.layer((10, 12), self.weights, self.bias, self.spread)
        if self.scores:
            graph.quant(self.scores)
        return graph


def takes(plan: Plan, images: np.ndarray, folder: Path, scaling: Scaling = BY_128) -> list[tuple]:
    """A plan is taken over, and its codes are what onnxruntime computes; ``then`` of the layers."""
    taken = take_over(read_onnx(plan.graph(spelt=False).save(folder)), images)
    wanted = scores(plan.graph(spelt=True), scaling.apply(images)[:, np.newaxis].astype(np.float32))
    codes = wanted * 64 / taken.unit
    np.testing.assert_array_equal(predict(taken.checkpoint, images), np.floor(codes))
    assert taken.rounded == bool(plan.scores)
    assert (codes == np.floor(codes)).all() or not taken.rounded
    assert len(np.unique(codes)) > 5
    return [layer.then for layer in taken.checkpoint.network.layers]


MAX, AVERAGE = Pool("max", 2, 2), Pool("average", 2, 2)
PLAN = Plan()
TAKEN: dict[str, tuple[Plan, tuple]] = {
    "as the hardware": (PLAN, (MAX, "relu")),
    "unsigned": (replace(PLAN, values=Grid(signed=False), first=False), (MAX, "relu")),
    "4-bit weights": (replace(PLAN, weights=Grid(1 / 16, 4, mode="ROUND")), (MAX, "relu")),
    "4-bit values": (replace(PLAN, values=Grid(1 / 16, 4, signed=False)), (MAX, "table")),
    "no function": (replace(PLAN, function="Identity"), (MAX,)),
    "tanh between quantizers": (replace(PLAN, function="Tanh", around=True), (MAX, "table")),
    "magnitudes in front of maxima": (replace(PLAN, function="Abs", around=True), ("table", MAX)),
    "average": (replace(PLAN, pool="AveragePool"), ("relu", AVERAGE)),
    "average of 3": (replace(PLAN, pool="AveragePool", size=3, function="Identity"), (Pool("average", 3, 3),)),
    "padding": (replace(PLAN, padding=1), (MAX, "relu")),
    "coarser units": (
        replace(PLAN, weights=Grid(1 / 32), values=Grid(1 / 32), bias=Grid(1 / 32), spread=0.6), (MAX, "relu"),
    ),
    "halves up, at codes": (replace(PLAN, values=Grid(1 / 8, 5, mode="HALF_UP")), (MAX, "table")),
    "narrow": (replace(PLAN, values=Grid(narrow=True)), (MAX, "relu")),
    "scores that are not rounded": (replace(PLAN, scores=None), (MAX, "relu")),
    "one bit of weights": (replace(PLAN, weights=Grid(1 / 8, 2, mode="ROUND", narrow=True), spread=1), (MAX, "relu")),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_taken_over(name: str, few_digits: Dataset, tmp_path: Path) -> None:
    plan, then = TAKEN[name]
    assert takes(plan, few_digits.images[:40], tmp_path)[0] == then


REFUSED: dict[str, tuple[Plan, str]] = {
    "rounds": (
        replace(PLAN, values=Grid(mode="ROUND")),
        r"the quantizer behind conv1 rounds to the nearest \(ROUND\); the machine rounds down \(FLOOR\)",
    ),
    "rounds up": (replace(PLAN, values=Grid(mode="CEIL")), r"the quantizer behind conv1 rounds up \(CEIL\); "),
    "weights": (replace(PLAN, weights=Grid(0.013, mode="ROUND")), "weights of conv1: scale 0.013 is no power of two"),
    "12-bit weights": (
        replace(PLAN, weights=Grid(1 / 1024, 12, mode="ROUND")),
        r"weights of conv1: 0\.\d+ in steps of 0.0009766 takes more than 8 bits",
    ),
    "biases": (
        replace(PLAN, bias=Grid(1 / 4096, 16, mode="ROUND")),
        "biases of conv1: scale 0.0002441 is finer than 0.00",
    ),
    "pixels": (replace(PLAN, inputs=None), "nothing rounds the pixels; the machine takes p >> 1 of a pixel p, 7 bits"),
    "8-bit pixels": (replace(PLAN, inputs=Grid(1 / 128, signed=False)), "the input's quantizer makes something else; "),
    "pixels are rounded": (replace(PLAN, inputs=Grid(mode="ROUND")), r"the input's quantizer rounds to the near"),
    "no quantizer": (replace(PLAN, first=False, behind=False), "nothing rounds what conv1 gives"),
    "average of what is not rounded": (
        replace(PLAN, pool="AveragePool", first=False), "nothing rounds what conv1 gives in front of its average",
    ),
    "average that is not rounded": (
        replace(PLAN, pool="AveragePool", behind=False), "nothing rounds what conv1 gives behind its average pooling",
    ),
    "two tables": (
        replace(PLAN, pool="AveragePool", function="Tanh", around=True, after="Abs"), "conv1 would need two ta",
    ),
    "finer values": (
        replace(PLAN, weights=Grid(1 / 8, 4, mode="ROUND"), bias=Grid(1 / 8, mode="ROUND"), values=Grid(2**-15, 16)),
        r"the quantizer behind conv\d has scale 3.05176e-05; the weights allow 0.000",
    ),
    "overflow": (replace(PLAN, spread=6), r"on 40 images values of conv1 leave the range of their codes \d+ times"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_condition_is_named(name: str, few_digits: Dataset, tmp_path: Path) -> None:
    plan, said = REFUSED[name]
    steps = read_onnx(plan.graph(spelt=False).save(tmp_path))
    with pytest.raises(Inexact, match=f"^{said}") as refusal:
        take_over(steps, few_digits.images[:40])
    assert "\n" not in str(refusal.value)


def drawn(rng: np.random.Generator) -> Plan:
    """Any plan; most are not taken over."""
    modes = ["FLOOR"] * 6 + ["ROUND", "HALF_UP", "CEIL"]

    def grid(mode: str = "", signed: bool = False) -> Grid:
        scale, bits = 2.0 ** -rng.integers(2, 8), int(rng.integers(2, 9))
        return Grid(scale, bits, signed or rng.random() < 0.6, mode or str(rng.choice(modes)), bool(rng.integers(2)))

    def word(*words: str) -> str:
        return str(rng.choice(words))

    def flag() -> bool:
        return bool(rng.integers(2))

    return Plan(
        weights=grid("ROUND", signed=True), bias=Grid(2.0 ** -rng.integers(3, 7), mode="ROUND"), values=grid(),
        scores=grid() if flag() else None, around=flag(), first=rng.random() < 0.8, behind=flag(),
        function=word("Relu", "Identity", "Tanh", "Abs", "HardSigmoid"), after=word("Identity", "Identity", "Abs"),
        pool=word("MaxPool", "AveragePool", ""), size=int(rng.integers(1, 4)), padding=int(rng.integers(2)),
        spread=float(rng.uniform(0.2, 0.8)), seed=int(rng.integers(1 << 30)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 30))])
def test_any_is_equal_or_refused(seed: int, few_digits: Dataset, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    taken, images = 0, few_digits.images[:10]
    while taken < 3:
        plan = drawn(rng)
        steps = read_onnx(plan.graph(spelt=False).save(tmp_path))
        try:
            found = take_over(steps, images)
        except Inexact:
            continue
        wanted = scores(plan.graph(spelt=True), BY_128.apply(images)[:, np.newaxis].astype(np.float32))
        np.testing.assert_array_equal(predict(found.checkpoint, images), np.floor(wanted * 64 / found.unit), str(plan))
        taken += 1


def test_qdq(few_digits: Dataset, tmp_path: Path) -> None:
    """QuantizeLinear rounds to the nearest: that is the same where sums have no fraction of a code."""

    def levels(graph: Graph, scale: float, values: str = "") -> str:
        names = graph.array(scale), graph.array(0, np.int8)
        if not values:
            graph.op("QuantizeLinear", graph.last, *names)
        return graph.op("DequantizeLinear", values or graph.last, *names)

    graph = Graph(17, ("n", 1, 28, 28))
    x = levels(graph, 1 / 64)
    single = np.eye(9)[[0, 4, 5, 7]] * [[1], [-1], [1], [1]]
    kernel = graph.array(single.reshape(4, 1, 3, 3), np.int8, "c1.weight")
    graph.op("Conv", x, levels(graph, 1.0, kernel))
    graph.op("Relu")
    levels(graph, 1 / 64)
    graph.op("MaxPool", kernel_shape=[4, 4], strides=[4, 4])
    flat = graph.op("Flatten")
    weight = graph.array(graph.rng.choice([-1, 1], (10, 144)), np.int8, "f2.weight")
    graph.op("Gemm", flat, levels(graph, 1 / 16, weight), transB=1)
    images = few_digits.images[:40]
    steps = read_onnx(graph.save(tmp_path))
    with pytest.raises(Inexact, match=r"^the input's quantizer rounds to the nearest"):
        take_over(steps, images)
    taken = take_over(steps, images, [HALF])
    assert [layer.name for layer in taken.checkpoint.network.layers] == ["c1", "f2"]
    wanted = scores(graph, HALF.apply(images)[:, np.newaxis])
    np.testing.assert_array_equal(predict(taken.checkpoint, images), np.floor(wanted * 64 / taken.unit))
    assert taken.unit > 1  # the scores reach further than 2


def test_other_quantizers_of_qonnx(few_digits: Dataset, tmp_path: Path) -> None:
    """Padding that is not 0, BatchNorm with powers of two, a sign, one bit, and averages whose last bits Trunc takes
    away."""
    images = few_digits.images[:20]

    def graph(spelt: bool, bipolar: bool = False) -> Quantized:
        graph = Quantized(spelt)
        graph.op("Pad", graph.last, graph.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), graph.array(0.26))
        graph.quant(Grid())
        graph.layer((4, 1, 5, 5), Grid(1 / 8, mode="ROUND"), Grid(1 / 32, mode="ROUND"), 0.5)
        one, half = graph.array(np.ones(4)), graph.array(np.full(4, 0.5))
        graph.op("BatchNormalization", graph.last, half, half, half, one, epsilon=0.0)
        graph.quant(Grid())
        graph.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        if spelt:
            graph.scalar("Mul", 64.0)
            graph.op("Floor")
            graph.scalar("Div", 64.0)
        else:  # as Brevitas writes it: the sum of the window, whose two last bits go
            graph.scalar("Mul", 4.0)
            parameters = (graph.array(value) for value in (1 / 64, 0.0, 10.0, 8.0))
            graph.op("Trunc", graph.last, *parameters, domain=QONNX, rounding_mode="FLOOR")
        graph.op("Flatten")
        graph.layer((12, 676), Grid(1 / 64, mode="ROUND"), Grid(mode="ROUND"), 0.5)
        if spelt:
            graph.op("GreaterOrEqual", graph.last, graph.array(0.0))
            graph.op("Cast", graph.last, to=1)
            graph.scalar("Mul", 1.0)
            graph.scalar("Sub", 0.5)
        elif bipolar:
            graph.op("BipolarQuant", graph.last, graph.array(0.5), domain=QONNX)
        else:
            graph.quant(Grid(0.5, 1))
        graph.layer((10, 12), Grid(mode="ROUND"), Grid(mode="ROUND"), 0.3)
        return graph

    for bipolar in (False, True):
        taken = take_over(read_onnx(graph(False, bipolar).save(tmp_path)), images)
        wanted = scores(graph(spelt=True), BY_128.apply(images)[:, np.newaxis])
        np.testing.assert_array_equal(predict(taken.checkpoint, images), np.floor(wanted * 64 / taken.unit))
        assert [layer.then for layer in taken.checkpoint.network.layers] == [(AVERAGE,), ("table",), ()]


def test_damaged_files(few_digits: Dataset, tmp_path: Path) -> None:
    """One line, whatever became of a number."""
    data = PLAN.graph(spelt=False).save(tmp_path).read_bytes()
    rng, found = np.random.default_rng(1), []
    for _ in range(150):
        damaged = bytearray(data)
        place = int(rng.integers(len(damaged) - 8))
        damaged[place : place + 4] = rng.choice([0.0, np.nan, np.inf, -1.0, 3e38, 1e-40, 9.0]).astype("<f4").tobytes()
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        try:
            take_over(read_onnx(tmp_path / "damaged.onnx"), few_digits.images[:3])
        except (Inexact, Unsupported, UserError) as error:
            found.append(error)
    assert {type(error) for error in found} == {Inexact, Unsupported, UserError}
    assert not any("\n" in str(error) for error in found)


def test_roundings() -> None:
    """The table of QONNX's IntQuant."""
    values = np.array([5.5, 2.5, 1.6, 1.1, 1.0, -1.0, -1.1, -1.6, -2.5, -5.5])
    wanted = {
        "round": [6, 2, 2, 1, 1, -1, -1, -2, -2, -6], "ceil": [6, 3, 2, 2, 1, -1, -1, -1, -2, -5],
        "floor": [5, 2, 1, 1, 1, -1, -2, -2, -3, -6], "up": [6, 3, 2, 2, 1, -1, -2, -2, -3, -6],
        "down": [5, 2, 1, 1, 1, -1, -1, -1, -2, -5], "half-up": [6, 3, 2, 1, 1, -1, -1, -2, -3, -6],
        "half-down": [5, 2, 2, 1, 1, -1, -1, -2, -2, -5], "sign": [1] * 5 + [-1] * 5,
    }  # fmt: skip
    assert {name: rounding(values).tolist() for name, rounding in ROUNDINGS.items()} == wanted


def test_quantize_takes_it_over(few_digits: Dataset, tmp_path: Path) -> None:
    path = PLAN.graph(spelt=False).save(tmp_path)
    result = quantize(path, QuantizeConfig(8), few_digits, few_digits)
    wanted = scores(PLAN.graph(spelt=True), BY_128.apply(few_digits.images)[:, np.newaxis].astype(np.float32))
    np.testing.assert_array_equal(predict(result.checkpoint, few_digits.images), wanted * 64)
    report, errors = result.report, int((classify(wanted) != few_digits.labels).sum())
    assert report["taken_over"]
    assert report["epochs"] == []
    assert report["remarks"] == ["Quantized already and taken over as it is, without training"]
    assert report["input"] == {"mean": 0.0, "std": BY_128.std}
    assert report["float"]["errors"] == report["after"]["errors"] == errors
    assert not sum(report["after"]["wraps"].values())
    assert report["held_out"]["images"] == report["float"]["held_out"]["images"] == 80
    pixels = tmp_path / "x.npy"
    np.save(pixels, few_digits.images)
    unlabelled = calibrate(path, QuantizeConfig(0), pixels)
    assert unlabelled.checkpoint.digest == result.checkpoint.digest
    assert unlabelled.report["after"]["errors"] == 0
    plan = replace(PLAN, scores=None)
    result = quantize(plan.graph(spelt=False).save(tmp_path), QuantizeConfig(8), few_digits)
    assert ", are rounded down to multiples of 0.0039" in result.report["remarks"][-1]
    assert result.report["float"]["errors"] != 0


def test_quantize_says_why_not(few_digits: Dataset, tmp_path: Path) -> None:
    """Its quantizers are then left out."""
    few = Dataset("few", few_digits.images[:50], few_digits.labels[:50])
    plan = replace(PLAN, function="Identity", values=Grid(signed=False, mode="ROUND"))
    path = plan.graph(spelt=False).save(tmp_path)
    result = quantize(path, QuantizeConfig(0), few)
    assert result.report["remarks"] == [
        "Its quantizers left out",
        "Not taken over as it is quantized: the quantizer behind conv1 rounds to the nearest (ROUND); the machine "
        "rounds down (FLOOR); so it is quantized anew",
    ]
    assert "taken_over" not in result.report
    steps = read_onnx(path)
    assert is_quantized(steps)
    bare = unquantized(steps)
    assert not is_quantized(bare)
    images = BY_128.apply(few.images)[:, np.newaxis]
    np.testing.assert_allclose(run(bare, images), run(steps, images), atol=0.1)  # steps are 1 / 64
    assert evaluate(result.checkpoint, few).errors == result.report["after"]["errors"] or result.report["test"] is None
    assert any(isinstance(step, Quantizer) for step in steps.steps)
