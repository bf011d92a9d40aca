"""Keras files written by hand, in the layout of Keras 3 (.keras and .h5) and of Keras 2 (.h5), and what they compute.

`forward` is Keras's own semantics in NumPy, channels last, straight from the configuration: nothing of the reader's.
"""

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

Array = np.ndarray


@dataclass
class Spec:
    """A layer: its class, its configuration, its arrays by the roles of Keras in the order of Keras."""

    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    name: str = ""


ROLES_3 = {"depthwise_kernel": "kernel"}  # of DepthwiseConv2D, in .h5 files of Keras 3
SNAKE = {
    "Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "SeparableConv2D": "separable_conv2d", "Dense": "dense",
    "BatchNormalization": "batch_normalization", "Normalization": "normalization",
}  # fmt: skip


def named(specs: list[Spec]) -> list[Spec]:
    return [
        Spec(one.kind, one.config, one.arrays, one.name or f"{one.kind.lower()}_{n}") for n, one in enumerate(specs)
    ]


def config(specs: list[Spec], shape: tuple[int, ...], keras: int, functional: bool = False) -> dict[str, Any]:
    """The configuration of a chain."""
    batch = {"batch_shape" if keras == 3 else "batch_input_shape": [None, *shape], "dtype": "float32", "name": "in"}
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "config": batch}]
    layers += [
        {"class_name": one.kind, "config": {"name": one.name, "dtype": "float32", **one.config}} for one in specs
    ]
    if keras == 3:
        layers = [{"module": "keras.layers", **one, "registered_name": None} for one in layers]
    if not functional:
        return {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    before = None
    for one in layers:
        one["name"] = one["config"]["name"]
        tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [before, 0, 0]}}
        node = {"args": [tensor], "kwargs": {"mask": None}} if keras == 3 else [[before, 0, 0, {}]]
        one["inbound_nodes"] = [node] if before else []
        before = one["name"]
    ends = (["in", 0, 0], [before, 0, 0]) if keras == 3 else ([["in", 0, 0]], [[before, 0, 0]])
    inner = {"name": "net", "layers": layers, "input_layers": ends[0], "output_layers": ends[1]}
    return {"class_name": "Functional" if keras == 3 else "Model", "config": inner}


def keras_file(specs: list[Spec], shape: tuple[int, ...], functional: bool = False, **options: Any) -> bytes:
    """A .keras file. ``options``: of zipfile.ZipFile.writestr."""
    model = json.dumps(config(named(specs), shape, 3, functional))
    return zipped(model, weights_file(named(specs)), **options)


def zipped(model: str, weights: bytes, **options: Any) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-11-29@19:28:04"}))
        archive.writestr("config.json", model)
        archive.writestr("model.weights.h5", weights, **options)
    return whole.getvalue()


def weights_file(specs: list[Spec], root: str = "layers") -> bytes:
    """model.weights.h5: folders by class, numbered; arrays by number."""
    whole, used = io.BytesIO(), dict[str, int]()
    with h5py.File(whole, "w") as file:
        for one in specs:
            if one.kind not in SNAKE:
                continue
            name = SNAKE[one.kind]
            used[name] = used.get(name, -1) + 1
            group = file.create_group(f"{root}/{name}_{used[name]}" if used[name] else f"{root}/{name}")
            group = group.create_group("vars")
            group.attrs["name"] = one.name
            for number, array in enumerate(one.arrays.values()):
                group[str(number)] = array
    return whole.getvalue()


def h5_file(specs: list[Spec], shape: tuple[int, ...], keras: int = 2, functional: bool = False) -> bytes:
    """An .h5 file with its configuration."""
    specs, whole = named(specs), io.BytesIO()
    with h5py.File(whole, "w") as file:
        version = "3.15.1" if keras == 3 else "2.15.0"
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", version
        file.attrs["model_config"] = json.dumps(config(specs, shape, keras, functional))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [one.name.encode() for one in specs]
        for one in specs:
            group = weights.create_group(one.name)
            names = []
            for role, array in one.arrays.items():
                role = ROLES_3.get(role, role) if keras == 3 and one.kind == "DepthwiseConv2D" else role
                names.append(f"net/{one.name}/{role}" if keras == 3 else f"{one.name}/{role}:0")
                group[names[-1]] = array
            group.attrs["weight_names"] = [name.encode() for name in names]
    return whole.getvalue()


