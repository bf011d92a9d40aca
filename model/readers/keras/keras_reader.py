"""Keras models, of version 2 or 3: ``.keras`` (a zip archive of JSON and HDF5) and ``.h5`` (HDF5 that holds the JSON).

Nothing in such a file is run: the configuration is JSON that names classes of Keras, and `keras_layers` has those that
can be read. Parts that are written in C read it in a process of their own (`hdf5`).
"""

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from fivebyfive.model.readers.chain import MAX_SIDE, Chain, brief
from fivebyfive.model.readers.keras.hdf5 import Contents, read_hdf5
from fivebyfive.model.readers.keras.keras_layers import FORMATTED, LAYERS, Layer, is_foreign, plain
from fivebyfive.model.readers.steps import Steps, Unsupported
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path, open_limited

__all__ = ["read_keras", "steps_of"]

MAX_BYTES = 1 << 30  # of the file, and of the weights in it
MAX_CONFIG = 16 << 20  # bytes of JSON
MAX_LAYERS = 1_000
MAX_NESTED = 8  # models in models
MAX_MEMBERS = 1_000
PIECE = 1 << 20
ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
SAVE = "save the whole model: model.save('model.keras')"
MODELS = ("Sequential", "Functional", "Model")  # Model: of Keras 2
POLICIES = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
Entry = Mapping[str, Any]


def read_keras(path: Path) -> Steps:
    """The steps of a ``.keras`` or ``.h5`` file, told apart by their content.

    Raises UserError, one line, for a file that cannot be read, and Unsupported for a network that no layers can be
    made of.
    """
    path = as_path(path, "model")
    with open_limited(path, MAX_BYTES, "model") as file:
        start = file.read(len(HDF5))
        file.seek(0)
        if start == HDF5:
            contents = read_hdf5(path, file)
            said = contents.attributes.get("", {}).get("model_config")
            if not isinstance(said, str):
                raise UserError(f"{path} holds weights and no network; {SAVE}")
            config = said.encode("utf-8", "replace")
            version = contents.attributes[""].get("keras_version", "2")
        elif start.startswith(ZIP):
            config, version, contents = unpacked(path, file)
        else:
            raise UserError(f"{path} is not a Keras file (.keras or .h5); {SAVE}")
    try:
        return steps_of(json.loads(config), str(version), contents)
    except (Unsupported, UserError):
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its configuration is no JSON that Keras writes; save it again") from error


def unpacked(path: Path, file: BinaryIO) -> tuple[bytes, str, Contents]:
    """Configuration, version of Keras, and weights of a ``.keras`` file."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if len(members) != len(archive.infolist()) or len(members) > MAX_MEMBERS:
                raise UserError(f"{path} has parts of the same name, or too many; save it again")
            if any(name.endswith(".weights.json") for name in members):
                raise UserError(f"{path} keeps its weights in several parts; {SAVE}")
            if missing := [name for name in (CONFIG, METADATA, WEIGHTS) if name not in members]:
                raise UserError(f"{path} has no {missing[0]}; {SAVE}")
            config, metadata = (member(path, archive, members[name], MAX_CONFIG) for name in (CONFIG, METADATA))
            with tempfile.TemporaryFile(prefix="fivebyfive-") as weights:
                copy(path, archive, members[WEIGHTS], MAX_BYTES, weights)
                contents = uniform(path, read_hdf5(path, weights))
            version = json.loads(metadata)["keras_version"]
    except UserError:
        raise
    except OSError:
        raise
    except Exception as error:  # a damaged archive makes zipfile and zlib raise almost anything
        raise UserError(f"{path} is damaged or not a Keras file ({type(error).__name__}); {SAVE}") from error
    return config, str(version), contents


def uniform(path: Path, contents: Contents) -> Contents:
    """With the paths of Keras 3. Keras 2.12 has another name for ``layers``, and on Windows another separator."""

    def renamed(found: dict[str, Any]) -> dict[str, Any]:
        names = {name.replace("\\", "/").replace("_layer_checkpoint_dependencies", "layers"): name for name in found}
        if len(names) != len(found):
            raise UserError(f"{path} has weights twice; {SAVE}")
        return {new: found[name] for new, name in names.items()}

    return Contents(renamed(contents.attributes), renamed(contents.arrays), renamed(contents.types))


def member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    with tempfile.SpooledTemporaryFile(PIECE) as whole:
        copy(path, archive, info, limit, whole)
        whole.seek(0)
        return whole.read()


def copy(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, to: IO[bytes]) -> None:
    """Unpack a part of an archive, which must not be larger than ``limit``, whatever it says."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{path} is packed in a way that Keras does not use; {SAVE}")
    left = limit
    with archive.open(info) as part:
        while piece := part.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise UserError(f"{path} unpacks to more than {limit} bytes of {info.filename}; a model has less")
            to.write(piece)
    to.flush()


