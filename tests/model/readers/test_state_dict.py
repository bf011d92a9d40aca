"""State_dicts: their tensors become layers, and their reading is found or asked for, never wrong."""

import json
import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch as safetensors
import torch
from PIL import Image
from scipy import optimize, stats
from torch import nn

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.state_dict import reading
from fivebyfive.model.readers.state_dict.candidates import ACTIVATIONS, Candidate, Functions, Readings
from fivebyfive.model.readers.state_dict.geometry import WHOLE, Geometry, Spot, geometries
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.preparation import Preparation, preparations
from fivebyfive.model.readers.state_dict.reading import FEW, LAST, Ambiguous, Finder, find_reading
from fivebyfive.model.readers.state_dict.scoring import (
    Scorer,
    calibrated,
    cross_entropies,
    differ,
    further,
    losses,
)
from fivebyfive.model.readers.state_dict.weights import Weights, read_weights
from fivebyfive.model.readers.steps import Activation, Affine, Pooling, Steps
from fivebyfive.support.errors import UserError

from .trained_networks import Plan, Trained, equal, errors, save, train, train_on

IMAGES = 2000  # that choose; the others train
SMALL = Plan(((4, 5, 0, 2), (8, 5, 0, 2)), (32, 10))
PADDED = ((4, 5, 2, 2), (8, 5, 2, 3))  # shapes of a network without padding and with pools of 2
MISREAD = {  # by version 0.1.0, silently: shapes fit, meaning does not
    "average": replace(SMALL, pool="average"),
    "no function behind convolutions": replace(SMALL, conv="none"),
    "tanh, max": replace(SMALL, conv="tanh", fc="tanh"),
    "tanh, average": replace(SMALL, pool="average", conv="tanh", fc="tanh"),
    "sigmoid, average": replace(SMALL, pool="average", conv="sigmoid", fc="sigmoid", mean=0.0, std=1.0),
    "padding 2, a second pool of 3": Plan(PADDED, (10,)),
    "padded pools": replace(SMALL, around=1),  # shapes of a network of 32x32 without
    "padded averages": replace(SMALL, pool="average", around=1),
}
# With the scaling of MNIST, wrong readings of this one do better than the right one.
INVERTED = replace(
    SMALL, convs=PADDED, dense=(10,), conv="tanh", inverted=True, norm=True, mean=0.286, std=0.353
)  # fmt: skip
CASES = MISREAD | {"inverted, BatchNorm, another scaling": INVERTED}
QUICK = ("average", "tanh, average", "padding 2, a second pool of 3", "padded pools")


@pytest.fixture(scope="module")
def images(digits: Dataset) -> tuple[Dataset, Dataset]:
    """Those that train, and those that choose."""
    parts = slice(IMAGES, None), slice(IMAGES)
    one, other = (Dataset(digits.name, digits.images[part], digits.labels[part]) for part in parts)
    return one, other


def state(*layers: tuple) -> dict:
    """Random tensors of layers (name, shape of the weight)."""
    torch.manual_seed(3)
    made = {}
    for name, *shape in layers:
        made |= {f"{name}.weight": torch.randn(shape) / 4, f"{name}.bias": torch.randn(shape[0])}
    return made


LENET = state(("c1", 6, 1, 5, 5), ("c2", 16, 6, 5, 5), ("f1", 20, 256), ("f2", 10, 20))


def saved(path, tensors):
    torch.save(tensors, path)
    return path


