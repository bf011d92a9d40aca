"""What a user names is opened in one place, which waits for nobody and takes regular files of a limited size only."""

import ast
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fivebyfive.support import inputs
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path, open_limited, read_limited, read_standard_input, same_file

ROOT = Path(__file__).parents[2]
LIMIT = 1000


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LIMIT + 1)


def nothing(path: Path) -> None:
    pass


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, r"^cannot read plan .*: it is a pipe; save what comes from it into a file, and name that$"),
    "endless": (endless, r"^cannot read plan .*: it is a device; name a file$"),
    "socket": (bound, r"^cannot read plan .*: it is a socket; name a file$"),
    "folder": (Path.mkdir, r"^cannot read plan .*: it is a folder; name a file$"),
    "loop": (loop, r"^cannot read plan .*: Too many levels of symbolic links$"),
    "large": (large, r"has 1001 bytes; a plan has at most 1000$"),
    "nothing": (nothing, r"^cannot read plan .*: No such file or directory$"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_plain_file(tmp_path: Path, kind: str) -> None:
    make, said = ODD[kind]
    make(tmp_path / "odd")
    with pytest.raises(UserError, match=said):
        read_limited(tmp_path / "odd", LIMIT, "plan")
    with pytest.raises(UserError, match=said), open_limited(tmp_path / "odd", LIMIT, "plan"):
        pass


def test_a_plain_file(tmp_path: Path) -> None:
    for content in (b"", b"x", b"y" * LIMIT):
        (tmp_path / "f").write_bytes(content)
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("f")
        for path in (tmp_path / "f", str(tmp_path / "link")):
            assert read_limited(path, LIMIT, "plan") == content


def test_a_device_is_not_even_opened(tmp_path: Path, monkeypatch) -> None:
    """A serial port resets the board behind it when it is opened."""
    (tmp_path / "port").symlink_to("/dev/null")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UserError, match="it is a device"):
        read_limited(tmp_path / "port", LIMIT, "plan")


def test_what_is_exchanged_before_it_is_opened(tmp_path: Path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "f")
    monkeypatch.setattr(os, "stat", lambda path: os.lstat(ROOT / "LICENSE"))
    with pytest.raises(UserError, match="it is a pipe"):
        read_limited(tmp_path / "f", LIMIT, "plan")


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT])
def test_a_file_that_says_it_has_no_size(tmp_path: Path, monkeypatch, length: int) -> None:
    """As those of /proc do."""
    (tmp_path / "f").write_bytes(bytes(length))
    monkeypatch.setattr(inputs, "PIECE", 300)
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((0o100644, *[0] * 9)))
    if length <= LIMIT:
        assert len(read_limited(tmp_path / "f", LIMIT, "plan")) == length
    else:
        with pytest.raises(UserError, match=r"has more than 1000 bytes; a plan has at most 1000$"):
            read_limited(tmp_path / "f", LIMIT, "plan")


def test_a_file_of_proc() -> None:
    assert b"Name:" in read_limited("/proc/self/status", 1 << 16, "plan")


def test_no_link_leads_out_of_a_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (inside / "own").write_bytes(b"own")
    (inside / "deep" / "up").symlink_to("../own")
    (inside / "out").symlink_to(outside / "secret")
    (inside / "away").symlink_to(outside)
    (inside / "again").symlink_to("out")
    (tmp_path / "door").symlink_to(inside)
    (tmp_path / "inside2").mkdir()
    (tmp_path / "inside2" / "f").touch()
    for folder in (inside, tmp_path / "door"):
        assert read_limited(folder / "own", LIMIT, "file", within=folder) == b"own"
        assert read_limited(folder / "deep" / "up", LIMIT, "file", within=folder) == b"own"
        for name in ("out", "away/secret", "again", "../outside/secret", "../inside2/f"):
            with pytest.raises(UserError, match=r"it is a link that leads out of .*; put the file itself there$"):
                read_limited(folder / name, LIMIT, "file", within=folder)
        with pytest.raises(UserError, match="No such file"):
            read_limited(folder / "nothing", LIMIT, "file", within=folder)


@pytest.mark.parametrize("given", [None, 3, True, b"name", ["a"], 1.5])
def test_what_is_no_path(given: object) -> None:
    with pytest.raises(UserError, match=r"^the plan must be given by its path, not as \w+$"):
        as_path(given, "plan")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\ud800\udc80"])
def test_what_no_file_can_be_called(name: str) -> None:
    with pytest.raises(UserError, match=r"^no file can be called '.+'; give the path of the plan$"):
        read_limited(name, LIMIT, "plan")


@pytest.mark.parametrize("name", ["\udcff\udc80", "a\nb", "\x1b[31m", "ü", "[b]", " "])
def test_names_that_files_do_have(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert read_limited(tmp_path / name, LIMIT, "plan") == b"x"


def test_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "loop").symlink_to("loop")
    assert same_file(tmp_path / "f", tmp_path / "link")
    assert same_file(tmp_path / "none", tmp_path / "." / "none")
    assert not same_file(tmp_path / "f", tmp_path / "loop")


