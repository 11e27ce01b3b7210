"""Variables that a person gave: read from files, kept in private, and put back when a launch fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.errors import NotFoundError, UsageError
from nectar.home import Home
from nectar.locks import hold
from nectar.manage.daemon import given
from nectar.manage.daemon.given import Given
from nectar.manage.handlers import keeping, registry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=v", "v"),
        ("K=", ""),
        ("export K=v", "v"),
        ("K = v w ", "v w"),
        ("K='v # w'", "v # w"),
        ('K="v"', "v"),
        ("K=a=b", "a=b"),
        ('K="', '"'),
    ],
)
def test_a_line_of_a_file(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / "f.env"
    file.write_text(f"\n# a comment\n{line}\n")
    assert given.read_file(file) == {"K": value}


@pytest.mark.parametrize("line", ["K", "=v", "1K=v", "K-L=v"])
def test_a_line_that_cannot_be_read_is_named_without_its_value(tmp_path: Path, line: str) -> None:
    file = tmp_path / "f.env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(UsageError) as raised:
        given.read_file(file)
    assert raised.value.where == f"{file}, line 2"
    assert "v" not in raised.value.message.replace("K=V", "").replace("of the form", "")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Given(files=(str(tmp_path / "absent"),)).variables()


def test_what_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("A=1\nB=1\nC=1\nD=1\n")
    two.write_text("B=2\nC=2\n")
    all_of_it = Given(env={"C": "3"}, files=(str(one), str(two)), passed={"D": "4", "E": "4"})
    assert all_of_it.variables() == {"A": "1", "B": "2", "C": "3", "D": "1", "E": "4"}


def test_what_is_passed_stays_when_the_shell_has_it_no_longer() -> None:
    first = Given().passing(["A", "B"], {"A": "1", "C": "3"})
    assert first.passed == {"A": "1"}
    assert first.passing(["A", "B"], {"B": "2"}).passed == {"A": "1", "B": "2"}
    assert first.passing(["B"], {"A": "2"}).passed == {}


def test_kept_for_later_and_put_back_when_it_fails(home: Home) -> None:
    first, second = Given(env={"A": "1"}), Given(env={"A": "2"}, files=("/f",), passed={"B": "3"})
    with keeping.keep(home, "h", first):
        assert given.read(home, "h") == first
    assert home.variables("h").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ZeroDivisionError), keeping.keep(home, "h", second):
        1 / (given.read(home, "h") != second)
    assert given.read(home, "h") == first
    with keeping.keep(home, "h", Given()):
        assert not home.variables("h").exists()
    assert given.read(home, "h") == Given()


def test_a_broken_file_is_told(home: Home) -> None:
    home.variables("h").write_text("A=1")
    with pytest.raises(UsageError, match="cannot be read"):
        given.read(home, "h")


@pytest.mark.parametrize("pair", ["K", "=v", ""])
def test_a_pair_that_is_none(pair: str) -> None:
    with pytest.raises(UsageError):
        given.parse(pair, {"": "a"})


def test_a_name_alone_has_the_value_of_the_shell() -> None:
    assert [given.parse(pair, {"K": "s"}) for pair in ("K=a=b", "K=", "K")] == [("K", "a=b"), ("K", ""), ("K", "s")]


def test_what_is_forgotten_leaves_nothing(home: Home) -> None:
    left = home.variables("h").with_name("h.env.123.new")
    other = home.variables("h.env.1").with_name("h.env.1.env")
    for path in (left, other):
        path.write_text("secret")
    with keeping.keep(home, "h", Given(env={"A": "1"})):
        pass
    with keeping.forget(home, "h"):
        pass
    assert list(home.handlers.iterdir()) == [other]


def test_what_a_killed_command_left_is_swept_away(home: Home) -> None:
    """Whole variables go only where the record that they belong to was never written."""
    with registry.change(home) as records:
        records["known"] = registry.Record()
    kept, new, registry_lost = (home.variables(name) for name in ("known", "new", "lost"))
    for path in (kept, new, registry_lost):
        path.write_text("{}")
    for path in (kept, new):
        for end in ("new", "123.new", "unrecorded"):
            path.with_name(f"{path.name}.{end}").write_text("secret")
    with hold(home.turn("known")), hold(home.turn("new")):
        keeping.sweep(home)
        assert len(list(home.handlers.glob("*.env.*"))) == 6  # they may be being written
    keeping.sweep(home)
    assert sorted(home.handlers.glob("*.env*")) == sorted([kept, registry_lost])


@pytest.mark.parametrize("written", [False, True])
def test_a_launch_that_was_killed_over_an_older_one_leaves_it_with_its_variables(home: Home, written: bool) -> None:
    with registry.change(home) as records:
        records["h"] = registry.Record(started=1.0)
    with keeping.keep(home, "h", given.Given(env={"A": "old"})):
        pass
    context = keeping.keep(home, "h", given.Given(env={"A": "new"}))
    context.__enter__()  # and it is killed in there
    if written:
        with registry.change(home) as records:
            records["h"] = registry.Record(started=2.0)
    keeping.sweep(home)
    assert given.read(home, "h").env == {"A": "new" if written else "old"}
    assert list(home.handlers.glob("h.env*")) == [home.variables("h")]


def test_what_is_being_written_and_removed_is_marked(home: Home) -> None:
    def left() -> list[str]:
        return sorted(path.name for path in home.handlers.glob("h.env*"))

    with keeping.keep(home, "h", Given(env={"A": "1"})):
        assert left() == ["h.env", "h.env.unrecorded"]
    for recorded in (True, False):
        with registry.change(home) as records:
            records.pop("h", None) if not recorded else records.update(h=registry.Record())
        with pytest.raises(ZeroDivisionError), keeping.forget(home, "h"):
            1 / (left() != ["h.env", "h.env.unrecorded"])
        keeping.sweep(home)
        assert left() == (["h.env"] if recorded else [])