def refused(kind: type[Exception], call, *words: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# readings that are found


@pytest.mark.parametrize("case", [pytest.param(one, marks=[pytest.mark.full] * (one not in QUICK)) for one in CASES])
def test_a_network_that_was_misread_is_read_right_or_asked_about(tmp_path, images, case) -> None:
    plan, (training, choosing) = CASES[case], images
    sigmoid = plan.conv == "sigmoid"
    net = train(plan, training, 900 if sigmoid else 300, rate=1e-2 if sigmoid else 3e-3)
    path = save(net, tmp_path / "net")
    try:
        reading = find_reading(path, choosing)
        assert equal(net, reading.network)
    except Ambiguous as error:
        reading, said = error.reading, str(error)
        assert "--network FILE.json" in said
    assert reading.images == IMAGES
    assert reading.errors <= errors(net, choosing) + 15  # the right one was tried


class Bare(Trained):
    """Without a function behind the last convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, last = self.features
        x = nn.functional.max_pool2d(torch.relu(first(x)), 2)
        hidden, scores = self.classifier
        return scores(torch.relu(hidden(nn.functional.max_pool2d(last(x), 2).flatten(1))))


@pytest.mark.parametrize("kind", [Bare, Trained])
def test_the_function_behind_the_last_convolution_is_read_right_or_asked_about(tmp_path, images, kind) -> None:
    """Networks trained briefly may do as well without theirs."""
    torch.manual_seed(0)
    net = kind(SMALL)
    train_on(net, images[0], 200, 0, 3e-3)
    with suppress(Ambiguous):
        assert equal(net, find_reading(save(net, tmp_path / "net"), images[1]).network)


def test_images_that_it_was_trained_on_tell_what_others_leave_open(tmp_path, digits) -> None:
    """Mean before or behind ReLU: images that the network has not seen do not tell, its own do."""
    plan = Plan(((4, 5, 0, 2),), (32, 10), "average")
    seen = Dataset(digits.name, digits.images[LAST:], digits.labels[LAST:])
    net = train(plan, seen, 900, rate=3e-3)
    path = save(net, tmp_path / "net")
    refused(Ambiguous, lambda: find_reading(path, first(digits, LAST)), "do not tell apart", "pools first")
    assert equal(net, find_reading(path, digits).network)


def test_padded_pools_that_do_as_well_are_no_reading(tmp_path, images) -> None:
    """Few networks have them: they must do better than the same with padding elsewhere."""
    plan = Plan(((4, 3, 1, 2), (8, 3, 0, 2)), (32, 10), conv="tanh", size=(1, 32, 32))
    net = train(plan, images[0], 300, rate=3e-3)
    assert equal(net, find_reading(save(net, tmp_path / "net"), images[1]).network)


def test_a_reading_that_cannot_be_built_refuses_no_other(tmp_path, images) -> None:
    """A padded pool of values below zero does a little better than the network itself: it is asked about."""
    net = train(Plan(((4, 3, 1, 2),), (32, 10), conv="none", fc="none", mean=0.0, std=1.0), images[0], 300, rate=3e-3)
    path = save(net, tmp_path / "net")
    refused(Ambiguous, lambda: find_reading(path, images[1]), "max 2 padding 1, fc", "or with 28x28, 3x3 4 padding 1")


def test_what_is_left_open_is_asked_about_and_said_by_options(tmp_path, images) -> None:
    """Weights that were never trained are no reading's; options that leave one are believed."""
    path, few = save(Trained(SMALL), tmp_path / "net"), first(images[1], 300)
    refused(Ambiguous, lambda: find_reading(path, few), "no reading is good", "were the weights trained", "--network")
    refused(Ambiguous, lambda: find_reading(path, None), "tensors and no graph", "--pool, --activation")
    said = ReadingOptions(pool="average", activation="tanh,sigmoid", padding="0", input="1x28x28", mean=0.5, std=0.5)
    refused(Ambiguous, lambda: find_reading(path, None, said), "can be read in")  # pools first, or functions
    dense = {name.replace("f1", "hidden"): value for name, value in state(("f1", 20, 1024), ("f2", 10, 20)).items()}
    path = saved(tmp_path / "dense", dense)
    refused(Ambiguous, lambda: find_reading(path, None), "can be read in 4 ways")
    reading = find_reading(path, None, ReadingOptions(activation="sigmoid", mean=0.5, std=0.5))
    assert (reading.scaling, reading.images, reading.errors) == (Scaling(0.5, 0.5), 0, None)
    assert reading.network.functions == {"hidden": (Activation("sigmoid"),)}
    assert str(reading) == "read as: 32x32, fc 20, sigmoid, fc 10, pixels (p / 255 - 0.5) / 0.5"
    known = find_reading(path, few, ReadingOptions(activation="sigmoid"))
    assert (known.images, known.data, known.preparation.size) == (300, "mnist-test", (1, 32, 32))


def first(dataset: Dataset, count: int) -> Dataset:
    return Dataset(dataset.name, dataset.images[:count], dataset.labels[:count])


def test_a_description_says_all(tmp_path, images) -> None:
    net = Trained(replace(SMALL, conv="sigmoid", fc="gelu", pool="average"))
    path, few = save(net, tmp_path / "net"), first(images[1], 40)
    conv = {"kind": "conv", "then": [{"function": "sigmoid"}, {"average": 2}]}
    dense = [{"name": "a", "kind": "fc", "then": [{"function": "gelu"}]}, {"name": "b", "kind": "fc"}]
    whole = {"input": [1, 28, 28], "layers": [{"name": "c1", **conv}, {"name": "c2", **conv}, *dense]}
    for dataset in (None, few):
        reading = find_reading(path, dataset, ReadingOptions(description=json.dumps(whole)))
        assert equal(net, reading.network)
        assert reading.network.network.names == ("c1", "c2", "a", "b")
        assert reading.images == (40 if dataset else 0)

    def changed(words: str, **layer) -> None:
        layers = [whole["layers"][0] | layer, *whole["layers"][1:]]
        options = ReadingOptions(description=json.dumps(whole | {"layers": layers}))
        refused(UserError, lambda: find_reading(path, None, options), words)

    changed("no function is called no; there is relu", then=[{"function": "no"}])
    changed("tanh has no parameter size", then=[{"function": "tanh", "size": 2}])
    changed("low must be finite", then=[{"function": "clip", "low": 10**400}])
    changed("a float network has no table", then=["table"])
    changed("must have the layers of the file in their order: conv, conv, fc, fc", kind="fc")
    changed("leave out fill", padding=2, fill=17)
    changed("kernel is 3, but its weights have 5", kernel=3)


# tensors become layers


@pytest.mark.parametrize("wrapper", ["", "state_dict", "model_state_dict", "net", "anything"])
def test_tensors_in_a_wrapper_under_any_name(tmp_path, wrapper) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2, 2)}}, "param_groups": [{"lr": 0.1}]}
    tensors = {f"module.model.{name}": value for name, value in LENET.items()}
    content = {wrapper: tensors, "epoch": 3, "optimizer": optimizer} if wrapper else tensors
    layers = read_weights(saved(tmp_path / "checkpoint", content))
    assert [(one.name, one.kind, one.outputs) for one in layers] == [
        ("c1", "conv", 6), ("c2", "conv", 16), ("f1", "fc", 20), ("f2", "fc", 10),
    ]  # fmt: skip
    assert np.allclose(layers[2].weight, LENET["f1.weight"])


