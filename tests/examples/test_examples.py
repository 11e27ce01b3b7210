"""Every example, launched as an operator would, and asked; and its own tests, and the template's, in the environment that an author has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.manage.uv.uv import find_uv
from nectar.testing.sample import sample
from tests import pythons
from tests.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WITH_TESTS = [*(folder.parent for folder in sorted(EXAMPLES.glob("*/tests"))), ROOT / "handlers-template"]
LEFT_OUT = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache", "uv.lock", "dist")


def newer() -> str:
    """Which Python an example that wants one after 3.11 is given."""
    return next((version for version in ("3.13", "3.12") if pythons.find(version)), "3.12")


def ask(world: World, query: str, *, alias: str = "alice", **fields: Any) -> dict[str, Any]:
    """Ask as a node does, and return the answer."""
    question = sample(query, comp_id="q", **fields)
    (world.home.computations(alias) / "q.pending").write_bytes(question.to_json())
    return world.answer("q", alias=alias)


@pytest.fixture
def service() -> Iterator[str]:
    """The URL of a web service that scores each text 7."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"score": 7}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(Service) as place:
        yield f"http://{place}/"


@pytest.mark.parametrize("handler", WITH_TESTS, ids=[folder.name for folder in WITH_TESTS])
def test_its_own_tests_pass(world: World, shared: Path, handler: Path) -> None:
    folder = world.directory / "project"
    shutil.copytree(handler, folder, ignore=LEFT_OUT)
    # All are at one place, so that pytest is compiled for the first alone; what is their own is another's each time.
    compiled = shared / "compiled"
    for name in ("src", "tests"):
        shutil.rmtree(compiled / folder.relative_to("/") / name, ignore_errors=True)
    path = pythons.path_with(newer() if handler.name == "pins_new" else "3.11")
    world.run("dev", folder, env={"PATH": path})
    # What selects an environment or a Python here is not the author's.
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT"))
    }
    variables |= {"PATH": path, "PYTHONPYCACHEPREFIX": str(compiled)}
    command = [str(find_uv()), "run", "--directory", str(folder), "pytest", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", ["query_length", "single_file/query_length.py"])
def test_query_length(world: World, path: str) -> None:
    world.node()
    world.run("launch", EXAMPLES / path, "--attach", "alice")
    assert world.run("submit", "alice", "How many?").stdout == "9\n"


def test_sentiment_asks_the_service_that_the_launching_shell_names(world: World, service: str) -> None:
    world.node()
    world.run("launch", EXAMPLES / "sentiment", "--attach", "alice", env={"SENTIMENT_URL": service, "NO_PROXY": "127.0.0.1"})
    assert world.run("submit", "alice", "Hooray!").stdout == "7\n"


def test_full_context(world: World) -> None:
    world.node()
    world.run("launch", EXAMPLES / "full_context", "--attach", "alice")
    assert ask(world, "abc", targets=["alice", "bob"], metadata={"weight": 5})["result"] == {"value": 30}
    assert ask(world, "abc", proposer="alice", metadata={"own": ["alice"]})["result"] == {"value": 0}


def test_warm_model_is_loaded_once_and_looks_after_every_answer(world: World) -> None:
    world.node()
    world.run("launch", EXAMPLES / "warm_model", "--attach", "alice")
    for query, value in (("Good, great!", 5), ("awful", 0), ("fine", 1)):
        assert ask(world, query)["result"] == {"value": value}
    assert world.run("logs", "warm-model", "--no-follow").stdout.count("the model knows 7 words") == 1


def test_opposite_pins_run_side_by_side(world: World) -> None:
    path = pythons.path_with(newer(), "3.11")
    for example, alias in (("pins_old", "alice"), ("pins_new", "bob")):
        world.node(alias)
        world.run("launch", EXAMPLES / example, "--attach", alias, env={"PATH": path})
    assert {record["status"] for record in world.registry().values()} == {"running"}
    click, pluggy, pydantic, watchdog = _versions(ask(world, "abc", alias="bob"))
    assert click >= 0x82
    assert pluggy >= 0x16
    assert pydantic >= 0x2B
    assert watchdog >= 0x60
    assert _versions(ask(world, "abc", alias="alice")).hex(" ") == "71 0d 1a 21"


def _versions(answer: dict[str, Any]) -> bytes:
    value: int = answer["result"]["value"]
    return value.to_bytes(4, "big")
