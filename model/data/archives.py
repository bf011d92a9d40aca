"""Members of zip and tar archives, read in memory: nothing is ever extracted, and no member is larger than a limit."""

import io
import tarfile
import zipfile
from collections.abc import Sequence

from fivebyfive.support.errors import UserError

from .idx import unpacked

__all__ = ["ZIP_MAGIC", "read_members"]

ZIP_MAGIC = b"PK"
AGAIN = "get it again"


def read_members(data: bytes, names: Sequence[str], path: str, limit: int, hint: str = AGAIN) -> list[bytes]:
    """The members of those names in ``data``, a .zip, .tar or .tar.gz file, whose ``path`` messages have.

    Raises UserError, one line, where it is no such file, is damaged, lacks one of them (``hint`` says what to do), or
    where an unpacked archive or a member is larger than ``limit`` bytes.
    """
    reader = zip_members if data.startswith(ZIP_MAGIC) else tar_members
    try:
        return reader(data, names, path, limit)
    except KeyError as error:
        raise UserError(f"{path} lacks a file ({error.args[0]}); {hint}") from error
    except UserError:
        raise
    except Exception as error:  # a damaged archive makes zipfile and tarfile raise almost anything
        raise UserError(f"{path} is damaged or truncated ({error}); get it again") from error


def zip_members(data: bytes, names: Sequence[str], path: str, limit: int) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in map(archive.getinfo, names):
            check_size(info.file_size, info.filename, path, limit)
        return [archive.read(name) for name in names]  # no more than its size, and its check-sum is compared


def tar_members(data: bytes, names: Sequence[str], path: str, limit: int) -> list[bytes]:
    found = []
    with tarfile.open(fileobj=io.BytesIO(unpacked(data, path, limit)), mode="r:") as archive:
        for info in map(archive.getmember, names):
            check_size(info.size, info.name, path, limit)  # a sparse one may be larger than its archive
            if (file := archive.extractfile(info) if info.isfile() else None) is None:
                raise UserError(f"{path}: {info.name} is not a file; get it again")
            if len(content := file.read()) != info.size:
                raise UserError(f"{path}: {info.name} is truncated; get it again")
            found.append(content)
    return found


def check_size(size: int, name: str, path: str, limit: int) -> None:
    if size > limit:
        raise UserError(f"{path}: {name} unpacks to {size} bytes; at most {limit} are read")