def test_two_state_dicts_in_a_file(tmp_path) -> None:
    path = tmp_path / "net.pth"
    assert len(read_weights(saved(path, {"model": LENET, "ema": LENET}))) == 4
    refused(UserError, lambda: read_weights(saved(path, {"one": LENET, "ema": LENET})), "several state_dicts, one, ema")


def test_layers_are_ordered_by_name_where_the_file_has_no_order(tmp_path) -> None:
    names = {"c1": "features.0", "c2": "features.10", "f1": "classifier.1", "f2": "classifier.3"}
    tensors = {f"{names[name[:2]]}{name[2:]}": value.contiguous() for name, value in LENET.items()}
    safetensors.save_file(tensors, tmp_path / "net")
    assert [one.name for one in read_weights(tmp_path / "net")] == list(names.values())


def test_layers_that_are_defined_in_another_order(tmp_path) -> None:
    moved = {name: LENET[name] for name in sorted(LENET, key=lambda name: (name[0], -int(name[1])))}
    assert [one.name for one in read_weights(saved(tmp_path / "net", moved))] == ["c1", "c2", "f1", "f2"]
    broken = LENET | {"c2.weight": torch.zeros(16, 5, 5, 5)}
    refused(UserError, lambda: read_weights(saved(tmp_path / "net", broken)), "do not follow one another")


