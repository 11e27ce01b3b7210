"""``nectar demo``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nectar.cli.session import Session
from nectar.errors import NectarError, UnresponsiveError
from nectar.home import Home
from nectar.manage.handlers import handlers
from nectar.spool.entries import COMPLETE, PENDING
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from nectar.cli.output import Output

NAME = "my_handler_v1"
PROJECT = "my_handler_pkg"
ALIAS = "alice"
WORLD = "bee-hive"
ANSWERED_WITHIN = 60.0
ENDED_WITHIN = 5.0


@click.command()
@click.option("--keep", is_flag=True, help="Leave the temporary directory there to look at.")
@click.pass_obj
def command(session: Session, *, keep: bool) -> None:
    """Make a node's directory, a handler, its environment and its daemon, ask a question, and clear it all away again.

    Each step is shown as it would be typed.
    """
    output = session.output
    directory = Path(tempfile.mkdtemp(prefix="nectar-demo-"))
    demo = _Demo(output, directory)
    try:
        demo.run()
    finally:
        demo.end(keep=keep)


class _Demo:
    def __init__(self, output: Output, directory: Path) -> None:
        self._output = output
        self._directory = directory
        self._home = Home(directory / WORLD)
        self._computations = self._home.computations(ALIAS)

    def run(self) -> None:
        self._show(f"cd {self._directory}")
        self._show(f"export NECTAR_DATA_DIR=$PWD/{WORLD}")
        self._say("A node has a directory in which it asks:")
        self._show(f"mkdir -p {self._relative(self._computations)}")
        self._computations.mkdir(parents=True)
        self._say("A handler is a project with an entry point:")
        self._nectar("new", PROJECT, "--no-dev")
        self._say("It gets an environment of its own, and a daemon:")
        self._nectar("launch", f"./{PROJECT}", NAME)
        self._nectar("attach", NAME, ALIAS)
        self._say("The node asks, and reads the answer:")
        self._ask()
        self._nectar("view")
        self._nectar("logs", NAME, "--no-follow")
        self._nectar("stop", NAME)
        self._output.data()
        self._output.data("✅ A question went in, and an answer came out.")

    def end(self, *, keep: bool) -> None:
        """Leave nothing running, and nothing on disk unless it was asked for."""
        for name, record in handlers.refresh(self._home).items():
            if record.status == "running":
                handlers.stop(self._home, name, timeout=0, report=self._output.talk)
        if keep:
            self._output.talk(f"It is all in {self._directory}")
        else:
            self._show(f"rm -r {self._directory}")
            _remove(self._directory)

    def _ask(self) -> None:
        question = sample()
        pending, complete = (self._computations / f"{question.comp_id}{suffix}" for suffix in (PENDING, COMPLETE))
        text = question.to_json().decode().strip()
        self._show(f"echo {shlex.quote(text)} > {self._relative(pending)}")
        pending.write_text(f"{text}\n", encoding="utf-8")
        self._show(f"cat {self._relative(complete)}")
        end = time.monotonic() + ANSWERED_WITHIN
        while not complete.exists():
            if time.monotonic() > end:
                raise UnresponsiveError("The question was not answered.", where=str(pending))
            time.sleep(0.01)
        self._output.data(complete.read_text(encoding="utf-8").strip())
        complete.unlink()

    def _nectar(self, *arguments: str) -> None:
        self._show(shlex.join(["nectar", *arguments]))
        ended = subprocess.run(
            [sys.executable, "-m", "nectar.cli", *arguments],
            cwd=self._directory,
            env={**os.environ, "NECTAR_DATA_DIR": str(self._home.data_dir)},
            check=False,
        )
        if ended.returncode != 0:
            raise NectarError(f"nectar {arguments[0]} failed with exit code {ended.returncode}.")

    def _show(self, line: str) -> None:
        self._output.data(f"$ {line}", style="bold")

    def _say(self, line: str) -> None:
        self._output.data()
        self._output.data(f"# {line}", style="dim")

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._directory))


def _remove(directory: Path) -> None:
    """Remove it, though a daemon whose launch was interrupted may be removing its own files at the same time."""
    end = time.monotonic() + ENDED_WITHIN
    while time.monotonic() < end:
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05)
    shutil.rmtree(directory)  # and say why it cannot be
