"""A Tcl interpreter in which Vivado's commands are stubs: each looks at its arguments and remembers them.

It knows the commands and options that our scripts may use, as Vivado's Tcl reference has them; anything else is an
error of Tcl. A file that a script names must exist, a cell, a pin and a run must have been made before.
"""

import tkinter
from pathlib import Path
from xml.etree import ElementTree

SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"

# Options of each command: those with a value, and those without.
OPTIONS: dict[str, tuple[str, str]] = {
    "create_project": ("-part", "-force -in_memory"),
    "set_property": ("-name -value -objects", "-dict"),
    "add_files": ("-fileset", "-norecurse"),
    "update_compile_order": ("-fileset", ""),
    "launch_runs": ("-jobs -to_step", ""),
    "wait_on_run": ("", ""),
    "open_run": ("", ""),
    "report_utilization": ("-file", ""),
    "report_timing_summary": ("-file", ""),
    "update_ip_catalog": ("", ""),
    "create_bd_design": ("", ""),
    "create_bd_cell": ("-type -vlnv", ""),
    "apply_bd_automation": ("-rule -config", ""),
    "connect_bd_intf_net": ("", ""),
    "connect_bd_net": ("", ""),
    "assign_bd_address": ("", ""),
    "validate_bd_design": ("", ""),
    "save_bd_design": ("", ""),
    "make_wrapper": ("-files", "-top -import"),
    "write_hw_platform": ("-file", "-fixed -include_bit -force"),
    "get_property": ("", ""),
    "get_files": ("", ""),
    "get_runs": ("", ""),
    "get_bd_cells": ("", ""),
    "get_bd_pins": ("", ""),
    "get_bd_intf_pins": ("", ""),
    "current_project": ("", ""),
    "current_fileset": ("", ""),
    "ipx::package_project": ("-root_dir -vendor -library -taxonomy", "-import_files -force"),
    "ipx::current_core": ("", ""),
    "ipx::associate_bus_interfaces": ("-busif -clock", ""),
    "ipx::get_bus_interfaces": ("-of_objects", ""),
    "ipx::create_xgui_files": ("", ""),
    "ipx::update_checksums": ("", ""),
    "ipx::check_integrity": ("", "-quiet"),
    "ipx::save_core": ("", ""),
    "puts": ("", ""),
}

# Interfaces and pins of Xilinx's cores that a script may connect, as their product guides name them.
CORES = {
    "xilinx.com:ip:processing_system7:5.5": "M_AXI_GP0 S_AXI_HP0 M_AXI_GP0_ACLK S_AXI_HP0_ACLK FCLK_CLK0 "
    "FCLK_RESET0_N IRQ_F2P",
    "xilinx.com:ip:proc_sys_reset:5.0": "slowest_sync_clk ext_reset_in peripheral_aresetn",
    "xilinx.com:ip:axi_dma:7.1": "S_AXI_LITE M_AXI_MM2S M_AXI_S2MM M_AXIS_MM2S S_AXIS_S2MM s_axi_lite_aclk "
    "m_axi_mm2s_aclk m_axi_s2mm_aclk axi_resetn mm2s_introut s2mm_introut",
    "xilinx.com:ip:smartconnect:1.0": "S00_AXI S01_AXI M00_AXI M01_AXI aclk aresetn",
    "xilinx.com:ip:xlconcat:2.1": "In0 In1 In2 dout",
}


class Refused(Exception):  # noqa: N818 (what a stub says)
    """A stub does not take its arguments."""


