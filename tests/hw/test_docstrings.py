"""Docstrings of components list every port with its direction, and every parameter (layout: hw/__init__.py)."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from amaranth.hdl import Fragment
from amaranth.lib import data, wiring

import fivebyfive.hw
from fivebyfive.hw.axi.axi_lite import AxiLite
from fivebyfive.hw.axi.axi_pixels import PixelUnpacker
from fivebyfive.hw.axi.axi_results import ResultPacker
from fivebyfive.hw.axi.axi_words import PixelCollector
from fivebyfive.hw.axi.register_file import RegisterFile
from fivebyfive.hw.axi.weight_loader import WeightLoader
from fivebyfive.hw.common.codebook import Codebook
from fivebyfive.hw.common.pixels import FrameWatch
from fivebyfive.hw.conv.conv_engine import ConvEngine
from fivebyfive.hw.fc.bank_fc_engine import BankFcEngine
from fivebyfive.hw.fc.fc_engine import FcEngine
from fivebyfive.hw.fc.sparse_fc_controller import SparseFcController, SparseFcLayer
from fivebyfive.hw.fc.sparse_fc_engine import SparseFcEngine
from fivebyfive.hw.products.shift_dot_product import ShiftCode
from fivebyfive.hw.serial.link import Link
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.protocol.link import VERSION, Info
from fivebyfive.model.protocol.registers import MAP
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES

ITEM = re.compile(r"(\w+) : (.+)")
PORT = re.compile(r"(\w+) : .+, (in|out)(?:, always ready)?")


def component_classes() -> list[type[wiring.Component]]:
    """Every component of hw, by name."""
    found = set()
    for module in pkgutil.walk_packages(fivebyfive.hw.__path__, f"{fivebyfive.hw.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {one for one in members if inspect.isclass(one) and one.__module__ == module.name}
    return sorted((one for one in found if issubclass(one, wiring.Component)), key=lambda one: one.__name__)


@cache
def instances() -> dict[type, wiring.Component]:
    """One component of each class."""
    form, network = WeightForm("codebook", ((0, 1),)), LeNetShape(1, 2, (10,)).network
    made = [
        AxiLite(), Codebook(form), FrameWatch(784), PixelCollector(4, 784), PixelUnpacker(4), RegisterFile(),
        Link(Info(VERSION, 10, (1, 28, 28), bytes(8))),
        SparseFcController([SparseFcLayer(45, 2), SparseFcLayer(30, 1)], 9),
        SparseFcEngine(network, Config(skip_zeros=True), [0] * 33),
        ResultPacker(10), WeightLoader({"conv": 2, "fc": 2}, {"conv": 25, "fc": 20}),
        *(make()[0] for make in SMALL_MACHINES),
    ]  # fmt: skip
    for one in made:
        Fragment.get(one, None)  # or Amaranth warns that it was never elaborated
    return {type(one): one for one in made}


def section(text: str, title: str) -> list[str]:
    """Lines at the left margin of a section of a docstring."""
    lines = inspect.cleandoc(text).splitlines()
    heads = [n for n in range(len(lines) - 1) if lines[n + 1] and set(lines[n + 1]) == {"-"}]
    for head, end in pairwise([*heads, len(lines)]):
        if lines[head] == title:
            return [line for line in lines[head + 2 : end] if line and not line.startswith(" ")]
    return []


def described(component: type, title: str) -> dict[str, str]:
    """Names of a section, and what stands behind them."""
    items = [ITEM.fullmatch(line) for line in section(component.__doc__ or "", title)]
    return {item[1]: item[2] for item in items if item}


@pytest.mark.parametrize("component", component_classes(), ids=lambda one: one.__name__)
def test_a_component_documents_its_ports(component: type[wiring.Component]) -> None:
    documented = {}
    for line in section(component.__doc__ or "", "Ports"):
        port = PORT.fullmatch(line)
        assert port, f"no port with a type and a direction: {line}"
        documented[port[1]] = wiring.Flow(port[2].capitalize())
    assert component in instances(), "make a small machine of it (sim/quality/small_machines.py), or one in `instances`"
    ports = {name: member.flow for name, member in instances()[component].signature.members.items()}
    if component is RegisterFile:
        ports = dict(patterns(ports))
    text = inspect.cleandoc(component.__doc__ or "")
    for name in documented.keys() - ports.keys():
        passage = re.search(rf"^{name} : .*\n((?:    .*\n?)+)", text, re.M)
        conditional = passage is not None and re.search(r"\bOnly\s+with", passage[1])
        assert conditional, f"{name} is no port of {component.__name__}"
        del documented[name]
    assert documented == ports


def patterns(ports: dict[str, wiring.Flow]) -> Iterator[tuple[str, wiring.Flow]]:
    """Ports of the register file, with NAME for the name of a register; a register itself may go either way."""
    registers = sorted((entry.name for entry in MAP), key=len, reverse=True)
    for name, flow in ports.items():
        register = next((one for one in registers if re.fullmatch(rf"{one}(_set|_w|_written)?", name)), None)
        pattern = name if register is None else f"NAME{name.removeprefix(register)}"
        yield pattern, wiring.In if pattern == "NAME" else flow


@pytest.mark.parametrize("component", component_classes(), ids=lambda one: one.__name__)
def test_a_component_documents_its_parameters(component: type[wiring.Component]) -> None:
    parameters = list(inspect.signature(component).parameters)
    assert list(described(component, "Parameters")) == parameters


def layouts() -> list[type[data.Layout]]:
    """Every structure of hw with a docstring that lists fields."""
    found = set()
    for component in component_classes():
        members = vars(inspect.getmodule(component)).values()
        found |= {one for one in members if inspect.isclass(one) and issubclass(one, data.StructLayout)}
    return sorted((one for one in found if section(one.__doc__ or "", "Fields")), key=lambda one: one.__name__)


def test_structures_document_their_fields() -> None:
    shapes = {ShiftCode: ShiftCode()}  # bits of a code, in no port
    network = LeNetShape(1, 3, (1,)).network
    sparse = ConvEngine(network, Config(skip_zeros=True), [0] * 100)  # its tap has a field more
    Fragment.get(sparse, None)
    for component in (*instances().values(), sparse):
        for _, member, _ in component.signature.flatten(component):
            collect(member.shape, shapes)
    for layout in layouts():
        assert list(described(layout, "Fields")) == list(dict(shapes[layout])), layout.__name__


def collect(shape, shapes: dict[type, data.Layout]) -> None:
    """Every structure in a shape, by its class; of several that with the most fields, as some are optional."""
    if isinstance(shape, data.Layout):
        shapes[type(shape)] = max(shapes.get(type(shape), shape), shape, key=lambda one: len(dict(one)))
        for _, field in shape:
            collect(field.shape, shapes)


def test_fc_engines_have_the_same_ports() -> None:
    for engine in (BankFcEngine, SparseFcEngine):
        assert list(described(engine, "Ports")) == list(described(FcEngine, "Ports"))