# what Keras computes


def windows(x: Array, size: tuple[int, int], stride: tuple[int, int], padding: str, fill: float) -> Array:
    """(N, rows, columns, K, L, C) of maps (N, H, W, C): TensorFlow's padding."""
    if padding == "same":
        pads = []
        for n, k, s in zip(x.shape[1:3], size, stride, strict=True):
            total = max(k - s, 0) if n % s == 0 else max(k - n % s, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def function(name: str, x: Array, keras: int) -> Array:
    erf = np.vectorize(__import__("math").erf)
    return {
        "linear": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        "gelu": lambda: 0.5 * x * (1 + erf(x / np.sqrt(2))),
        "swish": lambda: x / (1 + np.exp(-x)),
        "silu": lambda: x / (1 + np.exp(-x)),
        "leaky_relu": lambda: np.where(x > 0, x, 0.2 * x),
        "hard_sigmoid": lambda: np.clip(x / 6 + 0.5 if keras == 3 else 0.2 * x + 0.5, 0, 1),
        "softmax": lambda: x,  # left out
    }[name]()


def forward(specs: list[Spec], x: Array, keras: int = 3) -> Array:
    """What comes out of a chain before a softmax, from (N, H, W, C)."""
    for one in specs:
        c, a = one.config, {role: array.astype(np.float64) for role, array in one.arrays.items()}
        stride, padding = tuple(c.get("strides") or c.get("pool_size", (1, 1))), c.get("padding", "valid")
        match one.kind:
            case "Conv2D":
                groups = c.get("groups", 1)
                seen = windows(x, a["kernel"].shape[:2], stride, padding, 0)
                parts = zip(np.split(seen, groups, -1), np.split(a["kernel"], groups, -1), strict=True)
                x = np.concatenate([np.einsum("nrsklc,klco->nrso", v, k) for v, k in parts], -1) + a.get("bias", 0)
            case "DepthwiseConv2D" | "SeparableConv2D":
                kernel = a["depthwise_kernel"]
                seen = np.einsum("nrsklc,klcm->nrscm", windows(x, kernel.shape[:2], stride, padding, 0), kernel)
                x = seen.reshape(*seen.shape[:3], -1)
                x = (x @ a["pointwise_kernel"][0, 0] if "pointwise_kernel" in a else x) + a.get("bias", 0)
            case "Dense":
                x = x @ a["kernel"] + a.get("bias", 0)
            case "MaxPooling2D":
                x = windows(x, c["pool_size"], stride, padding, -np.inf).max((3, 4))
            case "AveragePooling2D":
                x = np.nanmean(windows(x, c["pool_size"], stride, padding, np.nan), (3, 4))
            case "GlobalAveragePooling2D":
                x = x.mean((1, 2), keepdims=c.get("keepdims", False))
            case "GlobalMaxPooling2D":
                x = x.max((1, 2), keepdims=c.get("keepdims", False))
            case "ZeroPadding2D":
                x = np.pad(x, ((0, 0), *map(tuple, c["padding"]), (0, 0)))
            case "Flatten":
                x = x.reshape(len(x), -1)
            case "Reshape":
                x = x.reshape(len(x), *c["target_shape"])
            case "BatchNormalization":
                spread = np.sqrt(a["moving_variance"] + c.get("epsilon", 1e-3))
                x = (x - a["moving_mean"]) / spread * a.get("gamma", 1) + a.get("beta", 0)
            case "Normalization":
                mean, variance = (a.get(key, c.get(key)) for key in ("mean", "variance"))
                x = (x - np.array(mean)) / np.maximum(np.sqrt(variance), 1e-7)
            case "Rescaling":
                x = x * np.array(c["scale"]) + np.array(c.get("offset", 0))
            case "ReLU":
                slope, most = c.get("negative_slope") or 0, c.get("max_value")
                x = np.where(x > 0, x, slope * x)
                x = x if most is None else np.minimum(x, most)
            case "LeakyReLU":
                x = np.where(x > 0, x, c.get("negative_slope", c.get("alpha")) * x)
            case "ELU":
                x = np.where(x > 0, x, c["alpha"] * np.expm1(np.minimum(x, 0)))
            case "Activation" | "Dropout" | "SpatialDropout2D" | "Softmax":
                pass
        x = function(c.get("activation") or "linear", x, keras)
    return x