class RecordingVivado:
    """Runs scripts of a generated folder. ``calls``: (command, options, arguments) in order. ``said``: by puts."""

    def __init__(self, folder: Path):
        self.calls: list[tuple[str, dict, list[str]]] = []
        self.files: set[str] = set()
        self.cells: dict[str, str] = {}
        self.connected: set[str] = set()
        self.cores = {vlnv: set(pins.split()) for vlnv, pins in CORES.items()}
        vlnv, self.interfaces = described(folder / "component.xml")
        self.cores[vlnv] = self.interfaces
        self.said: list[str] = []
        self.refusal = ""
        self.tcl = tkinter.Tcl()
        for command in OPTIONS:
            if "::" in command:
                self.tcl.eval(f"namespace eval {command.split('::')[0]} {{}}")
            self.tcl.createcommand(command, lambda *words, command=command: self.call(command, words))

    def source(self, script: Path, *arguments: str) -> None:
        """Run a script. Raises Refused, with what a stub or Tcl said."""
        self.tcl.call("set", "argv", arguments)
        try:
            self.tcl.call("source", str(script))
        except tkinter.TclError as error:  # tkinter drops the text of an exception in a command
            raise Refused(self.refusal or str(error)) from error

    def call(self, command: str, words: tuple) -> str:
        try:
            return self.record(command, words)
        except Exception as error:
            self.refusal = str(error)
            raise

    def record(self, command: str, words: tuple) -> str:
        valued, bare = (set(names.split()) for names in OPTIONS[command])
        options, arguments, rest = {}, [], list(map(str, words))
        while rest:
            word = rest.pop(0)
            if word in valued:
                options[word] = rest.pop(0)
            elif word in bare:
                options[word] = ""
            elif word.startswith("-"):
                raise Refused(f"{command} has no option {word}")
            else:
                arguments.append(word)
        self.calls.append((command, options, arguments))
        handler = getattr(self, command.replace("::", "_"), None)
        return (handler(options, arguments) if handler else None) or ""

    def split(self, text: str) -> list[str]:
        return list(map(str, self.tcl.splitlist(text)))

    def puts(self, options, arguments):
        self.said.append(arguments[0])

    def add_files(self, options, arguments):
        for name in self.split(arguments[0]):
            if not Path(name).is_file():
                raise Refused(f"add_files: no file {name}")
            self.files.add(name)

    def get_files(self, options, arguments):
        (name,) = arguments
        if name not in self.files and name != "lenet_system.bd":
            raise Refused(f"get_files: {name} is not in the project")
        return name

    def set_property(self, options, arguments):
        if "-dict" in options:
            pairs, target = self.split(arguments[0]), arguments[1]
            if len(pairs) % 2 or not target:
                raise Refused("set_property: a name without a value, or nothing to set it on")
        elif "-name" not in options:
            name, value, target = arguments
            if not target:
                raise Refused(f"set_property {name}: nothing to set it on")
            if name == "ip_repo_paths":
                for path in self.split(value):
                    if not (Path(path) / "component.xml").is_file():
                        raise Refused(f"no IP repository in {path}")

    def get_property(self, options, arguments):
        return "100%"

    def current_project(self, options, arguments):
        return "project"

    def current_fileset(self, options, arguments):
        return "sources_1"

    def get_runs(self, options, arguments):
        return arguments[0]

    def create_bd_cell(self, options, arguments):
        if options["-vlnv"] not in self.cores:
            raise Refused(f"no core {options['-vlnv']}")
        self.cells[arguments[0]] = options["-vlnv"]

    def get_bd_cells(self, options, arguments):
        if arguments[0] not in self.cells:
            raise Refused(f"no cell {arguments[0]}")
        return arguments[0]

    def get_bd_pins(self, options, arguments):
        cell, pin = arguments[0].split("/")
        if pin not in self.cores[self.cells[cell]]:
            raise Refused(f"{cell} has no {pin}")
        return arguments[0]

    get_bd_intf_pins = get_bd_pins

    def connect_bd_net(self, options, arguments):
        if arguments[1] in self.connected:
            raise Refused(f"{arguments[1]} is connected twice")
        self.connected |= set(arguments)

    connect_bd_intf_net = connect_bd_net

    def ipx_current_core(self, options, arguments):
        return "core"

    def ipx_get_bus_interfaces(self, options, arguments):
        return arguments[0] if arguments[0] in self.interfaces else ""

    def ipx_associate_bus_interfaces(self, options, arguments):
        if not {options["-busif"], options["-clock"]} <= self.interfaces:
            raise Refused("no such interface")


def described(path: Path) -> tuple[str, set[str]]:
    """VLNV and interfaces of a component.xml."""
    root = ElementTree.parse(path).getroot()
    vlnv = ":".join(root.find(SPIRIT + name).text for name in ("vendor", "library", "name", "version"))
    return vlnv, {bus.find(f"{SPIRIT}name").text for bus in root.iter(f"{SPIRIT}busInterface")}