def test_batch_norm_biases_and_groups(tmp_path) -> None:
    norm = {f"n.{name}": torch.rand(6) + 0.5 for name in ("weight", "bias", "running_mean", "running_var")}
    tensors = {
        "a.weight": torch.randn(6, 1, 3, 3), **norm, "n.num_batches_tracked": torch.tensor(4),
        "b.weight": torch.randn(6, 1, 3, 3), "W": torch.randn(10, 24), "b": torch.randn(10),
    }  # fmt: skip
    first, second, dense = read_weights(saved(tmp_path / "net", tensors))
    assert (first.bias, first.groups, second.groups, second.norm) == (None, 1, 6, None)
    assert first.norm is not None
    module = nn.BatchNorm2d(6).eval()
    module.load_state_dict({name.removeprefix("n."): value for name, value in tensors.items() if name[:2] == "n."})
    x = torch.randn(1, 6, 4, 4)
    made = x.numpy() * first.norm.scale.reshape(-1, 1, 1) + first.norm.shift.reshape(-1, 1, 1)
    assert np.allclose(made, module(x).detach(), atol=1e-5)
    assert dense.bias is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"p.weight": torch.zeros(1)}, "p.weight, of shape (1,), does not belong to a layer that is known"),
        ({"scale": torch.zeros(7)}, "scale, of shape (7,), does not belong"),
        ({"x.weight": torch.zeros(3, 3, 3)}, "x.weight, of shape (3, 3, 3), does not belong"),
        ({"c1.bias": torch.zeros(7)}, "c1.bias, of shape (7,), does not belong"),
        ({"f3.weight": torch.zeros(10, 10, dtype=torch.int8)}, "f3.weight is torch.int8, not a float"),
        ({"n.running_var": torch.ones(9)}, "n is a BatchNorm of 9 channels, which no layer before it has"),
        ({"n.running_var": -torch.ones(6)}, "n.running_var has values below 0"),
        ({"f3.weight": torch.zeros(3000, 3000)}, "there is room for 4,194,304 weights"),
        ({f"g{n}.weight": torch.zeros(10, 10) for n in range(4)}, "and 6 fully-connected layers; there may be 8 and 4"),
    ],
)
def test_tensors_that_belong_to_no_layer(tmp_path, more, said) -> None:
    refused(UserError, lambda: read_weights(saved(tmp_path / "net", LENET | more)), said)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_tensors_without_values(tmp_path, name) -> None:
    write = torch.save if name == "net.pt" else safetensors.save_file
    write({"c.weight": torch.zeros(4, 0, 5, 5)}, tmp_path / name)
    said = "c.weight, of shape (4, 0, 5, 5), has no values"
    refused(UserError, lambda: read_weights(tmp_path / name), said)


