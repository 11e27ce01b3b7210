"""Everything that is checked. Bare ``nox`` runs all of it but ``bench`` and ``soak`` (and ``quick``, which is a part of it); ``nox -l`` lists it."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

import nox
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent
REPORTS = ROOT / ".nox" / "reports"
"""One JUnit file for each run of pytest; ``.ci/run`` adds them up."""

sys.path.insert(0, str(ROOT))
from tests import pythons  # noqa: E402

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "layers", "tests", "short_soak", "lowest", "examples", "package"]

DEFAULT, *OTHERS = pythons.SUPPORTED
TEMPLATE = "handlers-template"
HANDLERS = [str(folder.relative_to(ROOT)) for folder in sorted((ROOT / "examples").iterdir()) if any(folder.iterdir())] + [TEMPLATE]
BUILT: list[Path] = []
OF_LIBRARIES = [
    *("tests/environments", "tests/manage", "tests/test_hookspecs.py", "tests/test_testing.py", "tests/test_isolation.py"),
    *(f"tests/cli/test_{name}.py" for name in ("command_line", "launch", "new", "test", "view", "submit", "logs", "restart")),
    *(f"tests/runtime/test_{name}.py" for name in ("hooks", "life", "answers")),
]
"""Tests of what click, pluggy, tomli-w, uv and watchdog have a part in."""
IN_ONE_PROCESS = [
    *("tests/units", "tests/manage", "tests/spool", "tests/docs/test_architecture.py"),
    *(f"tests/test_{name}.py" for name in ("computation", "home", "marking", "protocol", "settings")),
    *(f"tests/runtime/test_{name}.py" for name in ("age", "loop", "oddities", "pool", "scans")),
]
"""Tests that start no process, or few."""
LEFT_OUT = shutil.ignore_patterns(".venv", ".nox", "__pycache__", ".*_cache", "uv.lock", "dist")

# Version managers hide their interpreters behind stand-ins; uv, wherever a session calls it, finds them like this.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *pythons.directories()])


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Ruff: its rules and its format."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=DEFAULT)
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("--group", "types", "-e", ".")
    session.run("mypy")


@nox.session(python=DEFAULT)
def layers(session: nox.Session) -> None:
    """Which module may import which, and who may import which third party."""
    session.install("--group", "layers", "-e", ".")
    session.run("lint-imports", "--no-cache")


@nox.session(python=DEFAULT)
def quick(session: nox.Session) -> None:
    """What one runs while working: lint, types, layers, and the tests that start no process."""
    session.install("--group", "dev", "-e", ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("mypy")
    run_pytest(session, "-m", "not soak", *IN_ONE_PROCESS)


@nox.session(python=[DEFAULT, *OTHERS])
def tests(session: nox.Session) -> None:
    """The tests, with the wheel installed.

    What builds environments with uv is the same on each Python, as is what the daemon's surroundings do to it, and runs on one.
    """
    session.install("--group", "test", wheel(session))
    run_pytest(session, "-m", "not soak" if session.python == DEFAULT else "not soak and not uv and not once")


@nox.session(python=DEFAULT)
def lowest(session: nox.Session) -> None:
    """What a library has a part in, with the lowest versions that the bounds allow, and the checkout installed as a developer has it."""
    session.install("--group", "test", "--resolution", "lowest-direct", "-e", ".")
    session.run("uv", "pip", "list")
    run_pytest(session, "-m", "not soak and not once", *OF_LIBRARIES)


@nox.session(python=DEFAULT)
@nox.parametrize("handler", HANDLERS, ids=[Path(handler).name for handler in HANDLERS])
def examples(session: nox.Session, handler: str) -> None:
    """One handler's own tests, in the environment that its author would have."""
    session.install(wheel(session))
    folder = Path(session.create_tmp()) / Path(handler).name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / handler, folder, ignore=LEFT_OUT)
    data_dir = folder.with_name("data")
    if not (folder / "pyproject.toml").exists():
        for file in folder.glob("*.py"):
            session.run("nectar", "--data-dir", str(data_dir), "test", str(file))
        return
    wanted = SpecifierSet(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["requires-python"])
    if not any(pythons.find(version) for version in pythons.SUPPORTED if f"{version}.99" in wanted):
        session.skip(f"no Python here is {wanted}")
    session.run("nectar", "--data-dir", str(data_dir), "dev", str(folder))
    without = dict.fromkeys(("VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT"))  # nox's, which are not the author's
    session.run("uv", "run", "--directory", str(folder), "pytest", *report(session), env=without)


@nox.session(python=DEFAULT)
def package(session: nox.Session) -> None:
    """The wheel in an environment with nothing else: what it holds, and the demo, run from it."""
    session.install(wheel(session))
    held = {
        name.removeprefix("nectar/_template/")
        for name in zipfile.ZipFile(wheel(session)).namelist()
        if name.startswith("nectar/_template/")
    }
    copy = Path(session.create_tmp()) / "template"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / TEMPLATE, copy, ignore=LEFT_OUT)
    wanted = {str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file()}
    if held != wanted:
        session.error(f"the wheel's template and {TEMPLATE}/ differ in {sorted(held ^ wanted)}")
    session.chdir(session.create_tmp())
    session.run("nectar", "demo")


@nox.session(python=DEFAULT)
def soak(session: nox.Session) -> None:
    """All of the soak, and the table of what it reached."""
    run_soak(session, os.environ.get("NECTAR_SOAK", "1"))


@nox.session(python=DEFAULT)
def short_soak(session: nox.Session) -> None:
    """A tenth of the soak: each of its tests, with a tenth of its rounds."""
    run_soak(session, "0.1")


@nox.session(python=DEFAULT)
def bench(session: nox.Session) -> None:
    """Speeds, each beside something that is measured in the same run."""
    session.install(wheel(session))
    session.run("python", "benchmarks/environments.py")


def run_soak(session: nox.Session, fraction: str) -> None:
    """Run the tests that break things.

    :param fraction: how much of each, from 0 to 1.
    """
    session.install("--group", "test", wheel(session))
    session.env["NECTAR_SOAK"] = fraction
    run_pytest(session, "-m", "soak")


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run the project's tests: three at a time on two cores, because many wait."""
    session.env[pythons.VARIABLE] = os.pathsep.join(pythons.directories())
    session.run("python", "-m", "pytest", "-n", "3", "--dist", "worksteal", *report(session), *arguments, *session.posargs)


def report(session: nox.Session) -> list[str]:
    """The option with which pytest leaves its counts for ``.ci/run``."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in session.name).strip("-")
    return ["--junitxml", str(REPORTS / f"{name}.xml")]


def wheel(session: nox.Session) -> str:
    """The path of the wheel, which the first session that wants it builds, by way of the sdist."""
    if not BUILT:
        directory = ROOT / ".nox" / "dist"
        shutil.rmtree(directory, ignore_errors=True)
        session.run("uv", "build", "--quiet", "--out-dir", str(directory), str(ROOT), silent=True)
        BUILT.extend(directory.glob("*.whl"))
    return str(BUILT[0])
