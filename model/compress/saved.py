"""What an interrupted compression goes on from: the state after each epoch of each training, in a folder.

The same plan finds its trainings again by their number; what lies between them is computed once more, the same way,
as it follows from seed, data and the states.
"""

import shutil
from pathlib import Path

import torch

from ..errors import UserError
from ..files import replacing

__all__ = ["States", "forget"]

KEY = "key.txt"


class States:
    """States in ``folder``, of the work whose digest is ``key``; those of other work are thrown away.

    Without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder, self.key, self.count = folder, key, 0
        if folder is None or not folder.is_dir():
            return
        if not (folder / KEY).is_file() and any(folder.iterdir()):
            raise UserError(f"{folder} is in the way and not a state of compress; move it or choose another --out")
        if not (folder / KEY).is_file() or (folder / KEY).read_text() != key:
            forget(folder)

    def next(self) -> "State":
        """The place of the next training."""
        self.count += 1
        return State(self, self.count)


class State:
    """One training's `fivebyfive.model.course.Saved`, the first of which makes the folder."""

    def __init__(self, states: States, number: int) -> None:
        self.states = states
        self.path = states.folder / f"{number:03}.pt" if states.folder else None

    def save(self, state: dict) -> None:
        """Keep tensors and plain values."""
        if self.path is None:
            return
        if not (self.path.parent / KEY).exists():
            with replacing(self.path.parent / KEY, "w") as file:
                file.write(self.states.key)
        with replacing(self.path) as file:
            torch.save(state, file)

    def load(self) -> dict | None:
        """What was kept; None where nothing was. Raises UserError for a damaged file; nothing is unpickled."""
        if self.path is None or not self.path.exists():
            return None
        try:
            return torch.load(self.path, weights_only=True)
        except Exception as error:  # a damaged file makes torch.load raise almost anything
            raise UserError(f"{self.path} is damaged; delete the folder {self.path.parent} to start anew") from error


def forget(folder: Path) -> None:
    """Throw the states away, if there are any: the work is done, or is other work."""
    shutil.rmtree(folder, ignore_errors=True)