@pytest.mark.parametrize("shape", [[0, 1 << 40, 1 << 40], [0, 1 << 63], [1 << 63, 0]])
def test_sizes_that_no_tensor_can_have(tmp_path, shape) -> None:
    """Those of a tensor without values are not held by the file's length; PyTorch raised all sorts of errors then."""
    header = json.dumps({"c.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    refused(UserError, lambda: read_weights(tmp_path / "net.safetensors"), "net.safetensors", "; save ")


def test_whole_models_are_never_loaded(tmp_path) -> None:
    words = "never loaded", "torch.save(model.state_dict(), 'model.pt')", "torch.export.save("
    torch.save(Trained(SMALL), tmp_path / "net.pt")
    refused(UserError, lambda: read_weights(tmp_path / "net.pt"), *words)
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "net.pt")
    refused(UserError, lambda: read_weights(tmp_path / "net.pt"), "TorchScript archive, whose code is never run")


# sizes, functions, images


def layers_of(*shapes: tuple) -> list[Weights]:
    rng = np.random.default_rng(1)
    return [Weights(f"l{n}", rng.normal(size=shape) / 4) for n, shape in enumerate(shapes)]


def test_sizes_that_fit() -> None:
    layers = layers_of((6, 1, 5, 5), (16, 6, 5, 5), (10, 400))
    found = geometries(layers, [(28, 28), (32, 32)], 1)
    pools = (2, 2)
    five = Geometry((1, 28, 28), (Spot(1, 2, pools), Spot(1, 0, pools)))
    assert five in found
    same = Geometry((1, 32, 32), (Spot(1, 0, pools), Spot(1, 0, pools)))
    assert same in found
    assert same.inner == five.inner
    assert geometries(layers, [(32, 32)], 1, [0]) == tuple(
        one for one in found if one.input[1] == 32 and not any(spot.padding for spot in one.spots)
    )
    strided = geometries(layers_of((8, 1, 3, 3), (10, 8, 3, 3)), [(28, 28)], 1)
    assert Geometry((1, 28, 28), (Spot(2, 1, None), Spot(2, 1, WHOLE))) in strided
    mixed = geometries(layers_of((4, 1, 5, 5), (4, 4, 5, 5), (4, 4, 3, 3), (9, 64)), [(28, 28)], 1)
    assert Geometry((1, 28, 28), (Spot(1, 0, pools), Spot(1, 0, None), Spot(1, 1, pools))) in mixed
    assert geometries(layers_of((10, 784)), [(28, 28), (32, 32)], 1) == (Geometry((1, 28, 28), ()),)


@pytest.mark.parametrize("dense", [[(10, 576)], [(20, 576), (10, 20)]])
def test_sizes_are_chosen_among_readings_with_functions(tmp_path, dense) -> None:
    """A single fully-connected layer has no function of its own: once only convolutions without any were tried then."""
    tensors = state(("c", 4, 1, 5, 5), *((f"f{n}", *shape) for n, shape in enumerate(dense)))
    path = saved(tmp_path / "net", tensors)
    finder = Finder(path, read_weights(path), None, ReadingOptions(), lambda *_: None)
    quick = {one.conv for geometry in finder.geometries() for one in finder.functions(geometry) if finder.simple(one)}
    assert quick == {"relu", "none", "tanh", "sigmoid"}


def test_a_function_in_front_of_the_last_pool_is_left_open() -> None:
    """Scores are no function's, but the mean of whole maps may be one of ReLU."""
    readings = Readings(layers_of((8, 1, 3, 3), (10, 8, 3, 3)))
    spots = {window: (Spot(2, 1, None), Spot(2, 1, window)) for window in (WHOLE, None)}
    lasts = {
        window: {one.last for one in readings.functions(Geometry((1, 28, 28), its), ("average",), ("relu", "none"), ())}
        for window, its in spots.items()
    }
    assert lasts == {WHOLE: {"relu", "none"}, None: {"none"}}


def test_scores_are_those_of_the_layers_they_become(images) -> None:
    """Of every function, both pools, both orders and all places of BatchNorm."""
    norm = Affine(np.linspace(-1, 2, 4), np.linspace(-0.5, 0.5, 4))
    conv, second, *dense = layers_of((4, 1, 5, 5), (4, 4, 3, 3), (6, 100), (10, 6))
    layers = [replace(conv, norm=norm), second, *dense]
    readings, few = Readings(layers), first(images[1], 5)
    geometry = Geometry((1, 28, 28), (Spot(1, 0, (2, 2)), Spot(1, 0, (2, 2))))
    ways = [Functions(conv=name, last=name, fc=name) for name in ACTIVATIONS]
    ways += readings.functions(geometry, ("max", "average"), ("tanh", "none"), ("relu",))
    assert len(set(ways)) > 25
    scaling = Scaling(0.1307, 0.3081)
    candidates = [Candidate(geometry, one, Preparation(geometry.input), scaling) for one in ways]
    scores = Scorer(readings, few).scores(candidates, 5)
    for one in candidates:
        steps = readings.steps(geometry, one.functions)
        wanted = run(Steps(geometry.input, steps), scaling.apply(few.images[:, np.newaxis]))
        assert np.allclose(scores[one], wanted, rtol=1e-4, atol=1e-4), one.functions
    network = fold(Steps(geometry.input, readings.steps(geometry, ways[0])))
    assert np.allclose(scores[candidates[0]], run(network, scaling.apply(few.images[:, np.newaxis])), atol=1e-4)


class Alone(Scorer):
    """Each candidate alone, step by step, by PyTorch's own pools."""

    def part(self, candidates, start, stop, tick=lambda _: None):
        found = {}
        for one in candidates:
            images = self.dataset.images[start:stop]
            x = torch.from_numpy(one.preparation.apply(images).astype(np.float32))
            with torch.inference_mode():
                for step in (
                    self.readings.scaled(one.scaling), *self.readings.steps(one.geometry, one.functions)
                ):  # fmt: skip
                    x = self.apply(step, x)
            found[one] = x.flatten(1).numpy()
            tick(len(images))
        return found

    def scores(self, candidates, count, tick=lambda _: None):
        return self.part(candidates, 0, count, tick)

    def pooled(self, step, x):
        size = step.size or (x.shape[2], x.shape[3])
        pool = nn.functional.max_pool2d if step.kind == "max" else nn.functional.avg_pool2d
        return pool(x, size, step.stride if step.size else size, step.padding[0])


def drawn(seed: int) -> tuple[Plan, ReadingOptions]:
    """A network, and what is said of it: not all is tried, as each candidate alone takes long."""
    rng = np.random.default_rng(seed)
    kernel, pool = int(rng.choice([3, 5])), str(rng.choice(["max", "average"]))
    convs = tuple((outputs, kernel, 0, 2) for outputs in ((4, 8), (6,))[rng.integers(2)])
    conv, fc = (str(rng.choice(["relu", "none", "tanh", "sigmoid"])) for _ in range(2))
    dense = ((10,), (24, 10))[rng.integers(2)]
    plan = replace(SMALL, convs=convs, dense=dense, pool=pool, conv=conv, fc=fc, norm=bool(rng.integers(2)))
    said = [{"pool": f"{pool}2"}, {"activation": f"{conv},{fc}"}, {"mean": 0.1307, "std": 0.3081}][seed % 3]
    return plan, ReadingOptions(input="1x28x28", **said)


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(3, 9))])
def test_readings_are_found_as_if_each_were_tried_alone(tmp_path, monkeypatch, images, seed) -> None:
    """Candidates that share steps, and sizes that are left out early, change neither the reading nor what is asked."""
    plan, options = drawn(seed)
    path, few = save(train(plan, images[0], 120, seed, 3e-3), tmp_path / "net"), first(images[1], 400)

    def said() -> tuple:
        try:
            found = find_reading(path, few, options)
        except Ambiguous as error:
            return str(error), error.reading and str(error.reading)
        return str(found), found.next_best, found.rectifiers

    fast, kept = said(), tried(path, few, options)
    monkeypatch.setattr(reading, "Scorer", Alone)
    monkeypatch.setattr(reading, "PART", FEW)
    assert said() == fast
    monkeypatch.setattr(sys.modules[__name__], "Scorer", Alone)
    alone = tried(path, few, options)
    assert [*alone] == [*kept]
    assert all(np.array_equal(alone[one], kept[one]) for one in alone)


