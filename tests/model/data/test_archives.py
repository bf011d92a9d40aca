"""Members of archives, damaged ones and such as claim to be large."""

import gzip
import io
import tarfile

import pytest

from fivebyfive.model.data.archives import read_members
from fivebyfive.support.errors import UserError

from .test_named_sets import tar_file, zip_file

MEMBERS = {"a/b.bin": b"one", "c": bytes(1000)}
LIMIT = 20_000


@pytest.mark.parametrize("archive", [zip_file, tar_file])
def test_members_in_the_order_asked(archive):
    assert read_members(archive(MEMBERS), ["c", "a/b.bin"], "x", LIMIT) == [bytes(1000), b"one"]
    with pytest.raises(UserError, match=r"x lacks a file .*none"):
        read_members(archive(MEMBERS), ["none"], "x", LIMIT)
    with pytest.raises(UserError, match=r"x: c unpacks to 1000 bytes; at most 999|x is larger than"):
        read_members(archive(MEMBERS), ["c"], "x", 999)


@pytest.mark.parametrize("archive", [zip_file, tar_file])
def test_a_damaged_archive(archive):
    whole = archive(MEMBERS)
    for data in (whole[: len(whole) // 2], whole[:20], b"", b"PK", b"no archive" * 100):
        with pytest.raises(UserError, match=r"^x ") as caught:
            read_members(data, ["c"], "x", LIMIT)
        assert "\n" not in str(caught.value)


def test_what_unpacks_to_more_than_the_limit():
    with pytest.raises(UserError, match="x is larger than 0 MiB unpacked"):
        read_members(gzip.compress(bytes(10 * LIMIT)), ["c"], "x", LIMIT)


def test_what_is_no_file_or_larger_than_its_archive():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        sparse = tarfile.TarInfo("sparse")
        sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                              "GNU.sparse.realsize": str(1 << 40)}  # fmt: skip
        content = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
        sparse.size = len(content)
        archive.addfile(sparse, io.BytesIO(content))
    with pytest.raises(UserError, match="x: link is not a file"):
        read_members(file.getvalue(), ["link"], "x", LIMIT)
    with pytest.raises(UserError, match="x: sparse unpacks to 1099511627776 bytes"):
        read_members(file.getvalue(), ["sparse"], "x", LIMIT)