def steps_of(model: Any, version: str, contents: Contents) -> Steps:
    """The steps of a model's configuration. Raises Unsupported."""
    major = int(found[0]) if (found := re.match(r"\d{1,3}", version)) else 2
    layers = list(flat(model, Weights(contents), major))
    if len(layers) > MAX_LAYERS:
        raise Unsupported(f"the network has {len(layers)} layers, more than {MAX_LAYERS}")
    chain = Chain(input_shape(layers, model), channels_last(layers))
    for layer in layers:
        before = len(chain.steps)
        ended = chain.ended
        LAYERS[layer.kind](layer, chain)
        if ended and chain.computes_since(before):
            raise Unsupported(f"layer {brief(ended)} is a softmax in front of others, which no layer computes")
    return Steps(chain.input, tuple(chain.steps), tuple(chain.remarks))


# the layers in order


def flat(model: Any, weights: "Weights", major: int, depth: int = 0) -> Iterator[Layer]:
    """The layers of a chain, those of models inside it among them."""
    entry = checked(model)
    kind = entry["class_name"]
    if kind not in MODELS or is_foreign(entry) or depth > MAX_NESTED:
        raise Unsupported(f"the model is of class {brief(kind)}; Sequential and functional models can be read")
    config = entry["config"]
    is_list = isinstance(config, list) and kind == "Sequential"  # of Keras before 2.2.3
    found = config if is_list else config.get("layers") if isinstance(config, dict) else None
    if not isinstance(found, list) or not 0 < len(found) <= MAX_LAYERS:
        raise Unsupported("the model has no list of layers")
    entries = [checked(one) for one in found]
    folders = weights.folders(entries)
    order = range(len(entries)) if kind == "Sequential" else chained(entries, config)
    for number in order:
        one, name = entries[number], name_of(entries[number])
        inside = weights.of(name, folders[number])
        if one["class_name"] in MODELS and not is_foreign(one):
            yield from flat(one, inside, major, depth + 1)
            continue
        if one["class_name"] == "Lambda":
            raise Unsupported(f"layer {brief(name)} is a Lambda, Python code in the file, which is never run")
        if one["class_name"] not in LAYERS or is_foreign(one):
            raise Unsupported(f"layer {brief(name)} is of class {brief(one['class_name'])}, which cannot be read")
        check_policy(name, one["config"].get("dtype"))
        arrays, types = inside.arrays(name)
        yield Layer(name, one["class_name"], one["config"], arrays, types, major)


def checked(entry: Any) -> Entry:
    """An object of the configuration: a class, and what it is made with."""
    match entry:
        case {"class_name": str(), "config": dict() | list()}:
            return entry
    raise Unsupported(f"the configuration holds {brief(entry)}, not a layer of Keras")


def name_of(entry: Entry) -> str:
    config = entry["config"]
    name = config.get("name") if isinstance(config, dict) else None
    if isinstance(config, list) and entry["class_name"] not in MODELS:
        raise Unsupported(f"a layer of class {brief(entry['class_name'])} has a list as its configuration")
    return name if isinstance(name, str) else str(entry.get("name", ""))


def check_policy(name: str, policy: Any) -> None:
    """Raise Unsupported for layers that compute in integers."""
    if isinstance(policy, dict):
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, dict) else policy
    if policy is not None and policy not in POLICIES:
        raise Unsupported(f"layer {brief(name)} computes in {brief(policy)}; save the float network")


def chained(entries: list[Entry], config: Entry) -> list[int]:
    """Places of a functional model's layers from its input to its output. Raises Unsupported where it branches."""
    names = [name_of(entry) if entry.get("name") is None else str(entry["name"]) for entry in entries]
    places = {name: number for number, name in enumerate(names)}
    if len(places) != len(entries):
        raise Unsupported("two layers have the same name")
    ends = [single(config.get(key), what) for key, what in (("input_layers", "input"), ("output_layers", "output"))]
    order: list[int] = []
    name = ends[1]
    while name in places and len(order) <= len(entries):
        order.append(places[name])
        if name == ends[0]:
            break
        name = source(names[order[-1]], entries[order[-1]].get("inbound_nodes"))
    else:
        raise Unsupported(f"layer {brief(name)} is missing, or its inputs go in a circle")
    if len(order) != len(entries):
        left = next(name for number, name in enumerate(names) if number not in order)
        raise Unsupported(f"the layers are no chain: {brief(left)} lies beside it")
    return order[::-1]


def single(found: Any, what: str) -> str:
    """The layer of the only input or output: ["name", 0, 0], or a list of one such."""
    match found:
        case [str(name), int(), int()] | [[str(name), int(), int()]]:
            return name
    raise Unsupported(f"the model has more than one {what}, or none")


