"""Paths that make, shells and lists of folders take as they are."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fivebyfive.support import safe_paths
from fivebyfive.support.errors import UserError
from fivebyfive.support.safe_paths import is_safe, safe_path

NAMES = ("with space", "it's", 'quo"ted', "$HOME", "a;b", "#1", "100%", "a:b", "`id`", "a&b", "a|b", "(a)", "a*", "a,b",
         "a\\b", "a\nb", "~", "a=b", "<a>", "[a]", "{a}", "a!b")  # fmt: skip


def test_a_plain_path_is_its_own() -> None:
    for path in ("/usr/lib/x86_64-linux-gnu", "/opt/my_tools/Größe-1.2"):
        assert str(safe_path(path)) == path
    assert safe_path("here") == Path.cwd() / "here"


@pytest.mark.parametrize("name", NAMES)
def test_any_other_is_reached_through_a_link(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file.txt").write_text("found")
    path = safe_path(folder / "inner" / "file.txt")
    assert is_safe(path)
    assert path.name == "file.txt"
    assert path.read_text() == "found"
    assert safe_path(folder / "inner" / "file.txt") == path
    assert safe_path(folder / "not yet there").parent.resolve() != folder  # an unsafe name of its own: its own link
    assert safe_path(folder / "new").parent == path.parent.parent  # one link for all in there


def test_links_go_with_the_process_that_made_them(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    code = """
import os, sys
from fivebyfive.support.safe_paths import safe_path
path = safe_path(sys.argv[1])
if not (child := os.fork()):
    other = safe_path(sys.argv[1])
    sys.exit(other == path)  # another one, as the parent may end first
assert os.waitpid(child, 0)[1] == 0
assert path.is_dir()
print(path)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a b")], capture_output=True, text=True, check=True, timeout=60
    )
    path = Path(done.stdout.strip())
    assert is_safe(path)
    assert not path.parent.exists()


def test_where_no_link_can_be_made(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tmp $1").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp $1"))
    monkeypatch.setattr(safe_paths, "PLACES", (str(tmp_path / "nowhere"),))
    with pytest.raises(UserError, match=r"cannot use the path .*new\\nline, and there is no .* set TMPDIR") as raised:
        safe_path(tmp_path / "new\nline")
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(safe_paths, "PLACES", (str(tmp_path / "nowhere"), str(tmp_path)))
    assert os.path.commonpath([safe_path(tmp_path / "new\nline"), tmp_path]) == str(tmp_path)
