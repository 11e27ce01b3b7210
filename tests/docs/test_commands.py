"""The commands in every page that no test types, in blocks and in sentences: there is such a verb, such an option, such a session."""

from __future__ import annotations

import configparser
import itertools
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import click
import pytest

from nectar.cli.app import app
from nectar.cli.verbs import VERBS
from nectar.errors import UsageError
from tests.docs.blocks import PAGES, ROOT, blocks, languages, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")
SESSIONS = {*re.findall(r"^(?:@nox\.session.*\n(?:@.*\n)*def )?(\w+)\(", NOXFILE, re.MULTILINE)}
PLACEHOLDERS = ("…", "{")
OPERATORS = {"|", "&&", "&", ">"}
"""Of the shell: what stands behind them is another command, or a file."""


def check(words: list[str]) -> None:
    """:raises click.UsageError: nectar would not take it. What is missing is no error: a sentence may name the verb alone."""
    verb = next((word for word in words if word in VERBS), None)
    if verb is None:  # `nectar --help`
        return
    command = app.get_command(click.Context(app), verb)
    assert command is not None
    try:
        command.make_context(verb, words[words.index(verb) + 1 :])
    except click.MissingParameter:
        pass


def lines(page: str) -> Iterator[str]:
    """The command lines of a page: of its blocks, whatever stands before or behind, and of its sentences."""
    for block in (*blocks(page, "bash"), *blocks(page, "ini"), *blocks(page, "dockerfile")):
        yield from block.replace("\\\n", " ").replace("%i", "flowers").splitlines()
    yield from (span for span in spans(page) if span.startswith(("nectar ", "nox ")))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one(page: str) -> None:
    for line in lines(page):
        if any(placeholder in line for placeholder in PLACEHOLDERS):
            continue
        words = shlex.split(line, comments=True)
        names = [word.rpartition("/")[2] for word in words]
        try:
            if "nectar" in names:
                check([*itertools.takewhile(lambda word: word not in OPERATORS, words[names.index("nectar") + 1 :])])
        except (click.UsageError, UsageError) as error:
            pytest.fail(f"{page}: {line}\n{error}")
        if "nox" in names and "-s" in words:
            assert words[words.index("-s") + 1].partition("(")[0] in SESSIONS, line


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_of_a_kind_that_is_tried(page: str) -> None:
    tried = {"bash", "console", "dockerfile", "ini", "json", "python", "toml", "yaml", "{toctree}", "{eval-rst}"}
    assert languages(page) - tried <= ({""} if page in ("ARCHITECTURE.md", "CONTRIBUTING.md") else set())


@pytest.mark.parametrize("page", [page for page in PAGES if "bash" in languages(page)])
def test_a_shell_could_read_it(page: str) -> None:
    for block in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True, timeout=60)


def test_the_unit_of_systemd_is_whole() -> None:
    (unit,) = blocks("docs/security.md", "ini")
    parser = configparser.ConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit)
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_what_kubernetes_runs_is_what_the_image_has() -> None:
    yaml = pytest.importorskip("yaml")  # Dask needs it
    (image,), (deployment,) = blocks("docs/scaling.md", "dockerfile"), blocks("docs/scaling.md", "yaml")
    template = yaml.safe_load(deployment)["spec"]["template"]
    (container,) = template["spec"]["containers"]
    variable, path = container["env"][0]["name"], container["command"][1]
    run = next(line for line in image.replace("\\\n", " ").splitlines() if "nectar worker" in line)
    assert f"--host '${variable}' --print > {path}" in run
    (mount,), (volume,) = container["volumeMounts"], template["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    assert f"{mount['mountPath']}/ca.pem" in run
    assert template["metadata"]["labels"] == yaml.safe_load(deployment)["spec"]["selector"]["matchLabels"]
