"""Seeded bugs are what makes a proof of them fail: a copy of the source with nothing broken is still proved."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from fivebyfive.hw.fc import argmax

from . import test_argmax
from .lib.bits import RefutedError, const, fresh, prove, satisfiable
from .lib.netlist import netlist
from .lib.seeded import HW, broken

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))


def test_a_copy_without_a_bug_is_proved() -> None:
    same = "(candidate > best)", "(candidate > best)"
    copy = broken("argmax", "Argmax", *same)
    assert copy is not argmax.Argmax
    test_argmax.Proof(10, 3, netlist(copy(10, 3))).prove()


def test_the_imported_modules_stay_as_they_were() -> None:
    from fivebyfive.hw.conv import image_buffer

    broken("image_buffer", "ImageBuffer", "move = ~self.o.valid | self.o.ready", "move = 1", within="map_memory")
    from fivebyfive.hw.conv import image_buffer as again

    assert again is image_buffer
    assert again.MapMemory.__module__ == "fivebyfive.hw.conv.map_memory"
    assert sys.modules["fivebyfive.hw.fc.argmax"] is argmax


def test_a_bug_needs_one_place() -> None:
    with pytest.raises(ValueError, match=r"occurs 0 times in argmax\.py"):
        broken("argmax", "Argmax", "no such line", "")


@pytest.mark.parametrize("module", MODULES)
def test_every_bug_has_its_place(module: str) -> None:
    """Also those that `make proofs` alone refutes are seeds of today's source: each is found once in some file."""
    lists = [one for name, one in vars(import_module(f".{module}", __package__)).items() if "BUGS" in name]
    wanted = [bug[0] for bugs in lists for bug in bugs.values() if isinstance(bug, tuple)]
    sources = [path.read_text() for path in HW.rglob("*.py")]
    assert [old for old in wanted if not any(source.count(old) == 1 for source in sources)] == []


def test_what_is_wrong_is_named() -> None:
    x = fresh("x", 4)
    with pytest.raises(RefutedError, match=r"not always so: small\n  x = 1[0-5]"):
        prove({"small": x < 10, "fits": x < 16}, show={"x": x})
    prove({"small": x < 10}, [x < 7])
    assert not satisfiable([x < 3, x > 5])
    assert not satisfiable([const(0, 1)])