# Everything that opens a file by itself

OPENERS = ("open", "read_text", "read_bytes", "fdopen", "load_file", "safe_open", "fromfile", "loadtxt", "memmap")
MODULES = ("np.load", "json.load", "tomllib.load", "torch.load", "pickle.load", "Image.open", "zipfile.ZipFile")
OWN = "it was written by this program, or by a tool that it ran, into a folder of its own"
WRITES = "it writes"
ALLOWED = {  # of model, hw and fivebyfive; what sim reads is its own: no command hands it a file of the user's
    "fivebyfive/support/inputs.py": "this is the place",
    "model/estimates/area.py": "data of the package",
    "fivebyfive/support/files.py": WRITES,
    "fivebyfive/support/temporary.py": "locks and folders of its own, opened without following links",
    "model/checkpoint.py": "an archive that is open already, and its members",
    "fivebyfive/support/sidecars.py": "outputs of before, regular files: it looks first",
    "model/readers/state_dict/tensors.py": "a file that is open already",
    "fivebyfive/support/ownership.py": "outputs of before, regular files: it looks first",
    "model/training/resume.py": "a file that is open already",
    "model/readers/keras/hdf5_child.py": "a file that is open already",
    "model/readers/keras/keras_reader.py": "an archive that is open already, and its members",
    "model/readers/pytorch/torch_reader.py": "an archive that is open already, and its members",
    "model/data/archives.py": "bytes that were read already",
    "model/data/pictures.py": "bytes that were read already",
    "hw/codegen/verilog.py": OWN,
    "hw/axi/vivado.py": "data of the package",
    "fivebyfive/commands/build.py": OWN,
    "fivebyfive/output/page/page.py": "data of the package, and pictures that it has drawn",
    "fivebyfive/output/path_lock.py": "a lock of its own",
    "fivebyfive/output/provenance.py": "pages of the project itself",
    "fivebyfive/output/terminal.py": "/dev/null, and the standard files",
    "fivebyfive/output/wave_file.py": "the request of the process that started it",
    "fivebyfive/verify/images.py": OWN,
    "fivebyfive/verify/mutants.py": "the log of the project itself",
    "fivebyfive/verify/status.py": "sources and logs of the project itself",
}


def opened() -> Iterator[tuple[str, int, str]]:
    """File, line and text of each call by which a module opens a file."""
    for room in ("model", "hw", "fivebyfive"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and opens(name := ast.unparse(node.func)):
                    yield path.relative_to(ROOT).as_posix(), node.lineno, name


def opens(name: str) -> bool:
    return name.rpartition(".")[2] in OPENERS or name in MODULES


def test_nothing_else_opens_files() -> None:
    found = list(opened())
    strange = [f"{file}:{line} {name}" for file, line, name in found if file not in ALLOWED]
    assert not strange, "read what a user names by fivebyfive/support/inputs.py; others are in ALLOWED, with the reason"
    assert {file for file, _, _ in found} == set(ALLOWED), "what opens nothing any more goes from ALLOWED"


def piped(monkeypatch, data: bytes, limit: int = 100) -> bytes:
    """What `read_standard_input` makes of a pipe with these bytes."""
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    with os.fdopen(out, "r") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        return read_standard_input(limit, "picture")


def test_standard_input_up_to_its_limit(monkeypatch) -> None:
    assert piped(monkeypatch, b"a" * 100) == b"a" * 100
    with pytest.raises(UserError, match="standard input has more than 100 bytes; a picture has at most 100"):
        piped(monkeypatch, b"a" * 101)
    with pytest.raises(UserError, match="nothing came on standard input; give a picture there, such as: < file"):
        piped(monkeypatch, b"")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"of a caller")))
    assert read_standard_input(100, "picture") == b"of a caller"


def test_standard_input_that_is_silent_or_none(monkeypatch) -> None:
    monkeypatch.setattr(inputs, "SILENCE_S", 0.05)
    out, into = os.pipe()
    os.write(into, b"begun")
    with os.fdopen(out, "r") as stream, os.fdopen(into, "w"):
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(UserError, match=r"cannot read standard input: nothing came for 0.05 seconds; give a"):
            read_standard_input(100, "picture")
    with pytest.raises(UserError, match="cannot read standard input: "):  # closed by now
        read_standard_input(100, "picture")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="there is no picture on standard input"):
        read_standard_input(100, "picture")


def test_a_terminal_is_not_waited_for(monkeypatch) -> None:
    near, far = os.openpty()
    with os.fdopen(near, "rb"), os.fdopen(far, "r") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(UserError, match="there is no picture on standard input; give a picture there"):
            read_standard_input(100, "picture")
