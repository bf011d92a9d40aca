"""The user's cache folder, and results kept in it by a hash of all that goes into them."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

from fivebyfive.model.errors import UserError
from fivebyfive.model.files import replacing

__all__ = ["CACHE_VARIABLE", "UNUSED_S", "cache_folder", "content_key", "keep", "known"]

CACHE_VARIABLE = "FIVEBYFIVE_CACHE"
UNUSED_S = 30 * 24 * 3600  # what nobody used for so long is removed


def cache_folder(kind: str) -> Path:
    """$FIVEBYFIVE_CACHE/``kind``, or that folder in the user's cache; made if missing.

    Raises UserError where it cannot be written.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    root = Path(chosen).absolute() if chosen else Path(platformdirs.user_cache_dir("fivebyfive"))
    root = root / kind
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError as error:
        raise UserError(
            f"cannot write the cache folder {root}: {error.strerror}; set {CACHE_VARIABLE} to another folder"
        ) from error
    return root


def content_key(parts: Iterable[str]) -> str:
    """24 hexadecimal digits that stand for some texts in that order."""
    return hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]


def known(path: Path) -> dict | None:
    """The JSON object that `keep` wrote, None where there is none; it counts as used now."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    with suppress(OSError):
        os.utime(path)
    return found


def keep(path: Path, result: dict) -> None:
    """Write a JSON object, whole or not at all, and drop from its folder what nobody used for a month."""
    with replacing(path, "w") as file:
        json.dump(result, file)
    for other in path.parent.iterdir():
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > UNUSED_S:
                other.unlink()
