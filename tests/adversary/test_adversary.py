"""Some hundreds of command lines in hostile situations, each in a process of its own (`make test-all`).

However it goes: an exit code that fits, no traceback, nothing that hangs, at most one line that begins with "error:",
every file that was there still there with its bytes, and nothing half-written left.
"""

import fcntl
import os
import pty
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from .situations import COMMANDS, Case, cases

pytestmark = pytest.mark.full
LIMIT_S = 300
COMMAND = (sys.executable, "-m", "fivebyfive")
WAVES = (
    "$timescale 1ns $end\n$scope module lenet $end\n$var wire 1 ! clk $end\n$var wire 1 @ i__valid $end\n"
    "$upscope $end\n$enddefinitions $end\n#0\n1!\n0@\n#5\n0!\n1@\n#10\n1!\n#15\n0!\n#20\n1!\n"
)


@pytest.fixture(scope="session")
def good(tmp_path_factory) -> Path:
    """The folder that each case gets a copy of: good files of every kind."""
    import numpy as np
    import torch
    from PIL import Image

    from fivebyfive.hw.generate import generate
    from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
    from fivebyfive.model.compress.packing.packed import pack
    from fivebyfive.model.data.idx import idx_bytes
    from fivebyfive.model.shape import LeNetShape

    folder, rng = tmp_path_factory.mktemp("good"), np.random.default_rng(2)
    shape = LeNetShape(2, 3, (7, 10))
    network = Checkpoint.random(shape, seed=5)
    save_checkpoint(folder / "good.npz", network)
    (folder / "good.bin").write_bytes(pack(network).data)
    torch.manual_seed(1)
    torch.save({name: torch.randn(size) / 9 for name, size in shape.arrays.items()}, folder / "good.pt")
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(1152, 10)
    )
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(torch.export.export(model.eval(), (torch.zeros(1, 1, 28, 28),)), folder / "good.pt2")
    np.save(folder / "good.npy", rng.integers(0, 256, (1, 28, 28), dtype=np.uint8))
    generate(network).write(folder / "verilog")
    (folder / "good.vcd").write_text(WAVES)
    (folder / "text").write_text("hello\n")
    (folder / "none").mkdir()
    (folder / "pictures").mkdir()
    picture = Image.new("L", (60, 60), 255)
    picture.paste(0, (28, 12, 33, 48))
    picture.save(folder / "pictures" / "one.png")
    (folder / "digits").mkdir()
    for prefix, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (folder / "digits" / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / "digits" / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


def test_there_are_enough() -> None:
    count = Counter(case.name.partition(":")[0] for case in cases())
    assert sum(count.values()) >= 300
    commands = Counter()
    for name, number in count.items():
        if name in COMMANDS:
            commands[" ".join(COMMANDS[name].words[: 1 + (COMMANDS[name].words[0] == "draw")])] += number
    assert min(commands.values()) >= 15, commands


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name.encode("ascii", "backslashreplace").decode())
def test_adversary(case: Case, good: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    folder = work if case.inside in (".", "gone") else work / case.inside
    shutil.copytree(good, folder, symlinks=True)
    case.prepare(folder)
    before = contents(tmp_path)
    code, said = run(case, folder)
    about = f"{' '.join(map(repr, case.words))}\nexit code {code}\n{said}"
    assert "Traceback" not in said, about
    assert code in case.ends, about
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == (case.stdout != "no errors" and code in (1, 2, 130)), about
    after = contents(tmp_path)
    if case.inside == "gone":
        return
    lost = {name for name, bytes_ in before.items() if after.get(name) != bytes_}
    assert not lost, f"lost or changed: {lost}\n{about}"
    left = {name for name in after.keys() - before.keys() if ".part" in name or ".lock" in name or ".build." in name}
    assert not left, f"left behind: {left}\n{about}"
    if code == 2 and case.stdout != "full":  # there the work was done, and only its report could not be written
        made = {name for name in after.keys() - before.keys() if not name.startswith(("work/build", "cache"))}
        assert not made, f"refused, but made: {made}\n{about}"


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file and link below a folder: bytes, or where it leads."""
    found: dict[str, bytes | str] = {}
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root, name)
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = f"-> {os.readlink(path)}"
            elif path.is_file():
                found[key] = path.read_bytes()
            elif not path.is_dir():
                found[key] = "special"
    return found


def run(case: Case, folder: Path) -> tuple[int, str]:
    """Exit code, and all that was said on both outputs."""
    environment = os.environ | {"COLUMNS": "80"} | case.environment
    words = [*COMMAND, *case.words]

    def begin() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for which, limit in case.limits.items():
            resource.setrlimit(which, (limit, limit))
        if case.stdout == "closed":
            os.close(1)
        if case.stdout == "no errors":
            os.close(2)
        if case.inside == "gone":
            shutil.rmtree(folder)

    master = None
    outputs: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if case.stdout == "full":
        outputs["stdout"] = open("/dev/full", "wb")
    if case.stdout == "terminal":
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, case.columns, 0, 0))
        environment.pop("COLUMNS")
        outputs = {"stdout": slave, "stderr": slave}
    about = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, "preexec_fn": begin}
    with subprocess.Popen(words, **about, **outputs) as process:
        try:
            if case.stdout == "nobody":
                process.stdout.close()
                process.stdout = None
            if case.kill:
                time.sleep(1.0)
                process.send_signal(case.kill)
            if master is not None:
                os.close(slave)
                said = all_of(master, process)
            else:
                stdout, stderr = process.communicate(timeout=LIMIT_S)
                said = ((stdout or b"") + (stderr or b"")).decode(errors="replace")
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"hangs: {case.words}") from None
        finally:
            if case.stdout == "full":
                outputs["stdout"].close()
    return (128 - process.returncode if process.returncode < 0 else process.returncode), said


def all_of(master: int, process: subprocess.Popen) -> str:
    """What a process writes to its terminal, until it ends."""
    said, deadline = b"", time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                said += os.read(master, 65536)
            except OSError:
                break
        elif process.poll() is not None:
            break
    else:
        raise subprocess.TimeoutExpired(process.args, LIMIT_S)
    process.wait(timeout=10)
    os.close(master)
    return said.decode(errors="replace").replace("\r\n", "\n")
