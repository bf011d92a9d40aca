"""A folder or file that is not ours, or that somebody edited, is never replaced; and outputs go where a path leads."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fivebyfive.support import files, sidecars
from fivebyfive.support.destinations import file_place, refuse_inputs
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing, replacing_folder
from fivebyfive.support.ownership import MANIFEST, check_folder, file_digest, manifest_text, read_manifest
from fivebyfive.support.sidecars import check_sidecars, record_of, replacing_sidecars, write_sidecar


def write(folder: Path, force: bool = False, **texts: str) -> None:
    """As a command does that makes a folder: files t_v for t.v."""
    with replacing_folder(folder, force=force) as new:
        for name, text in texts.items():
            path = new / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def tree(folder: Path) -> dict[str, str | None]:
    """Everything below a folder: text of files, target of links, None for folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None
    return found


def test_a_manifest_of_somebody_else(tmp_path: Path) -> None:
    """The issue's own example, by the library."""
    app = tmp_path / "app"
    (app / "src").mkdir(parents=True)
    (app / "src" / "thesis.tex").write_text("years")
    others = ("{}", "[]", "no JSON", '{"generator": "npm 9", "files": {}}', '{"generator": "fivebyfive 0.1.0"}',
              '{"generator": "fivebyfive 0.1.0", "files": {"a": 1}}', "[" * 100_000)  # fmt: skip
    for text in others:
        (app / MANIFEST).write_text(text)
        before = tree(app)
        for force in (False, True):
            with pytest.raises(UserError, match=r"app has other files in it, which would be lost: src; name a new"):
                write(app, force, lenet_v="new")
        assert tree(app) == before
    assert os.listdir(tmp_path) == ["app"]


def damage(out: Path, how: str) -> str:
    """Change a folder in one way; what the refusal names."""
    if how == "edited":
        (out / "lenet.v").write_text("mine")
    elif how == "unnamed":
        (out / "tb.v").write_text("mine")
        return "tb.v"
    elif how == "in a folder of ours":
        (out / "hdl" / "tb.v").write_text("mine")
        return "hdl/tb.v"
    elif how == "folder":
        (out / "notes").mkdir()
        return "notes/"
    elif how == "link":
        (out / "lenet.v").rename(out.parent / "elsewhere.v")
        (out / "lenet.v").symlink_to(out.parent / "elsewhere.v")
    elif how == "pipe":
        (out / "lenet.v").unlink()
        os.mkfifo(out / "lenet.v")
    else:
        manifest = json.loads((out / MANIFEST).read_text())
        (out / MANIFEST).write_text(json.dumps(manifest | {"note": "mine"}, indent=2) + "\n")
        return MANIFEST
    return "lenet.v"


