"""Folders whose contents are checked before they are used: the SHA-256 of each file lies beside it, in a list."""

from pathlib import Path

from fivebyfive.support.ownership import file_digest

__all__ = ["LIST", "intact", "seal"]

LIST = "SHA256SUMS"  # as sha256sum reads it


def seal(folder: Path) -> None:
    """Write the list of a folder, for the files that it has now. Raises OSError."""
    (folder / LIST).write_bytes(listing(folder))


def intact(folder: Path) -> bool:
    """Whether a folder is as it was when `seal` wrote its list: the same files with the same bytes."""
    try:
        kept = (folder / LIST).read_bytes()
        return kept != b"" and kept == listing(folder)
    except OSError:
        return False


def listing(folder: Path) -> bytes:
    """A line for each file of a folder but the list. Raises OSError, for a folder inside as well."""
    files = sorted(path for path in folder.iterdir() if path.name != LIST)
    return b"".join(f"{file_digest(path)}  {path.name}\n".encode() for path in files)
