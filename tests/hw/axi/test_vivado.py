# amaranth: UnusedElaboratable=no
"""The folder for Vivado: the same bytes each time, described rightly, and scripts that name what is there."""

import hashlib
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
from ipyxact.ipyxact import Component
from lxml import etree
from pyEDAA import IPXACT

from fivebyfive.hw.axi.vivado import PART, TOP, Package, package, registers_page
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.protocol.registers import ID, MAP, WINDOW_BYTES
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.fpga.synthesis import count_cells
from fivebyfive.support.errors import UserError

SCHEMA = Path(IPXACT.__file__).parent / "Schema" / "ieee-1685-2009" / "index.xsd"
DOCS = Path(__file__).parents[3] / "docs"
NETWORK = Checkpoint.random(LeNetShape(2, 2, (10,)), 3)
SCRIPTS = {"project.tcl": (), "pack_ip.tcl": (), "block_design.tcl": ()}


@pytest.fixture(scope="module")
def made() -> Package:
    return package(NETWORK, source="x.npz")


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vivado") / "core"
    made.write(folder)
    return folder


@pytest.fixture
def vivado(folder):
    """The recording interpreter; skipped where Python has no Tcl."""
    pytest.importorskip("tkinter")
    spec = importlib.util.spec_from_file_location("recording_vivado", Path(__file__).with_name("recording_vivado.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RecordingVivado


def test_deterministic(made, folder, tmp_path) -> None:
    again = package(NETWORK, source="x.npz")
    paths = again.write(tmp_path / "deep" / "two")
    assert again.files == made.files
    assert [path.read_text() for path in paths] == list(made.files.values())
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(made.files)
    assert not [name for name, text in made.files.items() if str(tmp_path) in text or "/home/" in text]


def test_manifest(folder) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["target"], manifest["part"], manifest["pixel_bytes"]) == ("vivado", PART, 4)
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_component_is_valid_by_the_schema_of_the_ieee(folder) -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    schema.assertValid(etree.parse(folder / "component.xml"))
    broken = (folder / "component.xml").read_text().replace("<spirit:busInterfaces>", "<spirit:busses>", 1)
    assert not schema.validate(etree.fromstring(broken.replace("</spirit:busInterfaces>", "</spirit:busses>").encode()))


@pytest.fixture(scope="module")
def component(folder) -> Component:
    component = Component()
    component.load(str(folder / "component.xml"))
    return component


def test_interfaces_as_an_independent_reader_sees_them(made, component) -> None:
    interfaces = {bus.name: bus for bus in component.busInterfaces.busInterface}
    types = {name: (bus.busType.name, bus.busType.library) for name, bus in interfaces.items()}
    assert types == {
        "s_axis": ("axis", "interface"), "m_axis": ("axis", "interface"), "s_axi": ("aximm", "interface"),
        "aclk": ("clock", "signal"), "aresetn": ("reset", "signal"), "interrupt": ("interrupt", "signal"),
    }  # fmt: skip
    mapped = [pair.physicalPort.name for bus in interfaces.values() for pair in bus.portMaps.portMap]
    assert sorted(mapped) == sorted(port.name for port in made.design.ports)  # each in one interface, none left out
    assert all(
        pair.physicalPort.name == f"{name}_{pair.logicalPort.name.lower()}"
        for name in ("s_axis", "m_axis", "s_axi")
        for pair in interfaces[name].portMaps.portMap
    )


def test_ports_and_registers_as_an_independent_reader_sees_them(made, component) -> None:
    ports = [(port.name, port.wire.direction) for port in component.model.ports.port]
    assert ports == [(port.name, port.direction.removesuffix("put")) for port in made.design.ports]
    (block,) = component.memoryMaps.memoryMap[0].addressBlock
    assert (block.baseAddress, block.range, block.width) == (0, WINDOW_BYTES, 32)
    found = [(r.name, r.addressOffset, [(f.name, f.bitOffset, f.bitWidth) for f in r.field]) for r in block.register]
    assert found == [(r.name, r.offset, [(f.name, f.low, f.width) for f in r.fields]) for r in MAP]


def test_widths_and_masters(made, folder) -> None:
    """What ipyxact does not read of the edition of 2009."""
    root = etree.parse(folder / "component.xml").getroot()
    find = {"namespaces": {"s": root.nsmap["spirit"]}}
    widths = [int(port.findtext(".//s:left", "0", **find)) + 1 for port in root.iterfind(".//s:port", **find)]
    assert widths == [port.width for port in made.design.ports]
    masters = root.iterfind(".//s:busInterface[s:master]/s:name", **find)
    assert [name.text for name in masters] == ["m_axis", "interrupt"]


def test_files_of_the_component_are_there(folder, component) -> None:
    for files in component.fileSets.fileSet:
        names = {file.name for file in files.file}
        assert names >= {path.relative_to(folder).as_posix() for path in (folder / "hdl").iterdir()}
        assert all((folder / name).is_file() for name in names)


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_in_the_recording_interpreter(vivado, folder, script) -> None:
    tcl = vivado(folder)
    tcl.source(folder / "scripts" / script)
    assert tcl.said[-1].startswith("fivebyfive: ")
    if script != "block_design.tcl":
        added = {str(Path(name).relative_to(folder)) for name in tcl.files}
        there = [path for room in ("hdl", "constraints") for path in (folder / room).iterdir()]
        assert added == {str(path.relative_to(folder)) for path in there}
    else:
        everything = {f"lenet/{name}" for name in tcl.interfaces}
        assert everything <= tcl.connected, "a port of ours is open"


def test_script_with_a_board(vivado, folder) -> None:
    tcl = vivado(folder)
    tcl.source(folder / "scripts" / "block_design.tcl", "tul.com.tw:pynq-z2:part0:1.0")
    assert ("set_property", {}, ["board_part", "tul.com.tw:pynq-z2:part0:1.0", "project"]) in tcl.calls


@pytest.mark.parametrize(
    ("script", "old", "new", "said"),
    [
        ("project.tcl", "lenet_axi.v", "lenet.v", "no file"),
        ("project.tcl", "-norecurse", "-recurse", "no option -recurse"),
        ("project.tcl", "launch_runs", "launch_run", "invalid command name"),
        ("pack_ip.tcl", "s_axis m_axis s_axi aclk", "s_axis2 m_axis", "did not infer the interface s_axis2"),
        ("block_design.tcl", "lenet/s_axi\n", "lenet/s_axil\n", "lenet has no s_axil"),
        ("block_design.tcl", "lenet_axi:2.0", "lenet_axi:1.0", "no core"),
    ],
)
def test_recording_interpreter_can_refuse(vivado, made, tmp_path, script, old, new, said) -> None:
    made.write(tmp_path / "core")
    path = tmp_path / "core" / "scripts" / script
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(Exception, match=said):  # its own exception; the module is there only with tkinter
        vivado(tmp_path / "core").source(path)


def test_header_is_c(folder, tmp_path) -> None:
    """A compiler takes it, and its constants are the map's."""
    header = folder / "sw" / f"{TOP}_registers.h"
    command = ["g++", "-x", "c", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-E", "-dM", str(header)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^#define LENET_AXI_(\w+) (\w+)$", said, re.M)
    found = {name: int(value.rstrip("u"), 0) for name, value in lines}
    expected = {"WINDOW_BYTES": WINDOW_BYTES, "ID_VALUE": ID}
    for entry in MAP:
        expected[entry.name.upper()] = entry.offset
        for field in entry.fields:
            if field.width < 32:
                expected[f"{entry.name}_{field.name}_SHIFT".upper()] = field.low
                expected[f"{entry.name}_{field.name}_MASK".upper()] = field.mask
    assert found == expected


def test_page_of_registers_is_up_to_date() -> None:
    assert (DOCS / "registers.md").read_text() == registers_page(), "make registers"


def test_other_parts_and_widths() -> None:
    made = package(NETWORK, Config(fc_rows=2), part="xc7a100tcsg324-1", pixel_bytes=1)
    assert "scripts/block_design.tcl" not in made.files
    assert "s_axis_tkeep" not in made.files["component.xml"]
    assert "-part xc7a100tcsg324-1" in made.files["scripts/project.tcl"]
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(etree.fromstring(made.files["component.xml"].encode()))
    for part in ("7z020", "lfe5u-85f", "xc7z020", "xc7z020clg400-1; exit"):
        with pytest.raises(UserError, match="no part as Vivado writes it"):
            package(NETWORK, part=part)
    with pytest.raises(ValueError, match="1 or 4 bytes, not 2"):
        package(NETWORK, pixel_bytes=2)
    made = package(NETWORK, Config(pixels=2))
    assert made.manifest["pixel_bytes"] == 2
    assert "c_m_axis_mm2s_tdata_width 16" in made.files["scripts/block_design.tcl"]
    assert "two bytes in a transfer" in made.files["README.md"]
    with pytest.raises(ValueError, match="2 bytes where the machine takes 2 pixels, not 4"):
        package(NETWORK, Config(pixels=2), pixel_bytes=4)


@pytest.mark.full  # the core without it: tests/sim/fpga
def test_yosys_synthesizes_it_for_the_7_series(folder) -> None:
    """The files as they lie there: weights in block RAM, every product in a DSP block."""
    command = f"synth_xilinx -family xc7 -noiopad -flatten -top {TOP}"
    run_yosys([f"read_verilog hdl/{TOP}.v", command, "check -assert", "tee -o ../cells.json stat -json"], folder)
    cells = count_cells((folder.parent / "cells.json").read_text(), TOP)
    assert cells["DSP48E1"] == 45
    assert cells["RAMB36E1"] + cells["RAMB18E1"] / 2 >= 5  # 25 and 20 bytes wide
