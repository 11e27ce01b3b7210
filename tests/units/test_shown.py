"""What a worker behind a wall sees of a Python's directory, and of a source's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.errors import UsageError
from nectar.home import Home
from nectar.manage.daemon import surroundings
from nectar.manage.wall import pythons

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, by the name that its user has for it, which is a link."""
    for directory in (
        ".local/bin",
        ".local/lib/python3.11",
        ".local/share/keyrings",
        "bin",
        "python/bin",
        "python/share",
        "env/bin",
    ):
        (tmp_path / "disk" / directory).mkdir(parents=True)
    for directory in (".local", "python", "."):
        (tmp_path / "disk" / directory / "bin/python3").touch()
    (tmp_path / "me").symlink_to("disk")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    return tmp_path / "me"


@pytest.mark.parametrize("by", ["me", "disk"])
def test_of_a_python_s_directory_nothing_is_seen_that_is_kept_for_its_user(user: Path, by: str) -> None:
    python, place = user / "env/bin/python", user.parent / by
    for where, seen in (("python", ["python"]), (".local", [".local/bin", ".local/lib"])):
        python.unlink(missing_ok=True)
        python.symlink_to(place / where / "bin/python3")
        assert pythons.list_prefixes(python, Home(user / ".local/share/hive")) == [place / each for each in seen]
    python.unlink()
    python.symlink_to(place / "bin/python3")
    with pytest.raises(UsageError, match="holds the home directory"):
        pythons.list_prefixes(python, Home(user.parent / "hive"))


def test_a_source_is_shown_whole_but_for_where_something_lies_in_it(tmp_path: Path) -> None:
    kept, source, shown, links = tmp_path / "kept", tmp_path / "source", dict[str, str](), dict[str, str]()
    (kept / "deep/er").mkdir(parents=True)
    (kept / "deep/file").touch()
    (kept / "link").symlink_to("deep")
    assert [*surroundings._lay_out(kept, source, [source, tmp_path], shown, links)] == []
    assert (shown, links) == ({str(source): str(kept)}, {})
    shown.clear()
    assert [*surroundings._lay_out(kept, source, [source / "deep/out"], shown, links)] == [str(source), str(source / "deep")]
    assert shown == {str(source / each): str(kept / each) for each in ("deep/er", "deep/file")}
    assert links == {str(source / "link"): "deep"}
