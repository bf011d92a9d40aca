"""Generated Verilog: the same bytes each time, short, readable, and never wrong in silence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil as amaranth_rtlil
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.codegen import verilog
from fivebyfive.hw.codegen.verilog import Port, to_verilog
from fivebyfive.hw.codegen.yosys import YosysError, run_yosys


class Pe(wiring.Component):
    x: In(signed(8))
    p: Out(signed(16))

    def __init__(self, factor=3):
        self.factor = factor
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.p.eq(self.x * self.factor)
        return m


class Pair(wiring.Component):
    """Two PEs: modules that become equal only when their PEs have."""

    x: In(signed(8))
    p: Out(signed(17))

    def elaborate(self, platform):
        m = Module()
        m.submodules.one = one = Pe()
        m.submodules.two = two = Pe()
        m.d.comb += [one.x.eq(self.x), two.x.eq(self.x), self.p.eq(one.p + two.p)]
        return m


class Array(wiring.Component):
    """Everything the writer treats specially: equal modules, all kinds of memories, streams."""

    def __init__(self, words=range(1, 129), few=(1, 2, 3, 4), zeros=4096, attrs=None):
        self.words, self.few, self.zeros, self.attrs = list(words), list(few), zeros, attrs or {}
        payload = data.StructLayout({"code": signed(8), "mark": 1})
        super().__init__(
            {
                "i": In(stream.Signature(payload)),
                "always": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(signed(20))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pairs = [Pair() for _ in range(4)]
        total = sum(pair.p for pair in pairs)
        for n, pair in enumerate(pairs):
            m.submodules[f"pair_{n}"] = pair
            m.d.comb += pair.x.eq(self.i.payload.code)
        contents = {"words": self.words, "few": self.few, "zeros": [0] * self.zeros}
        for name, init in contents.items():
            attrs = self.attrs if name == "words" else {}
            m.submodules[name] = part = memory.Memory(shape=8, depth=len(init), init=init, attrs=attrs)
            read = part.read_port()
            m.d.comb += read.addr.eq(self.i.payload.code)
            total = total + read.data
            if name == "zeros":
                write = part.write_port()
                m.d.comb += [write.addr.eq(self.always.payload), write.en.eq(self.always.valid)]
                m.d.comb += write.data.eq(1)
        m.d.comb += [self.i.ready.eq(self.o.ready), self.o.valid.eq(self.i.valid & self.i.payload.mark)]
        m.d.comb += self.o.payload.eq(total)
        return m


@pytest.fixture(scope="module")
def design():
    return to_verilog(Array(), "array")


def test_same_bytes_each_time(design):
    assert to_verilog(Array(), "array") == design


def test_same_bytes_in_another_folder_and_process(design, tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_verilog import Array, to_verilog\n"
        f"[*map(print, to_verilog(Array(), 'array').write(__import__('pathlib').Path('.')))]\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["array.v", "array_words.mem"], "something else on standard output"
    assert (tmp_path / "array.v").read_text() == design.verilog
    assert (tmp_path / "array_words.mem").read_text() == design.memories["array_words.mem"]


def test_no_path_and_no_version(design):
    for word in ("/", "\\"):
        assert word not in re.sub(r"//[^\n]*", "", design.verilog)
    assert "Yosys" not in design.verilog
    assert str(Path.home()) not in design.verilog


def test_equal_modules_once(design):
    modules = re.findall(r"^module (\w+)", design.verilog, re.M)
    assert modules == ["array", "array_pair", "array_pair_0_one"]
    assert len(re.findall(r"^  array_pair pair_\d \($", design.verilog, re.M)) == 4


def test_modules_that_differ_stay():
    class Two(wiring.Component):
        x: In(signed(8))
        p: Out(signed(17))

        def elaborate(self, platform):
            m = Module()
            m.submodules.one = one = Pe(3)
            m.submodules.two = two = Pe(5)
            m.d.comb += [one.x.eq(self.x), two.x.eq(self.x), self.p.eq(one.p + two.p)]
            return m

    verilog = to_verilog(Two(), "two").verilog
    assert re.findall(r"^module (\w+)", verilog, re.M) == ["two", "two_one", "two_two"]


def test_ports(design):
    assert design.ports == (
        Port("clk", "input", 1, False),
        Port("rst", "input", 1, False),
        Port("i__payload", "input", 9, False),
        Port("i__valid", "input", 1, False),
        Port("i__ready", "output", 1, False),
        Port("always__payload", "input", 8, False),
        Port("always__valid", "input", 1, False),
        Port("o__ready", "input", 1, False),
        Port("o__payload", "output", 20, True),
        Port("o__valid", "output", 1, False),
    )
    header = re.search(r"^module array\((.*)\);", design.verilog, re.M)[1]
    assert header.split(", ") == [port.name for port in design.ports]


def test_memories(design):
    assert list(design.memories) == ["array_words.mem"]
    assert design.memories["array_words.mem"] == "".join(f"{n:02x}\n" for n in range(1, 129))
    assert '$readmemh("array_words.mem", words);' in design.verilog
    assert "few[3] = 8'h04;" in design.verilog
    assert design.verilog.count("zeros[") < 10, "a line for each zero"


def test_contents_never_change_the_verilog_of_a_memory_with_a_file():
    attrs = {"init_file": 1, "ram_style": "block"}
    filled, empty = (to_verilog(Array(words, attrs=attrs), "array") for words in (range(1, 129), [0] * 128))
    assert filled.verilog == empty.verilog
    assert empty.memories["array_words.mem"] == "00\n" * 128
    assert '(* ram_style = "block" *)\n  reg [7:0] words [127:0];' in empty.verilog
    assert "init_file" not in empty.verilog


def test_words_are_whole_hexadecimal_digits():
    values = [(n * 163) % 2**14 for n in range(100)]

    class Wide(wiring.Component):
        a: In(7)
        d: Out(14)

        def elaborate(self, platform):
            m = Module()
            m.submodules.words = words = memory.Memory(shape=14, depth=100, init=values)
            read = words.read_port()
            m.d.comb += [read.addr.eq(self.a), self.d.eq(read.data)]
            return m

    lines = to_verilog(Wide(), "wide").memories["wide_words.mem"].splitlines()
    assert lines == [f"{value:04x}" for value in values]


def test_contents_of_memories_are_those_that_amaranth_writes(monkeypatch):
    class Signed(wiring.Component):
        a: In(7)
        d: Out(signed(11))

        def elaborate(self, platform):
            m = Module()
            m.submodules.words = words = memory.Memory(shape=signed(11), depth=90, init=range(-45, 45))
            read = words.read_port()
            m.d.comb += [read.addr.eq(self.a), self.d.eq(read.data)]
            return m

    ours = to_verilog(Signed(), "signed_words")
    monkeypatch.setattr(amaranth_rtlil, "ModuleEmitter", verilog.Emitter.__base__)
    assert to_verilog(Signed(), "signed_words") == ours
    assert ours.memories["signed_words_words.mem"].splitlines()[44:46] == ["7ff", "000"]


def test_keywords_and_punctuation_are_no_names():
    class Named(wiring.Component):
        x: In(4)
        y: Out(4)

        def elaborate(self, platform):
            m = Module()
            total = self.x
            for name in ("table", "bit", "wire", "a.b", "a_b", "a[3]", "x$1"):
                register = Signal(4, name=name)
                m.d.sync += register.eq(register + self.x)
                total = total ^ register
            m.submodules.reg = words = memory.Memory(shape=4, depth=100, init=[5] * 100)
            read = words.read_port()
            m.d.comb += [read.addr.eq(self.x), self.y.eq(total ^ read.data)]
            return m

    class Wrapped(wiring.Component):
        x: In(4)
        y: Out(4)

        def elaborate(self, platform):
            m = Module()
            m.submodules.table = table = Named()
            m.d.comb += [table.x.eq(self.x), self.y.eq(table.y)]
            return m

    design = to_verilog(Wrapped(), "wrapped")
    assert "\\" not in design.verilog
    assert list(design.memories) == ["wrapped_table_reg_.mem"]
    assert "reg [3:0] table_ = 4'h0;" in design.verilog
    assert "reg [3:0] a_b_2 = 4'h0;" in design.verilog


def test_next_state_has_its_name(design):
    assert "    p <= p_next;" in design.verilog


def test_nothing_unread_stays():
    class Wasteful(wiring.Component):
        x: In(8)
        y: Out(8)

        def elaborate(self, platform):
            m = Module()
            unread, more = Signal(8), Signal(8)
            m.d.sync += [unread.eq(self.x + more), more.eq(self.x * 5)]
            with m.If(self.x[0]):
                m.d.comb += self.y.eq(self.x)
            return m

    verilog = to_verilog(Wasteful(), "wasteful").verilog
    assert "unread" not in verilog
    assert "more" not in verilog


def test_ports_without_bits_are_no_ports():
    class Hollow(wiring.Component):
        x: In(range(1))
        y: Out(range(1))
        z: Out(2)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.y.eq(self.x)
            m.d.sync += self.z.eq(self.z + self.x + 1)
            return m

    design = to_verilog(Hollow(), "hollow")
    assert [port.name for port in design.ports] == ["clk", "rst", "z"]
    assert "-1" not in design.verilog


@pytest.mark.parametrize("name", ["", "9a", "a b", "a.b", "a\\", "größe"])
def test_names_that_no_module_can_have(name):
    with pytest.raises(ValueError, match="a module's name is"):
        to_verilog(None, name)  # the name is looked at first


def test_write(design, tmp_path):
    paths = design.write(tmp_path)
    assert sorted(path.name for path in paths) == ["array.v", "array_words.mem"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_yosys_reads_it_back(design, tmp_path):
    """Memory contents included; the check of the file is not for synthesis."""
    design.write(tmp_path)
    log = run_yosys(["read_verilog array.v", "hierarchy -check -top array", "proc", "memory_collect", "dump"], tmp_path)
    assert "$fopen" not in log
    init = re.search(r"cell \$mem_v2 \\words\n.*?INIT 1024'([01]+)", log, re.S)[1]
    assert [int(init[at : at + 8], 2) for at in range(0, 1024, 8)] == list(range(128, 0, -1))


def test_yosys_error_has_its_last_lines(tmp_path, capfd):
    with pytest.raises(YosysError, match=r"Yosys failed:(.|\n)*ERROR: .*no_such_file"):
        run_yosys(["read_verilog no_such_file.v"], tmp_path)
    assert capfd.readouterr() == ("", "")


def test_yosys_time_is_limited(tmp_path):
    with pytest.raises(YosysError, match=r"did not end within 0\.01 s"):
        run_yosys(["help -all"], tmp_path, timeout_s=0.01)