@pytest.mark.parametrize("how", ["edited", "unnamed", "in a folder of ours", "folder", "link", "pipe", "manifest"])
def test_what_would_be_lost_is_named(tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old", hdl__top_v="old")
    named = damage(out, how)
    before = sorted(out.rglob("*"))
    with pytest.raises(UserError, match=rf": {named}; name another folder with --out"):
        write(out, lenet_v="new")
    assert sorted(out.rglob("*")) == before
    if how != "pipe":
        assert "new" not in tree(out).values()


def test_our_own_folder_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old", stale_mem="old", hdl__top_v="old")
    write(out, lenet_v="new")
    assert sorted(tree(out)) == ["lenet.v", MANIFEST]
    assert read_manifest(out).files == {"lenet.v": (file_digest(out / "lenet.v"),)}
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_of_version_0_1_0(tmp_path: Path) -> None:
    """Its manifest does not record itself."""
    out = tmp_path / "out"
    write(out, lenet_v="old")
    manifest = json.loads((out / MANIFEST).read_text())
    del manifest["own_sha256"]
    manifest["generator"] = "fivebyfive 0.1.0"
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    write(out, lenet_v="new")
    assert (out / "lenet.v").read_text() == "new"


def test_force_replaces_what_was_edited_and_keeps_what_is_not_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old", stale_mem="old", hdl__top_v="old")
    damage(out, "edited")
    damage(out, "unnamed")
    damage(out, "in a folder of ours")
    (out / "sub" / "deep").mkdir(parents=True)
    (out / "sub" / "deep" / "x").write_text("mine")
    (out / "sub" / "link").symlink_to("deep/x")
    inode = (out / "tb.v").stat().st_ino
    write(out, force=True, lenet_v="new")
    assert {name: text for name, text in tree(out).items() if name != MANIFEST} == {
        "lenet.v": "new", "tb.v": "mine", "hdl": None, "hdl/tb.v": "mine", "sub": None, "sub/deep": None,
        "sub/deep/x": "mine", "sub/link": "deep/x",
    }  # fmt: skip
    assert (out / "tb.v").stat().st_ino == inode
    assert os.listdir(tmp_path) == ["out"]
    with pytest.raises(UserError, match=r": hdl/, sub/, tb.v; name"):  # they are still not ours
        write(out, lenet_v="newer")


def test_force_does_not_write_over_what_is_not_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old")
    (out / "new.mem").write_text("mine")
    before = tree(out)
    with pytest.raises(UserError, match=r"out has other files where files are to be written: new.mem; move them"):
        write(out, force=True, lenet_v="new", new_mem="new")
    assert tree(out) == before


def test_force_removes_nothing_that_an_edited_manifest_names(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old")
    (out / "thesis.tex").write_text("years")
    manifest = json.loads((out / MANIFEST).read_text())
    manifest["files"] |= {"thesis.tex": file_digest(out / "thesis.tex"), "../outside": "0" * 64}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    (tmp_path / "outside").write_text("mine")
    write(out, force=True, lenet_v="new")
    assert (out / "thesis.tex").read_text() == "years"
    assert (out / "lenet.v").read_text() == "new"
    assert (tmp_path / "outside").read_text() == "mine"


@pytest.mark.parametrize("moment", ["while it is made", "in the last moment"])
@pytest.mark.parametrize("exchange", [True, False])
def test_what_comes_into_a_folder_meanwhile(tmp_path: Path, monkeypatch, moment: str, exchange: bool) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old")

    def come() -> None:
        (out / "tb.v").write_text("mine")

    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    if moment == "in the last moment":
        keep = files._keep
        monkeypatch.setattr(files, "_keep", lambda *given: (keep(*given), come()))
    with pytest.raises(UserError, match=r"tb\.v"):
        write_while(out, come if moment == "while it is made" else lambda: None)
    assert {name: text for name, text in tree(out).items() if name != MANIFEST} == {"lenet.v": "old", "tb.v": "mine"}
    assert os.listdir(tmp_path) == ["out"]


def write_while(out: Path, happens) -> None:
    with replacing_folder(out) as new:
        (new / "lenet.v").write_text("new")
        happens()


# Where a path leads.


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "real.bin").write_text("old")
    link, dangling, chain = (tmp_path / name for name in ("link", "dangling", "chain"))
    link.symlink_to("store/real.bin")
    dangling.symlink_to("store/fresh.bin")
    chain.symlink_to("link")
    for path in (link, dangling, chain):
        with replacing(path, "w") as file:
            file.write(path.name)
        assert path.is_symlink()
        assert path.read_text() == path.name
    assert sorted(os.listdir(tmp_path / "store")) == ["fresh.bin", "real.bin"]
    assert sorted(os.listdir(tmp_path)) == ["chain", "dangling", "link", "store"]


def test_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    for name, target in (("link", "real"), ("dangling", "fresh")):
        (tmp_path / name).symlink_to(target)
        for text in ("old", "new"):
            write(tmp_path / name, lenet_v=text)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target / "lenet.v").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "fresh", "link", "real"]


@pytest.mark.parametrize("target", ["/proc/self/fd/1", "/dev/stdout", "/dev/fd/1"])
def test_what_is_open_is_not_replaced(tmp_path: Path, target: str) -> None:
    """Whatever it is, a regular file too."""
    link = tmp_path / "stdout"
    link.symlink_to(target)
    code = (f"from pathlib import Path\nfrom fivebyfive.support.files import replacing\n"
            f"with replacing(Path({str(link)!r})) as file:\n    file.write(b'new')\n")  # fmt: skip
    for out in (subprocess.PIPE, subprocess.DEVNULL, (tmp_path / "out.txt").open("w")):
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
        assert "UserError: cannot write" in done.stderr
        assert "/proc" in done.stderr.splitlines()[-1]
        assert link.is_symlink()
        assert sorted(os.listdir(tmp_path)) in (["stdout"], ["out.txt", "stdout"])
        if hasattr(out, "close"):
            out.close()


