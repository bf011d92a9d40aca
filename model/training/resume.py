"""What an interrupted training or compression goes on from: the state after each epoch of each stage, in a folder.

The same work finds the states of its stages again by their number; what lies between them is computed once more, the
same way, as it follows from seed, data and the states.
"""

import io
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import torch

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited

from .report import versions

__all__ = ["States", "state_folder"]

KEY = "key.txt"
MAX_KEY = 1 << 10  # bytes
MAX_BYTES = 2 << 30  # of a state: weights, gradients' moments and the best weights of the largest network, in float32
OURS = re.compile(r"key\.txt|\d{3}\.pt|\.(key\.txt|\d{3}\.pt)\.[a-z0-9_]{8}\.part")


def state_folder(out: Path) -> Path:
    """Where the states of the work whose result is ``out`` lie."""
    return out.parent / f".{out.stem}.state"


class States:
    """States of a piece of work in ``folder``; without a folder nothing is kept.

    ``tell`` gets a line where there is something to go on from, or where states of other work are thrown away.
    ``epochs``: how many were found done.
    """

    def __init__(self, folder: Path | None = None, tell: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.tell = folder, tell
        self.key, self.count, self.epochs = "", 0, 0

    def begin(self, what: object, *data: Dataset) -> None:
        """Whose states these are: ``what``, whose text tells all that decides the result, on these data. Raises
        UserError where the folder holds other things, or a state is damaged."""
        self.key = key_of(what, data)
        if self.folder is None or not self.folder.is_dir():
            return
        if foreign := [path.name for path in self.folder.iterdir() if not OURS.fullmatch(path.name)]:
            raise UserError(f"{self.folder} is in the way and no state of a training ({foreign[0]} is in it); move it "
                            "or choose another --out")  # fmt: skip
        if key_in(self.folder) == self.key:
            found = [self.place(number).load() for number in range(1, len(list(self.folder.glob("*.pt"))) + 1)]
            self.epochs = sum(state["epoch"] for state in found if state)
            self.tell(f"going on from {self.folder}, where {self.epochs} epochs are done")
        else:
            if any(self.folder.glob("*.pt")):
                self.tell(f"{self.folder} is of other work, and is started over")
            self.forget()

    def next(self) -> "State":
        """The place of the next stage."""
        self.count += 1
        return self.place(self.count)

    def place(self, number: int) -> "State":
        return State(self.folder / f"{number:03}.pt" if self.folder else None, self.key)

    def forget(self) -> None:
        """Throw the states away, if there are any: the result is stored, or is of other work."""
        if self.folder:
            with suppress(OSError):
                for path in sorted(self.folder.iterdir(), key=lambda path: path.name == KEY):
                    if OURS.fullmatch(path.name):
                        path.unlink()  # the key last: without it they would be nobody's
                self.folder.rmdir()


class State:
    """One stage's `fivebyfive.model.training.state.Saved`, the first of which makes the folder."""

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key

    def save(self, state: dict) -> None:
        """Keep tensors and plain values."""
        if self.path is None:
            return
        folder = self.path.parent
        try:
            if not (folder / KEY).exists():
                with replacing(folder / KEY, "w") as file:
                    file.write(self.key)
            content = io.BytesIO()
            torch.save(state, content)
            with replacing(self.path) as file:
                file.write(content.getvalue())
                file.write(self.seal(content.getvalue()))
        except UserError:
            if not any(folder.glob("*.pt")):
                with suppress(OSError):
                    (folder / KEY).unlink(missing_ok=True)
                    folder.rmdir()
            raise

    def load(self) -> dict | None:
        """What was kept; None where nothing was. Raises UserError for a damaged file, and for one that was kept for
        another stage or other work; nothing is unpickled."""
        if self.path is None or not self.path.exists():
            return None
        damaged = f"{self.path} is damaged; delete the folder {self.path.parent} to start over"
        try:
            found = read_limited(self.path, MAX_BYTES, "state")
            content = found[: -sha256().digest_size]
            if found[len(content) :] != self.seal(content):  # PyTorch itself takes a changed weight for the right one
                raise UserError(damaged)
            return torch.load(io.BytesIO(content), weights_only=True)
        except UserError:
            raise
        except Exception as error:  # a damaged file makes torch.load raise almost anything
            raise UserError(damaged) from error

    def seal(self, content: bytes) -> bytes:
        """What ends the file: SHA-256 of the content, of the stage, and of the work's key."""
        assert self.path
        return sha256(f"{self.key} {self.path.name} ".encode() + content).digest()


def key_in(folder: Path) -> str:
    """The key of the work whose states are in a folder; empty where there is none that could be read."""
    try:
        return read_limited(folder / KEY, MAX_KEY, "key").decode(errors="replace")
    except UserError:
        return ""


def key_of(what: object, data: tuple[Dataset, ...]) -> str:
    """SHA-256 of everything that decides the result of a training."""
    digest = sha256(repr((what, sorted(versions().items()))).encode())
    for one in data:
        digest.update(one.images.tobytes())
        digest.update(one.labels.tobytes())
    return digest.hexdigest()