def tried(path, dataset: Dataset, options: ReadingOptions) -> dict:
    """What is kept of the readings on few images."""
    finder = Finder(path, read_weights(path), dataset, options, lambda *_: None)
    finder.found = finder.geometries()
    functions = {one: finder.functions(one) for one in finder.found}
    return finder.tried(Scorer(finder.readings, dataset), functions, False, False)


def test_sizes_that_are_hopeless_are_left_out_early(monkeypatch, tmp_path, images) -> None:
    """Without a change of what is kept, and not tried on all of the few images."""
    layers = layers_of((4, 1, 5, 5), (8, 4, 5, 5), (10, 128))
    finder = Finder(tmp_path, layers, first(images[1], 100), ReadingOptions(), lambda *_: None)
    finder.found = finder.geometries()
    quick = {one: finder.functions(one)[:2] for one in finder.found}
    ways = finder.candidates(quick, finder.options.scalings, False, False)
    rng, tried_on = np.random.default_rng(4), []
    good = {one.geometry.inner for one in ways[:1]}
    wrong = {one: rng.random(FEW) < (0.1 if one.geometry.inner in good else 0.95) for one in ways}

    def part(ones, start, stop, tick):
        tried_on.append(len(ones) * (stop - start))
        labels = finder.dataset.labels[start:stop]
        return {one: np.eye(10)[np.where(wrong[one][start:stop], (labels + 1) % 10, labels)] for one in ones}

    scorer = SimpleNamespace(part=part, dataset=finder.dataset)
    found = finder.few_errors(scorer, ways)
    assert {one: int(wrong[one].sum()) for one in found} == found
    everywhere = {inner: min(wrong[one].sum() for one in ways if one.geometry.inner == inner) for inner in
                  {one.geometry.inner for one in ways}}  # fmt: skip
    assert {one.geometry.inner for one in found} >= {min(everywhere, key=everywhere.get)}
    assert sum(tried_on) < 0.8 * FEW * len(ways)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pools_are_those_of_pytorch(kind, stride) -> None:
    x = torch.randn(3, 4, 13, 10, generator=torch.Generator().manual_seed(stride))
    x[0, 0, 2, 3] = torch.inf
    for size in range(stride, 5):
        step = Pooling(kind, (size, size), (stride, stride))
        assert torch.equal(Scorer.pooled(SCORER, step, x), Alone.pooled(SCORER, step, x))
    whole = Pooling(kind, None, (1, 1))
    assert torch.allclose(Scorer.pooled(SCORER, whole, x), Alone.pooled(SCORER, whole, x), atol=1e-6)


