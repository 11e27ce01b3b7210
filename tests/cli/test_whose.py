"""Every verb looks first whose the data dir is, and touches nothing of one that it may not use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.cli.verbs import VERBS
from tests import pythons

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

NOBODY = 65534
MAKING = {
    "launch": ["launch", "twice.py", "h"],
    "test": ["test", "twice.py"],
    "dev": ["dev", "."],
    "new": ["new", "project"],
    "worker": ["worker", "twice.py", "--connect", "127.0.0.1", "--host", "127.0.0.1", "--print"],
}
ACTING = {
    "attach": ["attach", "h", "alice"],
    "detach": ["detach", "h", "alice"],
    "view": ["view"],
    "view one": ["view", "h"],
    "logs": ["logs", "h"],
    "stop": ["stop", "h"],
    "stop all": ["stop", "--all"],
    "start": ["start", "h"],
    "up": ["up"],
    "export": ["export"],
    "enable": ["enable", "--print"],
    "disable": ["disable", "--print"],
    "up keep": ["up", "--keep"],
    "restart": ["restart", "h"],
    "remove": ["remove", "h"],
    "submit": ["submit", "alice", "q"],
    "exec": ["exec", "h", "--", "true"],
    "gc": ["gc"],
    "gc dry": ["gc", "--dry-run"],
    "doctor": ["doctor"],
    "metrics": ["metrics"],
    "dashboard": ["dashboard", "--no-open"],
}
EVERY = ACTING | MAKING
WITHOUT = {"demo", "plugins", "completion"}
"""Verbs that have a data dir of their own, or need none."""


def somebodys(world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    for path in (world.home.nectar, *world.home.nectar.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def opened(world: World) -> None:
    world.home.nectar.chmod(0o755)


def a_link(world: World) -> None:
    world.home.nectar.rename(world.directory / "moved")
    world.home.nectar.symlink_to(world.directory / "moved")


def a_link_inside(world: World) -> None:
    world.home.envs.rename(world.directory / "elsewhere")
    world.home.envs.symlink_to(world.directory / "elsewhere")


def a_file(world: World) -> None:
    world.home.nectar.rename(world.directory / "moved")
    world.home.nectar.write_text("")


def test_no_verb_is_forgotten() -> None:
    assert {each.split()[0] for each in (*MAKING, *ACTING)} | WITHOUT == set(VERBS)


@pytest.mark.once
@pytest.mark.parametrize(
    ("spoil", "verb", "code", "said"),
    [
        *((somebodys, verb, 4, "another user") for verb in ACTING),
        *((a_link_inside, verb, 4, "link") for verb in (*ACTING, *MAKING)),
        *((opened, verb, 4, "chmod 700") for verb in ("view", "launch")),
        *((a_link, verb, 4, "link") for verb in ("gc", "launch")),
        *((a_file, verb, 3, "in the place") for verb in ("stop", "launch")),
    ],
)
def test_a_data_dir_that_may_not_be_used(fresh: World, spoil: Callable[[World], None], verb: str, code: int, said: str) -> None:
    """Its interpreter would be run by `start` and `exec`, its environments removed by `gc`, its handler stopped by `restart`."""
    trap = fresh.directory / "ran"
    environment = fresh.home.envs / "k"
    interpreter = environment / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f"#!/bin/sh\ntouch {trap}\n")
    interpreter.chmod(0o755)
    fresh.home.nectar.chmod(0o700)
    fresh.home.handlers.mkdir()
    fresh.file("bee-hive/nectar/handlers.json", '{"h": {"status": "stopped", "environment": "k"}}')
    fresh.file("twice.py")
    fresh.file("pyproject.toml", '[project]\nname = "x"\nversion = "1"\n')
    fresh.node()
    spoil(fresh)
    before = found(fresh.directory)
    ended = fresh.run(*EVERY[verb], code=code)
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.stdout.replace("🧪 Testing handler: twice.py\n", "") == ""
    assert found(fresh.directory) == before
    if spoil is somebodys:
        os.chown(fresh.home.nectar, os.geteuid(), -1)


@pytest.mark.once
@pytest.mark.parametrize("verb", ACTING)
def test_a_data_dir_that_was_named_and_is_not_there(fresh: World, verb: str) -> None:
    """``stop --all`` said that there is no running handler, as if all were well."""
    if "all" in verb:
        ended = fresh.run_by_default(*ACTING[verb], env={"NECTAR_DATA_DIR": str(fresh.home.data_dir)})
    else:
        ended = fresh.run(*ACTING[verb], code=None)
    assert ended.returncode == 3
    assert "There is no such data dir." in ended.stderr
    assert not fresh.home.data_dir.exists()


@pytest.mark.parametrize(("verb", "code"), [("view", 0), ("stop all", 0), ("gc", 0), ("doctor", 0), ("logs", 3), ("start", 3)])
def test_the_one_that_nobody_named_may_be_missing(fresh: World, verb: str, code: int) -> None:
    mine = fresh.directory / "mine"
    mine.mkdir()
    ended = fresh.run_by_default(*ACTING[verb], env={"HOME": str(mine), "PATH": pythons.path_with_few()})
    assert ended.returncode == code, ended.stderr
    assert "data dir." not in ended.stderr
    assert list(mine.iterdir()) == []


def test_the_data_dir_may_be_a_link(world: World) -> None:
    (world.directory / "link").symlink_to(world.home.data_dir)
    assert world.run_by_default("view", env={"NECTAR_DATA_DIR": str(world.directory / "link")}).returncode == 0


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["view", "--help"], ["new", "project", "--no-dev"]])
def test_what_needs_no_data_dir_does_not_look(fresh: World, arguments: list[str]) -> None:
    fresh.home.data_dir.write_text("")
    fresh.run(*arguments)


def test_a_log_that_is_a_link_is_not_followed(world: World) -> None:
    secret = world.file("secret", "secret\n")
    world.home.logs.mkdir()
    world.home.log("h").symlink_to(secret)
    ended = world.run("logs", "h", "--no-follow", code=4)
    assert "secret\n" not in ended.stdout
    assert str(world.home.log("h")) in ended.stderr


def test_gc_removes_a_link_and_not_what_it_leads_to(fresh: World) -> None:
    precious = fresh.file("elsewhere/precious/file", "")
    fresh.home.create()
    (fresh.home.envs / "link").symlink_to(precious.parent)
    (fresh.home.envs / ".build-link").symlink_to(precious.parent)
    fresh.run("gc")
    assert [path.name for path in precious.parent.iterdir()] == ["file"]
    assert not (fresh.home.envs / "link").is_symlink()


def found(directory: Path) -> list[tuple[str, int, int, int]]:
    """All that lies there, as far as a change of it can be seen."""
    paths = [directory, *sorted(directory.rglob("*"))]
    states = [(path, path.lstat()) for path in paths]
    return [(str(path), state.st_mode, state.st_uid, state.st_mtime_ns) for path, state in states]