def source(name: str, nodes: Any) -> str:
    """The layer that a layer takes its input from, as Keras 2 or 3 writes it."""
    match nodes:
        case [[[str(origin), int(), int(), dict(options)]]]:
            pass
        case [[[str(origin), int(), int()]]]:
            options = {}
        case [{"args": [{"config": {"keras_history": [str(origin), int(), int()]}}], "kwargs": dict(options)}]:
            pass
        case [_, _, *_]:
            raise Unsupported(f"layer {brief(name)} is used more than once; a layer is used in one place")
        case _:
            raise Unsupported(f"layer {brief(name)} does not have one input; the layers must be a chain")
    for key, value in options.items():
        if value not in (None, False, {}):
            raise Unsupported(f"layer {brief(name)} is called with {brief(key)}={brief(value)}")
    return origin


def batch_shape(config: Any) -> list[Any] | None:
    """A shape with the batch in front, of an input or of a first layer that has one."""
    if not isinstance(config, dict):
        return None
    for key in ("batch_shape", "batch_input_shape", "build_input_shape", "input_shape"):
        shape = plain(config.get(key))
        if isinstance(shape, list) and len(shape) > 1:
            return shape
    return None


def input_shape(layers: list[Layer], model: Entry) -> tuple[int, ...]:
    places = [layers[0].config, model.get("build_config"), model["config"]]
    for place in places:
        if (shape := batch_shape(place)) is not None:
            return check_shape(shape)
    raise Unsupported("the file does not say the shape of the input; build the model with keras.Input(shape)")


def check_shape(shape: list[Any]) -> tuple[int, ...]:
    _, *sides = shape
    if not 1 <= len(sides) <= 3 or not all(type(n) is int and 0 < n <= MAX_SIDE for n in sides):
        raise Unsupported(f"the input has the shape {brief(sides)}; an image of fixed size can be read")
    return tuple(sides)


def channels_last(layers: list[Layer]) -> bool:
    """Which axis of the maps has the channels, the same for all layers."""
    formats = {str(layer.config.get("data_format") or "channels_last") for layer in layers if layer.kind in FORMATTED}
    if len(formats) > 1 or formats - {"channels_last", "channels_first"}:
        raise Unsupported(f"the layers have several data formats: {brief(sorted(formats))}")
    return formats != {"channels_first"}


# where their weights are


@dataclass(frozen=True)
class Weights:
    """Where the weights of a model's layers are. ``group``: of an .h5 file, that of the outermost layer they belong to;
    ``folder``: of a .keras file, the path of a model."""

    contents: Contents
    group: str = ""
    folder: str = ""

    @property
    def is_legacy(self) -> bool:
        return "model_config" in self.contents.attributes.get("", {})

    def folders(self, entries: list[Entry]) -> list[str]:
        """Folders of a .keras file's layers: their classes in snake case, numbered."""
        used: dict[str, int] = {}
        found = []
        for entry in entries:
            kind = snake_case(entry["class_name"])
            used[kind] = used.get(kind, -1) + 1
            found.append(f"{kind}_{used[kind]}" if used[kind] else kind)
        return found

    def of(self, name: str, folder: str) -> "Weights":
        """The same for one layer, or for the model that it is."""
        return Weights(self.contents, self.group or name, f"{self.folder}/layers/{folder}".lstrip("/"))

    def arrays(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """A layer's arrays by their roles, and the types of those that hold no floats."""
        places = self.legacy(name) if self.is_legacy else self.current(name)
        arrays = {role: self.contents.arrays[path] for role, path in places if path in self.contents.arrays}
        return arrays, {role: self.contents.types[path] for role, path in places if path in self.contents.types}

    def legacy(self, name: str) -> list[tuple[str, str]]:
        """Roles and paths in an .h5 file: "conv2d/kernel:0" in the group of the layer."""
        group = f"model_weights/{self.group}"
        found = self.contents.attributes.get(group, {})
        names = found.get("weight_names", [])
        for number in range(len(found)):  # a long list is kept in parts
            names = [*names, *found.get(f"weight_names{number}", [])]
        if self.group != name:  # a layer of a model inside
            names = [one for one in names if one.split("/")[-2:-1] == [name]]
        places = [(one.split("/")[-1].split(":")[0], f"{group}/{one}") for one in names]
        if len({role for role, _ in places}) != len(places):
            raise Unsupported(f"layer {brief(name)} has two weights of the same name")
        return places

    def current(self, name: str) -> list[tuple[str, str]]:
        """Roles "0", "1", ... and paths in a .keras file."""
        folder = f"{self.folder}/vars"
        said = self.contents.attributes.get(folder, {}).get("name", name)
        if said != name:
            raise Unsupported(f"the weights of layer {brief(name)} are those of {brief(said)}")
        return [(str(number), f"{folder}/{number}") for number in range(4)]


def snake_case(name: str) -> str:
    """As Keras makes the name of a layer from its class."""
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()