SCORER = SimpleNamespace(torch=torch)


def test_images_are_prepared_as_pillow_does(images) -> None:
    picture = images[1].images[:2]
    for size in ((32, 32), (20, 24)):
        resized = Preparation((3, *size), resized=True).apply(picture)
        wanted = np.asarray(Image.fromarray(picture[0]).resize(size[::-1], Image.Resampling.BILINEAR))
        assert resized.shape == (2, 3, *size)
        assert np.abs(resized[0, 1].astype(int) - wanted).max() <= 1
    padded = Preparation((1, 32, 32), border=33, inverted=True, transposed=True).apply(picture)
    assert np.array_equal(padded[0, 0, 2:-2, 2:-2], 255 - picture[0].T)
    assert padded[0, 0, 0, 0] == 222
    assert [one.resized for one in preparations((1, 32, 32), (28, 28), 33)] == [False, False, True]
    assert [one.resized for one in preparations((1, 20, 20), (28, 28))] == [True]


@pytest.mark.parametrize("counts", [(0, 0), (3, 3), (0, 14), (2, 40)])
def test_mcnemar(counts) -> None:
    one, other = counts
    first = np.array([True] * one + [False] * other + [True] * 5)
    second = np.array([False] * one + [True] * other + [True] * 5)
    wanted = stats.binomtest(one, one + other).pvalue if any(counts) else 1.0
    assert np.isclose(differ(first, second), wanted)


def test_what_is_clearly_further_from_labels() -> None:
    """By a tenth, both as scores are and with the factor that suits them best."""
    rng = np.random.default_rng(1)
    scores, noise = rng.normal(0, 3, (3000, 10)), rng.normal(0, 1, (3000, 10))
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = (chances.cumsum(1) > rng.random((3000, 1))).argmax(1)  # drawn as the scores say
    factor, loss = calibrated(scores / 3, labels)
    wanted = optimize.minimize_scalar(lambda x: losses(x * scores / 3, labels).mean(), bounds=(1, 9), method="bounded")
    assert abs(np.log2(factor / wanted.x)) <= 1 / 16
    assert wanted.fun <= loss.mean() <= wanted.fun + 1e-3

    def worse(other: np.ndarray, best: np.ndarray = scores, images: int = 3000) -> bool:
        mine, its = (cross_entropies(one[:images], labels[:images]) for one in (best, other))
        return further(mine, its, 1.1)

    assert worse(scores + noise)
    assert worse((scores + noise) / 3)
    assert not worse(scores / 3)  # with a factor it is the same
    assert not worse(scores + noise / 3)  # clearly, but not a tenth
    assert not worse(scores + noise, images=30)  # by chance
    assert not worse(scores, scores + noise)
    assert not worse(scores / 3, scores + noise)  # as it is it has more, with a factor less


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pool": "min"}, "a pool is max or average, also with its size as in max2, or none; not min"),
        ({"activation": "relu,tanh,relu"}, "an activation is one of relu, none"),
        ({"activation": "cosine"}, "such as none,relu; not cosine"),
        ({"padding": "-1"}, "padding is a number up to 6"),
        ({"input": "28x28"}, "an input is CHANNELSxROWSxCOLUMNS"),
        ({"input": "1x2x28"}, "of 4 to 128 rows and columns, not 1x2x28"),
        ({"mean": 1.0}, "mean and std belong together"),
        ({"pool": "max", "description": "{}"}, "a description says all of a network"),
    ],
)
def test_options_that_mean_nothing(given, said) -> None:
    refused(ValueError, lambda: ReadingOptions(**given), said)


def test_options_that_fit_no_file(tmp_path) -> None:
    path = saved(tmp_path / "net", LENET)

    def call(words: str, **given) -> None:
        refused(UserError, lambda: find_reading(path, None, ReadingOptions(**given)), words)

    call("has 2 convolutions; --padding gives 3", padding="0,0,0")
    call("no usual padding, stride and pool of images of 9x9 give f1 its 256 inputs", input="1x9x9", padding="0")
    refused(Ambiguous, lambda: find_reading(path, None, ReadingOptions(input="2x28x28")), "can be read in")