def test_links_that_go_round(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for make in (replacing, replacing_folder):
        with pytest.raises(UserError, match="Too many levels of symbolic links"), make(tmp_path / "a"):
            pass


def test_places_that_are_no_file_and_no_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for path in ("pipe", "/dev/null"):
        with pytest.raises(UserError, match="it is a device or a pipe"), replacing(Path(path)):
            pass
        with pytest.raises(UserError, match="it is a file"), replacing_folder(Path(path)):
            pass
    for path in ("", ".", "..", "/"):
        with pytest.raises(UserError, match="it is a folder"), replacing(Path(path)):
            pass
    with pytest.raises(UserError, match="it is the root of the file system"), replacing_folder(Path("/")):
        pass
    assert os.listdir() == ["pipe"]


def test_folders_made_for_what_was_not_written_go_again(tmp_path: Path) -> None:
    for make in (replacing, replacing_folder):
        with pytest.raises(KeyError), make(tmp_path / "a" / "b" / "c"):
            raise KeyError
        assert os.listdir(tmp_path) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyError), replacing(tmp_path / "a" / "b" / "c"):
        raise KeyError
    assert os.listdir(tmp_path) == ["a"]


# The working directory stays the same folder.


def test_the_working_directory_is_filled_where_it_is(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    inode = out.stat().st_ino
    write(Path(), lenet_v="old", stale__top_v="old")
    assert sorted(tree(out)) == ["lenet.v", MANIFEST, "stale", "stale/top.v"]
    write(out, lenet_v="new")
    assert sorted(tree(out)) == ["lenet.v", MANIFEST]
    assert (out / "lenet.v").read_text() == "new"
    assert out.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["out"]
    damage(out, "unnamed")
    with pytest.raises(UserError, match=r"tb\.v"):
        write(Path(), lenet_v="newer")
    damage(out, "edited")
    write(Path(), force=True, lenet_v="newer")
    assert sorted(os.listdir()) == ["lenet.v", MANIFEST, "tb.v"]
    assert Path("lenet.v").read_text() == "newer"


def test_a_folder_filled_where_it_is_that_was_killed(tmp_path: Path, monkeypatch) -> None:
    """Whichever file was the last one: old and new ones are both known, and the next command puts it right."""

    class KilledError(BaseException):
        pass

    replace = os.replace
    for last in range(1, 6):
        out = tmp_path / f"out{last}"
        out.mkdir()
        monkeypatch.chdir(out)
        write(Path(), a_v="old", b_v="old", c_v="old")
        calls = []

        def killed(source, target, last=last, calls=calls) -> None:
            calls.append(target)
            if len(calls) == last:
                raise KilledError
            replace(source, target)

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KilledError):
            write(Path(), a_v="new", b_v="new", d_v="new")
        monkeypatch.setattr(os, "replace", replace)
        assert check_folder(out) == []
        write(Path(), a_v="new", b_v="new", d_v="new")
        assert sorted(os.listdir()) == ["a.v", "b.v", "d.v", MANIFEST]
        assert "replacing" not in json.loads(Path(MANIFEST).read_text())


def test_a_folder_above_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    write(out, lenet_v="old")
    (out / "mine").mkdir()
    monkeypatch.chdir(out / "mine")
    with pytest.raises(UserError, match=r"mine/; name another"):
        write(Path(".."), lenet_v="new")
    write(Path(".."), force=True, lenet_v="new")
    assert Path.cwd() == out / "mine"
    assert os.listdir("..") == os.listdir(out)
    assert (out / "lenet.v").read_text() == "new"


# Files among others'.


def test_a_sidecar_of_somebody_else(tmp_path: Path) -> None:
    report = tmp_path / "net.json"
    report.write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match=r"net.json is not a file that fivebyfive wrote, and would be lost; move"):
            write_sidecar(report, b"new", force)
    assert tree(tmp_path) == {"net.json": "mine"}


