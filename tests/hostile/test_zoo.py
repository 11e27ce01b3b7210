"""Hostile projects are tested, launched, looked at, restarted and collected: nothing changes beside their builds, nothing of theirs
is run that was not to be run, and no secret is taken along.

A whole home directory is watched, the data dir in it, and the clones. What a build backend or a handler does, once it is run, is
another matter: that is the author's code, which has the rights of who launches it.
"""

from __future__ import annotations

import os
import random
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.hostile.zoo import CODE, KINDS, SECRET, Animal, Den
from tests.soak.table import portion
from tests.world import PATIENCE, forks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.table import Row

_TAKEN = re.compile(
    r"home/\.bee-hive/nectar/(builds/|resolutions/|wall\.json|handlers\.json|registry\.lock|envs/\.locks/|(handlers|logs)/(?!innocent)|runtime/[^/]+$)|tmp/uv-[^/]*\.lock$"
)
"""What a command may change, and uv in the directory for temporary files; besides, whole environments and runtimes may come."""
_WALLS = not needs.wall.args[0]
"""Whether a wall can stand here: then half of them are built and run behind one."""
_CODES = {0, 1, 2, 3, 4, 5, 6}


class Zoo:
    """A home directory with what an operator has in it, an innocent handler that runs, and the clones of hostile projects.

    :ivar told: of each animal, the exit codes of its ``test`` and ``launch``, and what was said first.
    :ivar wrong: what should not have been.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.ran = directory / "ran"
        self.nectar = self.home / ".bee-hive" / "nectar"
        self.wrong: list[str] = []
        self.told: dict[str, tuple[int, int, str]] = {}
        for place in (self.ran, directory / "tmp", self.home / ".ssh", self.home / "clones"):
            place.mkdir(parents=True)
        for name, text in ((".bashrc", "# the operator's\n"), (".gitconfig", ""), (".ssh/id", f"{SECRET}\n")):
            (self.home / name).write_text(text)
        innocent = self.home / "innocent.py"
        innocent.write_text(CODE)
        self.run("launch", innocent, "innocent", codes={0})
        (self.key,) = (path.name for path in (self.nectar / "envs").iterdir() if not path.name.startswith("."))
        (self.runtime,) = (path.name for path in (self.nectar / "runtime").iterdir() if path.is_dir())

    def run(self, *arguments: str | Path, codes: set[int] = _CODES) -> tuple[int, str]:
        """Run ``nectar`` as the operator, and return its exit code and what it said."""
        kept = {name: value for name, value in os.environ.items() if name not in ("UV_PYTHON_INSTALL_DIR", "UV_OFFLINE")}
        variables = {"HOME": str(self.home), "TMPDIR": str(self.directory / "tmp"), "ZOO": SECRET, "UV_HTTP_RETRIES": "0"}
        with open(os.devnull, "rb") as nothing, tempfile.TemporaryFile() as output:
            streams = [nothing.fileno(), output.fileno(), output.fileno()]
            command = forks().start([*map(str, arguments)], {**kept, **variables}, os.fspath(self.home / "clones"), streams)
            try:
                code = command.wait(PATIENCE)
            except TimeoutError:
                command.kill()
                code = command.wait(PATIENCE)
            output.seek(0)
            said = output.read().decode(errors="replace")
        if code not in codes or "Nectar has a bug" in said or "\x1b" in said:
            self.wrong.append(f"{' '.join(map(str, arguments))} ended with {code}: {said!r}")
        return code, said

    def house(self, animal: Animal) -> Path:
        """Have an animal write itself below a clone of its own."""
        name = animal.__name__.replace("_", "-")
        top = self.home / "clones" / name
        place = top / "1" / "2" / "3" / "4" / name
        place.mkdir(parents=True)
        trap = top / "trap"
        trap.write_text(f"#!/bin/sh\ntouch {self.ran}/{name}\ncat\n")
        trap.chmod(0o755)
        return animal(Den(place, top, self.home, self.nectar, self.key, self.runtime, trap))

    def visit(self, animal: Animal) -> None:
        """Let nectar at it."""
        source, name = self.house(animal), animal.__name__
        before = self.state()
        wall = ["--sandbox"] if _WALLS and random.random() < 0.5 else []
        tested, _ = self.run("test", source, *wall)
        launched, said = self.run("launch", source, name, *wall)
        if launched == 0:
            self.run("view", name)
            self.run("restart", name)
        self.told[name] = (tested, launched, said.strip().partition("\n")[0])
        self.wrong += [f"{name}: {change}" for change in self.changes(before)]

    def leave(self) -> None:
        """The verbs that look at all of them, and those that take away."""
        before = self.state()
        for verb in ("doctor", "view", "gc"):
            self.run(verb)
        self.wrong += self.changes(before)

    def changes(self, before: dict[str, tuple[int, ...]]) -> list[str]:
        after = self.state()
        return sorted(
            f"{name} changed"
            for name in {*before, *after}
            if before.get(name) != after.get(name) and not _TAKEN.match(name) and not self._is_built(name)
        )

    def _is_built(self, name: str) -> bool:
        """Whether a file is of an environment, or of our side of one, that is not the innocent's."""
        found = re.match(r"home/\.bee-hive/nectar/(?:envs|runtime)/([^/]+)", name)
        return found is not None and found[1] not in (self.key, self.runtime)

    def state(self) -> dict[str, tuple[int, ...]]:
        """Of all files: mode, size, time and inode, and of directories their mode; bytecode aside."""
        found: dict[str, tuple[int, ...]] = {}
        for directory, directories, names in os.walk(self.directory):
            if "__pycache__" in directories:
                directories.remove("__pycache__")
            for name in (*directories, *names):
                status = os.lstat(os.path.join(directory, name))
                path = os.path.relpath(os.path.join(directory, name), self.directory)
                whole = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
                found[path] = whole[:1] if stat.S_ISDIR(status.st_mode) else whole
        return found

    def secrets(self) -> list[str]:
        """Files of nectar's in which the operator's secret stands."""
        files = (path for path in self.nectar.rglob("*") if path.is_file() and not path.is_symlink())
        return [str(path) for path in files if SECRET.encode() in path.read_bytes()]

    def close(self) -> None:
        self.run("stop", "--all", "--timeout", "0")


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    made = Zoo(tmp_path)
    yield made
    made.close()


def test_there_are_enough() -> None:
    assert sum(map(len, KINDS.values())) >= 40


@pytest.mark.once
@pytest.mark.uv
def test_nothing_changes_outside_a_build_and_nothing_is_run(zoo: Zoo, row: Row) -> None:
    """A part of a run takes some of each kind."""
    for animals in KINDS.values():
        for animal in random.sample(animals, portion(len(animals))):
            zoo.visit(animal)
    zoo.leave()
    wrong = [*zoo.wrong, *(f"{path} has the operator's secret" for path in zoo.secrets())]
    for name, (tested, launched, words) in zoo.told.items():
        print(f"| {name} | {tested} | {launched} | {words} |")  # with -s, a table
    kinds = ", ".join(KINDS)
    row(f"hostile projects ({kinds}) change nothing and run nothing", projects=len(zoo.told), wrong=len(wrong))
    assert not wrong, "\n".join(wrong)
