"""The one place that writes the pieces of a build, against names and links that would lead out of the copy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.source import artifact
from nectar.manage.tree.assembly import Assembly, BuildTree
from nectar.manage.tree.pieces import Copy, Piece, rewrite
from nectar.manage.tree.trees import Tree
from tests.environments.workbench import snapshot, write

TEXT = Piece(content=b"new\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Where a copy is made, beside what none of it may touch."""
    write(tmp_path / "outside" / "x.txt", "old\n")
    place = tmp_path / "build" / "tree"
    place.mkdir(parents=True)
    return place


def build_tree(pieces: dict[str, Piece], **more: Path) -> BuildTree:
    assembly = Assembly()
    for name, piece in pieces.items():
        assembly.put(name, piece)
    for position, place in more.items():
        assembly.read_in_place(position, place)
    return assembly.finish()


@pytest.mark.parametrize(
    "name",
    [
        "../../outside/x.txt",
        "..",
        ".",
        "",
        "/etc/x",
        "a/../../../outside/x.txt",
        "a/..",
        "a//x",
        "a/",
        "./x",
        "x\0y",
        ".git/config",
        "a/.Git/hooks/x",
        ".git",
        "/".join("a" * 500),
    ],
)
@pytest.mark.parametrize("piece", [TEXT, Piece(link="x"), Piece(origin=Path("/etc/passwd"))], ids=["text", "link", "file"])
def test_a_name_that_leads_anywhere_else_is_refused(name: str, piece: Piece) -> None:
    with pytest.raises(EnvironmentFailedError, match="no copy of it can have"):
        build_tree({name: piece})


@pytest.mark.parametrize("name", ["x", "..x", "x..", "...", "a/b/c", " ", "a\nb", "\udcff", ".github/x", "x.git/y", "-x", "é"])
def test_an_odd_name_is_one(tree: Path, name: str) -> None:
    build_tree({name: TEXT}).copy(tree)
    assert (tree / name).read_bytes() == b"new\n"


@pytest.mark.parametrize(
    "links",
    [
        {"a": "../../outside"},
        {"a": "../tree/b"},  # out, and in again by the copy's own name
        {"a": "/etc"},
        {"a": "b/../../outside", "b": "c"},
        {"a": "b", "b": "../../outside"},
        {"a": "c/d/../../../outside", "c/d/e": "x"},
        {"a": "a"},
        {"a": "b", "b": "a"},
        {"a": "."},
    ],
    ids=str,
)
def test_a_link_that_leads_out_of_the_copy_is_refused(tree: Path, links: dict[str, str]) -> None:
    before = snapshot(tree.parent)
    with pytest.raises(EnvironmentFailedError, match="lead out of a copy"):
        build_tree({name: Piece(link=target) for name, target in links.items()}).copy(tree)
    assert snapshot(tree.parent) == before


@pytest.mark.parametrize(
    "links", [{"a": "b"}, {"a": "b/../c"}, {"a": "b", "b": "c"}, {"d/a": "../b"}, {"a": "d/e/..", "d/e/f": "x"}], ids=str
)
def test_a_link_that_stays_inside_is_kept(tree: Path, links: dict[str, str]) -> None:
    build_tree({name: Piece(link=target) for name, target in links.items()}).copy(tree)
    assert {name: os.readlink(tree / name) for name in links} == links


@pytest.mark.parametrize("order", [1, -1])
def test_what_lies_below_a_name_counts_more_than_a_link_of_that_name(tree: Path, order: int) -> None:
    pieces = [("data", Piece(link="other")), ("data/x.txt", TEXT), ("other/y.txt", TEXT)][::order]
    build_tree(dict(pieces)).copy(tree)
    assert not (tree / "data").is_symlink()
    assert (tree / "data" / "x.txt").read_bytes() == b"new\n"
    assert not (tree / "other" / "x.txt").exists()


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c")])
def test_a_file_is_no_directory(names: tuple[str, str]) -> None:
    with pytest.raises(EnvironmentFailedError, match="no copy of it can have"):
        build_tree(dict.fromkeys(names, TEXT))


def test_an_index_that_is_read_where_it_lies_is_no_way_out_for_a_link(tree: Path) -> None:
    for target in ("wheels/../secret", "wheels"):
        made = build_tree({"a": Piece(link=target)}, wheels=tree.parent.parent / "outside")
        with pytest.raises(EnvironmentFailedError, match="lead out of a copy"):
            made.copy(tree)


def test_names_that_the_file_system_takes_to_be_the_same(tree: Path) -> None:
    """As they are on macOS: what is there already, by another spelling, is neither written over nor gone through."""
    outside = tree.parent.parent / "outside"
    (tree / "SRC").symlink_to(outside)
    (tree / "real").mkdir()
    (tree / "file").write_text("first\n")
    copy = Copy(tree)
    for name in ("SRC/x.txt", "SRC", "file", "file/x"):
        with pytest.raises(EnvironmentFailedError, match="the same"):
            copy.write(name, b"new\n")
    copy.write("real/x", b"new\n")
    copy.link("file", "real")
    with pytest.raises(EnvironmentFailedError, match="the same"):
        copy.finish()
    assert (tree / "file").read_text() == "first\n"
    assert (outside / "x.txt").read_text() == "old\n"


def test_what_is_written_again_goes_through_no_link(tree: Path) -> None:
    outside = tree.parent.parent / "outside"
    (tree / "uv.lock").symlink_to(outside / "x.txt")
    rewrite(tree, "uv.lock", b"new\n")
    assert (tree / "uv.lock").read_bytes() == b"new\n"
    assert not (tree / "uv.lock").is_symlink()
    (tree / "sub").symlink_to(outside)
    with pytest.raises(EnvironmentFailedError, match="no copy of it can have"):
        rewrite(tree, "sub/x.txt", b"new\n")
    assert (outside / "x.txt").read_text() == "old\n"


def test_a_copy_is_private_and_keeps_what_can_be_executed(tree: Path, tmp_path: Path) -> None:
    origins = {name: write(tmp_path / "source" / name, "x\n") for name in ("a/plain", "a/run", "open")}
    for name, mode in (("a/plain", 0o644), ("a/run", 0o755), ("open", 0o666)):
        origins[name].chmod(mode)
    os.utime(origins["a/plain"], (1, 2))
    assembly = Assembly()
    assembly.put_tree("", Tree(files=origins))
    assembly.finish().copy(tree)
    modes = {name: stat.S_IMODE((tree / name).stat().st_mode) for name in ("a", "a/plain", "a/run", "open")}
    assert modes == {"a": 0o700, "a/plain": 0o600, "a/run": 0o700, "open": 0o600}
    assert (tree / "a" / "plain").stat().st_mtime == 2


def test_a_file_that_became_a_pipe_hangs_nobody(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe"):
        build_tree({"x": Piece(origin=tmp_path / "pipe")}).copy(tree)


def test_a_file_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "secret", "secret\n")
    (tmp_path / "x").symlink_to("secret")
    with pytest.raises(OSError, match="regular"):
        Piece(origin=tmp_path / "x").read()


def test_a_wheel_may_be_given_by_a_link(tmp_path: Path) -> None:
    write(tmp_path / "store" / "1", "no wheel, but bytes\n")
    (tmp_path / "demo-1-py3-none-any.whl").symlink_to("store/1")
    made = artifact.plan_file(tmp_path / "demo-1-py3-none-any.whl", python=None)
    assert made.tree.pieces["given/demo-1-py3-none-any.whl"].read() == b"no wheel, but bytes\n"
