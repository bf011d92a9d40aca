"""The networks of `LISTED`, forty that people keep in public, built from a line of words each and written into files of
the same form.

A line has layers in their order: ``6c5`` a convolution of 6 outputs and 5x5 kernels, ``s2`` behind it a stride, ``p2``
padding, ``q4`` weights of 4 bits, ``-`` no bias; ``84f`` a fully-connected layer; ``m2`` and ``a2`` max and average
pools, ``gap`` that of the whole map; ``relu4`` and ``id4`` functions that round to 4 bits; ``c3`` LeCun's,
of 16 small ones.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn.utils import parametrize

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.float_errors import USUAL_INPUTS, Scaling
from fivebyfive.model.readers.state_dict.preparation import Preparation

from .keras_files import Spec, forward, h5_file, keras_file, named
from .tensorflow_files import checkpoint, variables_of, with_slots

PLAIN, MNIST, SYMMETRIC = USUAL_INPUTS[:3]
STEPS = 938  # of training, of 64 images each: an epoch


@dataclass(frozen=True)
class Listed:
    """``number`` and ``source``: of the list. ``form``: the suffix of its file, and what is in there. ``steps`` of
    training; where a file is refused none are needed. ``options``: of `inspect`, where a file without a graph is asked
    about. ``names``: of the variables of TensorFlow, as `variables_of` has them."""

    number: int
    source: str
    form: str
    layers: str
    size: tuple[int, int, int] = (1, 28, 28)
    scaling: Scaling = PLAIN
    resized: bool = True
    classes: int = 10
    steps: int = STEPS
    seed: int = 0
    options: str = ""
    names: str = "named"

    @property
    def words(self) -> list[str]:
        return self.layers.split()

    @property
    def has_graph(self) -> bool:
        """Whether its file says what its layers compute."""
        return not self.form.endswith((STATE, CHECKPOINT))

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.size, resized=self.resized and self.size[1:] != (28, 28))

    def labels(self, dataset: Dataset) -> np.ndarray:
        """The digits; modulo ``classes``, where it has fewer: even and odd."""
        return dataset.labels % self.classes

    def inputs(self, images: np.ndarray) -> torch.Tensor:
        """What the network takes, of images of MNIST."""
        return torch.from_numpy(self.scaling.apply(self.preparation.apply(images).astype(np.float64))).float()


GREY, COLOUR = (1, 32, 32), (3, 32, 32)
STATE, WHOLE, CHECKPOINT = "state_dict", "pickled module", "TensorFlow 1"
EXACT = "6c5 relu m2 16c5 relu m2 flat 120f relu 84f relu 10f"
AVERAGE = EXACT.replace("m2", "a2")
EXAMPLE = "32c3 relu 64c3 relu m2 drop flat 128f relu drop 10f logsoftmax"
NOT_TRAINED = 0
LISTED = (
    Listed(1, "pytorch/examples", f".pt {STATE}", EXAMPLE, scaling=MNIST, steps=2 * STEPS,
           options="--pool max2"),
    Listed(3, "pytorch/tutorials, cifar10", f".pth {STATE}", EXACT, COLOUR, SYMMETRIC),
    Listed(5, "pytorch/tutorials, nn", f".pt {STATE}", "16c3s2p1 relu 16c3s2p1 relu 10c3s2p1 relu a4 flat",
           steps=4 * STEPS, seed=2),  # with other seeds ReLU keeps a class at 0
    Listed(7, "d2l-ai/d2l-en", f".params {STATE}", AVERAGE.replace("relu", "sigmoid").replace("6c5", "6c5p2", 1),
           steps=2 * STEPS),
    Listed(9, "keras-team/keras-io", ".keras", "32c3 relu m2 64c3 relu m2 flat drop 10f softmax"),
    Listed(11, "NVIDIA/TensorRT", f".pt {STATE}", "20c5 m2 50c5 m2 flat 500f relu 10f logsoftmax", scaling=MNIST,
           options="--activation none,relu"),
    Listed(13, "Xilinx/brevitas", ".onnx QONNX", "id4 6c5q4- relu4 m2 16c5q4- relu4 m2 flat 120fq4- relu4 84fq4- relu4 "
           "10fq4-", COLOUR, resized=False),
    Listed(15, "ChawDoe/LeNet5-MNIST-PyTorch", f".pkl {WHOLE}", "6c5 m2 16c5 m2 flat 120f relu 84f relu 10f relu",
           steps=NOT_TRAINED),
    Listed(17, "NNgen/nngen", ".onnx", "64c3p1 bn relu m2 64c3p1 bn relu flat 256f bn relu 10f", COLOUR,
           steps=NOT_TRAINED),
    Listed(19, "chiennhm/LeNet5_HDL", f".pt {STATE}", "6c5 relu a2 16c5 relu a2 120c4 relu flat 84f relu 10f"),
    Listed(21, "sherylll/lenet5-accelerator", ".h5 Keras 2", f"{EXACT} softmax"),
    Listed(23, "wontothree/stm32-lenet5-mnist", ".h5 Keras 3",
           "6c3 tanh a2 sigmoid 16c3 tanh a2 sigmoid 120c3 tanh flat 84f tanh 10f softmax", steps=2 * STEPS),
    Listed(25, "DO-HYUN-Y/lenet5-kv260-final", f".pth {STATE}", EXACT, GREY, MNIST),
    Listed(27, "carsacc/cnn-lenet5-sky130", f".pt {STATE}", "8c3 relu m2 16c3 relu m2 32c3 relu gap flat 10f",
           scaling=MNIST, steps=2 * STEPS),
    Listed(29, "kirthana1181/LeNet-5-Brainsmith", ".onnx QONNX",
           "id8 6c5s2p2q8- relu8 16c5s2q8- relu8 120c5q8- relu8 flat 84fq8- relu8 10fq8-"),
    Listed(31, "Ahaasin/LeNet-verilog", f".pth {STATE}", "6c5 relu m2 16c5 relu m2 120c4 flat 84f 10f"),
    Listed(33, "mjao1/cnn-fpga", ".h5 Keras 3", f"{EXACT} softmax"),
    Listed(35, "wa-kakalala/lenet5-verilog", ".onnx", EXACT.replace("16c5", "c3"), scaling=MNIST),
    Listed(37, "enochliang/LeNet_accelerator", f".pt {STATE}",
           "6c5- relu m2 16c5- relu m2 120c5- relu flat 84f- relu 10f-", GREY,
           options="--pool max2 --activation relu --padding 0 --input 1x32x32"),
    Listed(39, "Zwhua/Lenet_TangMega138K", f".pth {STATE}", EXACT.replace("16c5 relu", "16c5"), GREY),
    Listed(41, "jfw225/mnist-cnn-fpga", ".h5 Keras 2", "8c2 relu m2 8c2 relu m2 drop flat 10f softmax"),
    Listed(43, "Alanwangxiao/CS420-Final-project", f".ckpt {CHECKPOINT}",
           "6c5 relu m2 16c4 relu m2 32c6 relu flat 10f", (1, 45, 45), names="weights first",
           options="--input 1x45x45"),
    Listed(45, "BojianHan/BiRconv", f".ckpt {CHECKPOINT}", "32c5 relu m3s3p1 64c5 relu m2p1 flat 200f relu 10f",
           names="unnamed", options="--pool max --activation relu --padding 0 --input 1x28x28"),
    Listed(47, "DaveHudiny/BIN_public", f".pt {STATE}",
           "64c5 relu m2 64c5 relu 16c3p1 relu m2 flat 120f relu 84f relu 10f", steps=2 * STEPS),
    Listed(49, "Grigoryan-David/LeNet5", ".h5 Keras 2", f"{AVERAGE} softmax"),
    Listed(51, "J-Peters/iocr", ".h5 Keras 2", "20c5p2 relu m2 50c5p2 relu m2 flat 500f relu 10f softmax"),
    Listed(53, "1926627357/KINGHQ", f".pt {STATE}", "6c5 relu m2 16c5 relu m2 120c4 relu flat 84f relu 10f",
           options="--pool max2 --activation relu --padding 0 --input 1x28x28"),
    Listed(55, "GT-RIPL/Continual-Learning", f".pth {STATE}",
           "20c5p2 bn relu m2 50c5p2 bn relu m2 flat 500f bn relu 10f", GREY, MNIST, False),
    Listed(57, "BingzheWu/BayesNet, CryptoNet", f".pt {STATE}", "5c5s2 relu a2 flat 100f relu 10f"),
    Listed(59, "DwaraknathT/DeAI", f".pt {STATE}", EXAMPLE, scaling=MNIST, steps=2 * STEPS,
           options="--pool max2"),
    Listed(61, "Guoxoug/MLLib", f".pth {STATE}", EXACT.replace("10f", "100f"), COLOUR, SYMMETRIC),
    Listed(63, "Abinayaa299/Soil-Image", ".h5 Keras 2", f"{AVERAGE.replace('relu', 'tanh')} softmax", (3, 244, 244),
           steps=NOT_TRAINED),
    Listed(65, "GooseofSchrodingcat/demo2", f".pt {STATE}", "6c5 a2 16c5 a2 flat 120f relu 84f relu 10f", COLOUR,
           options="--pool average2 --activation none,relu"),
    Listed(67, "ManhPP/BNN", f".pth {STATE}", AVERAGE),
    Listed(69, "Tamiru-Alemnew/CV-Assignment-3-", f".pth {STATE}",
           "6c5 tanh a2 16c5 tanh a2 120c5 tanh flat 84f tanh 10f", COLOUR, SYMMETRIC,
           options="--pool average2 --activation tanh --input 3x32x32"),
    Listed(71, "armanirodriguez/thesis-code", f".pt {WHOLE}",
           "6c5p2 gelu m2 16c5 gelu m2 120c5 gelu flat 84f gelu drop 10f", steps=NOT_TRAINED),
    Listed(73, "500swapnil/traffic-sign", f".ckpt {CHECKPOINT}", "20c5p2 m2 50c5p2 m2 flat 500f relu 2f", COLOUR,
           classes=2, options="--pool max2 --activation none,relu --padding 2 --input 3x32x32"),
    Listed(75, "Bingwen22/Hybrid_quant_lenet", f".pt {STATE}", EXACT, scaling=MNIST),
    Listed(77, "Phuoc2003/LeNet5_Quantization", f".pt {STATE}", f"{AVERAGE.replace('6c5', '6c1', 1)} logsoftmax",
           scaling=MNIST),
    Listed(79, "Silvan-K/lenet5-mnist", ".onnx", "6c5 bn relu m2 16c5 bn relu m2 flat 120f relu 84f relu 10f", GREY,
           resized=False),
)  # fmt: skip


# modules

LAYER = re.compile(r"(\d+)([cf])(\d?)(?:s(\d))?(?:p(\d))?(?:q(\d))?(-?)")
POOL = re.compile(r"([ma])(\d)(?:s(\d))?(?:p(\d))?")
ROUNDED = re.compile(r"(id|relu)(\d)")
NAMED: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "flat": nn.Flatten,
    "drop": lambda: nn.Dropout(0.25), "softmax": lambda: nn.Softmax(1), "logsoftmax": lambda: nn.LogSoftmax(1),
    "gap": lambda: nn.AdaptiveAvgPool2d(1), "c3": lambda: Sparse(),
    "bn": nn.LazyBatchNorm2d, "bn1d": nn.LazyBatchNorm1d,
}  # fmt: skip
ENDS = ("softmax", "logsoftmax")
# LeCun et al. 1998, table I: the maps that each map of C3 is made of.
C3 = ([[k, (k + 1) % 6, (k + 2) % 6] for k in range(6)] + [sorted((k + j) % 6 for j in range(4)) for k in range(6)]
      + [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [*range(6)]])  # fmt: skip


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(len(chosen), 1, 5) for chosen in C3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([conv(x[:, chosen]) for conv, chosen in zip(self.maps, C3, strict=True)], 1)


class Levels(torch.autograd.Function):
    """Rounding to levels, whose gradient passes inside them; a Quant of QONNX in an ONNX file."""

    @staticmethod
    def forward(ctx, x, scale, bits, signed):
        low, high = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        ctx.save_for_backward((x / scale >= low) & (x / scale <= high))
        return torch.clip(torch.round(x / scale), low, high) * scale

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None, None

    @staticmethod
    def symbolic(g, x, scale, bits, signed):
        zero, width = (g.op("Constant", value_t=torch.tensor(float(one))) for one in (0, bits))
        attributes = {"signed_i": int(signed), "narrow_i": int(signed), "rounding_mode_s": "ROUND"}
        made = g.op("qonnx.custom_op.general::Quant", x, scale, zero, width, **attributes)
        made.setType(x.type())  # the exporter does not know its shape
        return made


class Rounded(nn.Module):
    """Values as levels, of which the largest one of the last training batch is the highest."""

    def __init__(self, bits: int, signed: bool) -> None:
        super().__init__()
        self.bits, self.signed = bits, signed
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.scale = x.detach().abs().max() / (2 ** (self.bits - self.signed) - 1)
        return Levels.apply(x, self.scale, self.bits, self.signed)


def module_of(word: str) -> nn.Module:
    """A layer of a word; of how many inputs the first images say."""
    if found := LAYER.fullmatch(word):
        outputs, kind, kernel, stride, padding, bits, plain = found.groups()
        if kind == "f":
            made: nn.Module = nn.LazyLinear(int(outputs), bias=not plain)
        else:
            made = nn.LazyConv2d(int(outputs), int(kernel), int(stride or 1), int(padding or 0), bias=not plain)
        made.weight_bits = int(bits or 0)
        return made
    if found := POOL.fullmatch(word):
        kind, size, stride, padding = found.groups()
        pool = nn.MaxPool2d if kind == "m" else nn.AvgPool2d
        return pool(int(size), int(stride or size), int(padding or 0))
    if found := ROUNDED.fullmatch(word):
        rounded = Rounded(int(found[2]), found[1] == "id")
        return rounded if found[1] == "id" else nn.Sequential(nn.ReLU(), rounded)
    return NAMED[word]()


def build(listed: Listed) -> nn.Sequential:
    """The network, not trained."""
    torch.manual_seed(listed.number + listed.seed)
    net, shape = nn.Sequential(), torch.zeros(2, *listed.size)
    counts = {"c": 0, "f": 0}
    for number, word in enumerate(listed.words):
        layer = module_of("bn1d" if word == "bn" and shape.ndim == 2 else word)
        name = str(number)
        if found := LAYER.fullmatch(word):
            counts[found[2]] += 1
            name = {"c": "conv", "f": "fc"}[found[2]] + str(counts[found[2]])
        net.add_module(name, layer)
        shape = layer.eval()(shape)
        if "sigmoid" in listed.words and hasattr(layer, "weight"):
            nn.init.xavier_uniform_(layer.weight)
        if bits := getattr(layer, "weight_bits", 0):
            parametrize.register_parametrization(layer, "weight", Rounded(bits, True))
    return net.eval()


def train(listed: Listed, net: nn.Sequential, dataset: Dataset) -> None:
    """Adam, ``listed.steps`` of 64 images each, in an order of its own."""
    rng = np.random.default_rng(listed.number)
    rate = 5e-3 if "sigmoid" in listed.words and "tanh" not in listed.words else 2e-3
    optimizer = torch.optim.Adam(net.parameters(), rate)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.1, listed.steps)
    scores, labels = before_softmax(net).train(), listed.labels(dataset)
    for _ in range(listed.steps):
        chosen = rng.integers(0, len(dataset), 64)
        wanted = torch.from_numpy(labels[chosen].astype(np.int64))
        loss = nn.functional.cross_entropy(scores(listed.inputs(dataset.images[chosen])), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    net.eval()


def before_softmax(net: nn.Sequential) -> nn.Sequential:
    return net[:-1] if isinstance(net[-1], nn.Softmax | nn.LogSoftmax) else net


def scores_of(listed: Listed, net: nn.Sequential, images: np.ndarray) -> np.ndarray:
    """What the network itself gives before a softmax, in float64."""
    with torch.no_grad():
        parts = [before_softmax(net)(listed.inputs(images[at : at + 250])) for at in range(0, len(images), 250)]
    return torch.cat(parts).double().numpy()


def source_scores(listed: Listed, net: nn.Sequential, path: Path, images: np.ndarray) -> np.ndarray:
    """What the framework of its form gives for ``images``, as the network takes them: ONNX Runtime of the file, in
    float32; PyTorch, in float64; Keras's own semantics in NumPy."""
    suffix, _, form = listed.form.partition(" ")
    if suffix == ".onnx" and form != "QONNX":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {"x": images.astype(np.float32)})[0]
    if suffix in (".keras", ".h5"):
        return forward(named(keras_specs(listed, net)), images.astype(np.float64).transpose(0, 2, 3, 1))
    with torch.no_grad():
        scores = before_softmax(net).double()(torch.from_numpy(images).double()).numpy()
    net.float()
    return scores