def test_our_own_sidecar(tmp_path: Path) -> None:
    report = tmp_path / "net.json"
    for text in (b"old", b"new"):
        write_sidecar(report, text)
        assert report.read_bytes() == text
    write_sidecar(tmp_path / "net.toml", b"a plan")
    write_sidecar(report, b"newer")
    report.write_text("mine")
    with pytest.raises(UserError, match=r"net.json was edited since fivebyfive wrote it; .* with --force"):
        write_sidecar(report, b"newest")
    assert report.read_text() == "mine"
    write_sidecar(report, b"newest", force=True)
    assert report.read_text() == "newest"
    check_sidecars([tmp_path / "net.toml", report])
    assert sorted(os.listdir(tmp_path)) == [".net.sha256", "net.json", "net.toml"]
    done = subprocess.run(["sha256sum", "--check", "--strict", ".net.sha256"], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_odd_names_beside_others(tmp_path: Path) -> None:
    for name in ("a b.json", "a\nb.json", "a\\nb.json", "a\rb.json", os.fsdecode(b"a\xff.json"), "[b].json"):
        for text in (b"old", b"new"):
            write_sidecar(tmp_path / name, text)
        assert (tmp_path / name).read_bytes() == b"new"


def test_a_record_of_somebody_else(tmp_path: Path) -> None:
    record_of(tmp_path / "net.json").write_text("mine")
    with pytest.raises(UserError, match=r"\.net\.sha256 is not a record of what fivebyfive wrote"):
        write_sidecar(tmp_path / "net.json", b"new")
    assert tree(tmp_path) == {".net.sha256": "mine"}


def test_sidecars_that_were_killed_in_between(tmp_path: Path, monkeypatch) -> None:
    """Those that were written are known for ours, and those that were not too."""

    class KilledError(BaseException):
        pass

    def write_all(text: str) -> None:
        with replacing_sidecars([tmp_path / f"m.{suffix}" for suffix in ("md", "png", "json")]) as new:
            for path in new:
                path.write_text(text)

    replace = os.replace
    for number in range(4):
        write_all(f"old {number}")
        calls = []

        def killed(source, target, number=number, calls=calls) -> None:
            calls.append(target)
            if len(calls) > number:
                raise KilledError
            replace(source, target)

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KilledError):
            write_all(f"new {number}")
        monkeypatch.setattr(os, "replace", replace)
    write_all("last")
    assert {path.read_text() for path in tmp_path.glob("m.*")} == {"last"}


def test_a_sidecar_goes_through_a_link_to_another_file_system(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "net.json").symlink_to("store/real.json")
    write_sidecar(tmp_path / "net.json", b"old")
    monkeypatch.setattr(sidecars, "on_one_device", lambda folder, file: False)
    write_sidecar(tmp_path / "net.json", b"new")
    assert (tmp_path / "net.json").is_symlink()
    assert (tmp_path / "store" / "real.json").read_bytes() == b"new"


def test_outputs_that_are_inputs(tmp_path: Path) -> None:
    source, pictures = tmp_path / "q.npz", tmp_path / "pictures"
    source.write_text("mine")
    pictures.mkdir()
    (pictures / "a.png").write_text("mine")
    (tmp_path / "link.npz").symlink_to("q.npz")
    (tmp_path / "hard.npz").hardlink_to(source)
    refused = (source, tmp_path / "link.npz", tmp_path / "hard.npz", tmp_path / "pictures" / ".." / "q.npz",
               pictures / "a.png")  # fmt: skip
    for out in refused:
        with pytest.raises(UserError, match=f"^{out} is what the work starts from"):
            refuse_inputs(out, [None, "mnist", source, pictures])
    refuse_inputs(tmp_path / "new.npz", [source, pictures])
    refuse_inputs(pictures / "b.png", [source, pictures])


def test_a_manifest_says_what_it_says(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(manifest_text({"generator": "fivebyfive 9", "files": {"a": "0" * 64}}))
    assert not read_manifest(tmp_path).edited
    (tmp_path / MANIFEST).write_text((tmp_path / MANIFEST).read_text().replace('"a"', '"b"'))
    assert read_manifest(tmp_path).edited


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch) -> None:
    def no_links(*given, **named) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    write(tmp_path / "out", lenet_v="old")
    damage(tmp_path / "out", "unnamed")
    (tmp_path / "out" / "link").symlink_to("tb.v")
    write(tmp_path / "out", force=True, lenet_v="new")
    assert tree(tmp_path / "out").keys() == {"lenet.v", "link", MANIFEST, "tb.v"}
    assert (tmp_path / "out" / "link").is_symlink()
    assert file_place(tmp_path / "out" / "link") == tmp_path / "out" / "tb.v"
