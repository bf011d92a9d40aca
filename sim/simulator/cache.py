"""The user's cache folder, and results kept in it by a hash of all that goes into them.

Nothing in it is believed for being there: an entry has a digest of its content and of its name, and its reader
says what a result must look like. A bad one is dropped, with a line in the log (`fivebyfive.support.log`), and made
again.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.log import log

__all__ = ["CACHE_VARIABLE", "UNUSED_S", "cache_folder", "content_key", "keep", "known", "plain"]

CACHE_VARIABLE = "FIVEBYFIVE_CACHE"
UNUSED_S = 30 * 24 * 3600  # what nobody used for so long is removed
MAX_BYTES = 1 << 28  # of an entry: the codes of the largest network there may be, as text, with room to spare


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


def known(path: Path, check: Callable[[dict], object] = lambda result: None) -> dict | None:
    """The result that `keep` wrote, None where there is none; it counts as used now.

    An entry that is damaged, that was made for another name, or whose result ``check`` refuses with ValueError is
    dropped.
    """
    if not os.path.lexists(path):
        return None
    try:
        result = entry_result(path)
        check(result)
    except (ValueError, RecursionError, UserError) as error:
        log.info("dropped from the cache: %s: %s", path, error)
        drop(path)
        return None
    with suppress(OSError):
        os.utime(path)
    return result


def entry_result(path: Path) -> dict:
    """What an entry holds. Raises ValueError, RecursionError or UserError where it is not as `keep` wrote it."""
    if not path.is_file():  # a pipe would keep us waiting
        raise ValueError("it is no file")
    entry = json.loads(read_limited(path, MAX_BYTES, "cache entry"))
    if not isinstance(entry, dict) or not isinstance(entry.get("result"), dict):
        raise ValueError("it is no entry")
    if entry.get("sha256") != digest(path.name, entry["result"]):
        raise ValueError("its digest is another one")
    return entry["result"]


def drop(path: Path) -> None:
    """Remove an entry, whatever lies there in its name."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def keep(path: Path, result: dict) -> None:
    """Write a result, plain values, whole or not at all, and drop from its folder what nobody used for a month."""
    result = plain(result)
    if path.is_dir():
        drop(path)
    with replacing(path, "w") as file:
        json.dump({"sha256": digest(path.name, result), "result": result}, file)
    for other in path.parent.iterdir():
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > UNUSED_S:
                other.unlink()


def plain(result: dict) -> dict:
    """A result as it will be read again: JSON has lists alone, and keys that are texts."""
    return json.loads(json.dumps(result))


def digest(name: str, result: dict) -> str:
    """SHA-256 of a result, plain values, and of the name that it is kept under."""
    return hashlib.sha256(f"{name}\0{json.dumps(result, sort_keys=True)}".encode()).hexdigest()