# files


def write(listed: Listed, net: nn.Sequential, folder: Path) -> Path:
    """The network in its form; the file to name."""
    suffix, _, form = listed.form.partition(" ")
    path = folder / f"network{suffix}"
    if suffix == ".onnx":
        path.write_bytes(onnx_of(net, listed.size))
    elif suffix in (".keras", ".h5"):
        _, rows, columns = listed.size
        shape, specs = (rows, columns, listed.size[0]), keras_specs(listed, net)
        path.write_bytes(keras_file(specs, shape) if suffix == ".keras" else h5_file(specs, shape, int(form[-1])))
    elif suffix == ".ckpt":
        checkpoint(with_slots(variables_of(net, listed.size, listed.names))).write(path)
    else:
        torch.save(net if form == WHOLE else net.state_dict(), path)
    return path


def onnx_of(net: nn.Sequential, size: tuple[int, int, int]) -> bytes:
    """As torch.onnx.export writes it; roundings as Brevitas does, in QONNX."""
    whole = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(net, (torch.zeros(1, *size),), whole, dynamo=False, input_names=["x"],
                          dynamic_axes={"x": {0: "n"}}, custom_opsets={"qonnx.custom_op.general": 1})  # fmt: skip
    return whole.getvalue()


def keras_specs(listed: Listed, net: nn.Sequential) -> list[Spec]:
    """The layers as Keras has them: channels last, functions in the layers that they are behind."""
    specs: list[Spec] = []
    flattened: tuple[int, ...] = ()
    x = torch.zeros(1, *listed.size)
    for word, layer in zip(listed.words, net, strict=True):
        shape, x = x.shape[1:], layer(x)
        arrays = {}
        if hasattr(layer, "weight"):
            weight = layer.weight.detach().numpy()
            if flattened:
                weight = weight.reshape(len(weight), *flattened).transpose(0, 2, 3, 1).reshape(len(weight), -1)
                flattened = ()
            arrays = {"kernel": weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T,
                      "bias": layer.bias.detach().numpy()}  # fmt: skip
        match layer:
            case nn.Conv2d():
                same = "same" if layer.padding[0] else "valid"
                config = {"filters": layer.out_channels, "kernel_size": [*layer.kernel_size], "padding": same,
                          "strides": [*layer.stride], "activation": "linear"}  # fmt: skip
                specs.append(Spec("Conv2D", config, arrays))
            case nn.Linear():
                specs.append(Spec("Dense", {"units": layer.out_features, "activation": "linear"}, arrays))
            case nn.MaxPool2d() | nn.AvgPool2d():
                kind = "MaxPooling2D" if isinstance(layer, nn.MaxPool2d) else "AveragePooling2D"
                sizes = {"pool_size": [layer.kernel_size] * 2, "strides": [layer.stride] * 2, "padding": "valid"}
                specs.append(Spec(kind, sizes))
            case nn.Flatten():
                flattened = tuple(shape)
                specs.append(Spec("Flatten"))
            case nn.Dropout():
                specs.append(Spec("Dropout", {"rate": layer.p}))
            case _ if specs[-1].kind in ("Conv2D", "Dense"):
                specs[-1].config["activation"] = word
            case _:
                specs.append(Spec("Activation", {"activation": word}))
    return specs
