"""What a ``hive.toml`` may say: all else is an error that names the place and the nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.errors import NectarError
from nectar.manage import hive
from nectar.manage.handlers import registry
from nectar.manage.handlers.registry import Record
from nectar.manage.wall.grants import Grants

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.home import Home

H = "[handlers.h]\nsource = 'h.py'\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "h.py").write_text("")
    return tmp_path / "hive.toml"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("handlers = 1", 2, "'handlers' must be a table"),
        ("[handlers]\nh = 'h.py'", 2, "'handlers.h' must be a table"),
        ("[handler.h]", 2, "no key 'handler'.|Did you mean 'handlers'?"),
        ("[handlers.h", 2, "hive.toml cannot be parsed: "),
        (b"\xff\xfeh", 2, "hive.toml is not UTF-8"),
        (H + "alias = ['a']", 2, "no key 'alias'.|[handlers.h]|Did you mean 'aliases'?"),
        (H + "zzz = 1", 2, "no key 'zzz'.|Known here: source, requirement, "),
        (H + "aliases = 'a'", 2, "'aliases' must be a list of texts.|[handlers.h]"),
        (H + "aliases = [1]", 2, "'aliases' must be a list of texts."),
        (H + "aliases = ['../a']", 2, "'../a' cannot be the alias of a node.|[handlers.h]"),
        (H + "sandbox = 1", 2, "'sandbox' must be true or false."),
        (H + "sandbox = true\nallow = 'network'", 2, "'allow' must be a list of texts."),
        (H + "sandbox = true\nallow = ['netwrok']", 2, "'netwrok' is nothing that can be granted.|[handlers.h]: allow|'network'?"),
        (H + "sandbox = true\nallow = ['read=absent']", 3, "nothing at this path|[handlers.h]: allow: read=absent"),
        (H + "sandbox = false\nallow = ['network']", 2, "Without a wall|[handlers.h]: allow"),
        (H + "allow = ['network']", 2, "Without a wall|sandbox = true"),
        (H + "offline = 1", 2, "'offline' must be true or false."),
        (H + "no_build = 1", 2, "'no_build' must be true or false."),
        (H + "[handlers.h.settings]\nworker = 1", 2, "no setting 'worker'.|[handlers.h]: settings|Did you mean 'workers'?"),
        (H + "[handlers.h.settings]\nworkers = 0", 2, "'workers' must be a whole number from 1 to 256, not 0."),
        (H + "[handlers.h.settings]\nenv = {A = 'b'}", 2, "'env' is not set there.|Its place: [handlers.h.env]"),
        (H + "[handlers.h.env]\nA = 1", 2, "'env' must be a table of names and texts."),
        (H + "[handlers.h.env]\n'A=B' = 'c'", 2, "No variable can be called 'A=B'"),
        (H + "requirement = 'h==1'", 2, "either source, a path, or requirement.|[handlers.h]"),
        ("[handlers.h]", 2, "either source, a path, or requirement."),
        ("[handlers.h]\nsource = 'absent.py'", 3, "There is nothing at this path.|absent.py"),
        ("[handlers.'../h']\nsource = 'h.py'", 2, "'../h' cannot be the name of a handler."),
        (H + "aliases = ['a']\n[handlers.g]\nsource = 'h.py'\naliases = ['a']", 2, "'a' stands at both 'h' and 'g'."),
    ],
)
def test_nonsense(file: Path, text: str | bytes, code: int, said: str) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(NectarError) as told:
        hive.read(file)
    error = told.value
    assert error.exit_code == code
    words = f"{error.message}\n{error.where}\n{error.hint}"
    assert all(part in words for part in said.split("|")), words
    assert str(file) in str(error.where)


def test_paths_are_meant_from_where_the_file_lies(file: Path) -> None:
    file.write_text(H + "env_files = ['a.env', '/b.env']\naliases = ['x', 'y', 'x']\n")
    order = hive.read(file)["h"]
    assert order.source.path == file.with_name("h.py")
    assert order.given.files == (str(file.with_name("a.env")), "/b.env")
    assert order.aliases == ("x", "y")


def test_a_file_that_is_not_there_and_one_that_asks_for_nothing(file: Path) -> None:
    with pytest.raises(NectarError, match="There is no such file") as told:
        hive.read(file)
    assert told.value.exit_code == 3
    file.write_text("")
    assert hive.read(file) == {}


def test_who_gets_a_wall(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "corpus").mkdir()
    file.write_text(
        H
        + "sandbox = true\nallow = ['read=corpus']\n[handlers.none]\nsource = 'h.py'\nsandbox = false\n[handlers.any]\nsource = 'h.py'\n"
    )
    granted = Grants(read=(str(file.parent / "corpus"),))
    assert {name: order.wall for name, order in hive.read(file).items()} == {"h": granted, "none": None, "any": None}
    monkeypatch.setenv("NECTAR_SANDBOX", "1")
    assert {name: order.wall for name, order in hive.read(file).items()} == {"h": granted, "none": None, "any": Grants()}


def test_a_wall_that_is_otherwise_is_told(home: Home, file: Path) -> None:
    (file.parent / "corpus").mkdir()
    record = Record(
        status="stopped", handler=str(file.with_name("h.py")), source={"kind": "file", "path": str(file.with_name("h.py"))}
    )
    for was, text, why in (
        (None, "", ()),
        (None, "sandbox = true", ("sandbox: false → true",)),
        (Grants(network=True), "", ("sandbox: true → false", "allow: network → none")),
        (Grants(network=True), "sandbox = true\nallow = ['network']", ()),
        (Grants(), "sandbox = true\nallow = ['read=corpus']", (f"allow: none → read={file.parent}/corpus",)),
    ):
        with registry.change(home) as records:
            records["h"] = record.but(sandbox=was and was.to_mapping())
        file.write_text(H + text)
        assert hive.plan(home, "h", hive.read(file)["h"]) == ("h", "launched" if why else "started", why)
