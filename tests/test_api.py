"""What Python code may give to the public classes: a mistake is a UserError of one line that says what to do."""

import importlib.metadata
from collections.abc import Callable

import numpy as np
import pytest

import fivebyfive
from fivebyfive import Accelerator, Config, Network, UserError
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weight_form import Engines
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.simulator.simulators import find

NETWORK = Network(Checkpoint.random(LeNetShape(2, 3, (7, 10)), seed=1))
PERCEPTRON = Network(Checkpoint.random(LeNetShape(0, 0, (10,)), seed=1))
HARDWARE = NETWORK.accelerator()
IMAGES = np.zeros((2, 28, 28), np.uint8)
BAD_IMAGES = {
    "None": (None, "a NumPy array, not NoneType"),
    "one image": (IMAGES[0], r"not one of uint8 \(28, 28\); give image\[np.newaxis\]"),
    "a list": (IMAGES.tolist(), "a NumPy array, not list"),
    "a name": ("images.npy", "a NumPy array, not str"),
    "floats": (IMAGES / 255, r"not float64 \(2, 28, 28\)"),
    "signed": (IMAGES.astype(np.int8), r"not int8 \(2, 28, 28\)"),
    "27 rows": (IMAGES[:, 1:], r"not uint8 \(2, 27, 28\)"),
    "channels": (np.repeat(IMAGES[:, np.newaxis], 3, 1), r"not uint8 \(2, 3, 28, 28\)"),
    "objects": (np.array([None]), r"not object \(1,\)"),
}
TAKE_IMAGES = {
    "predict": NETWORK.predict, "classify": NETWORK.classify, "trace": NETWORK.trace,
    "simulate": HARDWARE.simulate, "accelerator.predict": HARDWARE.predict,
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_IMAGES)
@pytest.mark.parametrize("method", TAKE_IMAGES)
def test_what_are_no_images(method: str, what: str) -> None:
    images, said = BAD_IMAGES[what]
    with pytest.raises(UserError, match=rf"^images must be uint8 \(N, 28, 28\), {said}$"):
        TAKE_IMAGES[method](images)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "load(3)": (lambda: fivebyfive.load(3), "the checkpoint must be given by its path, not as int"),
    "load(None)": (lambda: fivebyfive.load(None), "the checkpoint must be given by its path, not as NoneType"),
    "load(b'')": (lambda: fivebyfive.load(b"a.npz"), "the checkpoint must be given by its path, not as bytes"),
    "load('')": (lambda: fivebyfive.load(""), r"cannot read checkpoint \.: it is a folder; name a file"),
    "load('\\0')": (lambda: fivebyfive.load("a\0"), r"no file can be called 'a\\x00'; give the path of the checkpoint"),
    "evaluate(name)": (lambda: NETWORK.evaluate("mnist"), r"to evaluate takes a Dataset, not str; .*load_dataset.*"),
    "accelerator(3)": (lambda: NETWORK.accelerator(3), "the sizes of an accelerator are a Config, not int; leave.*"),
    "accelerator(0)": (lambda: NETWORK.accelerator(0), "the sizes of an accelerator are a Config, not int; leave.*"),
    "no array": (lambda: NETWORK.accelerator(Config(1, 0)), ".* cannot be served by that machine: .* at least 1"),
    "an array": (lambda: PERCEPTRON.accelerator(Config()), ".* cannot be served by that machine: .* no convolutions"),
    "other engines": (lambda: Accelerator(NETWORK, Config(engines=Engines(words=((1,),)))), ".* cannot be served .*"),
    "Accelerator(None)": (lambda: Accelerator(None), r"an accelerator is of a Network, not NoneType; .*load.*"),
    "Network(path)": (lambda: Network("a.npz"), r"a network is made of a Checkpoint, not str; fivebyfive\.load.*"),
    "its name": (lambda: Network(NETWORK.checkpoint, 3), "a network's name is a str, not int; leave it out for none"),
    "write_verilog(3)": (lambda: HARDWARE.write_verilog(3), "the folder must be given by its path, not as int"),
    "half a pair": (lambda: HARDWARE.write_verilog("\ud800"), r"no file can be called '\\ud800'; give the path of.*"),
    "no image": (lambda: HARDWARE.predict(IMAGES[:0]), "there must be at least one image to simulate"),
    "simulator": (lambda: HARDWARE.predict(IMAGES, []), r"simulator is a name, such as verilator, not \[\]"),
    "pause": (lambda: HARDWARE.simulate(IMAGES, pause="x"), "pause is a probability from 0 to below 1, not 'x'"),
    "pause 1": (lambda: HARDWARE.simulate(IMAGES, pause=1), "pause is a probability from 0 to below 1, not 1"),
    "seed": (lambda: HARDWARE.simulate(IMAGES, seed=-1), "seed is a whole number from 0 to 2147483647, not -1"),
    "seed 1.5": (lambda: HARDWARE.simulate(IMAGES, seed=1.5), "seed is a whole number from 0 to 2147483647, not 1.5"),
    "folder": (lambda: HARDWARE.simulate(IMAGES, folder=3), "the folder must be given by its path, not as int"),
    "find": (lambda: find([]), r"unknown simulator \[\]; choose one of: verilator, icarus"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what: str) -> None:
    make, said = MISTAKES[what]
    with pytest.raises(UserError, match=f"^{said}$") as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"windows": "x"}, "windows must be a whole number, not 'x'"),
        ({"outputs": 1.5}, "outputs must be a whole number, not 1.5"),
        ({"fc_rows": None}, "fc_rows must be a whole number, not None"),
        ({"fc_rows": True}, "fc_rows must be a whole number, not True"),
        ({"early_fc": 1}, "early_fc must be True or False, not 1"),
        ({"packed": "no"}, "packed must be True or False, not 'no'"),
        ({"engines": 3}, "engines must be Engines, not 3"),
    ],
)
def test_sizes_of_another_type(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        Config(**given)


@pytest.mark.parametrize("given", ["x", True, 2.0])
def test_a_number_of_pes_that_is_none(given: object) -> None:
    with pytest.raises(ValueError, match=r"^conv_pes must be a whole number, not"):
        sized(NETWORK.checkpoint.network, conv_pes=given)


def test_numbers_of_numpy_are_numbers() -> None:
    config = Config(np.int64(2), np.uint8(3), np.int32(1), np.bool_(True))
    assert config == Config(2, 3, 1, True)
    assert [type(value) for value in (config.windows, config.early_fc)] == [int, bool]


def test_what_an_object_is_can_be_read() -> None:
    network = fivebyfive.load()
    assert repr(network) == "<Network 20-50-500-10, lenet.npz>"
    assert repr(network.accelerator()) == "<Accelerator of <Network 20-50-500-10, lenet.npz>, 45 multipliers>"


def test_the_version_is_that_of_the_package() -> None:
    assert fivebyfive.__version__ == importlib.metadata.version("fivebyfive")
