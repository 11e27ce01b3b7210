"""Everything that is checked. Bare ``nox`` runs all of it but ``bench``, ``soak`` and ``walls`` (and ``quick``, which is a part of it), two
sessions at a time; ``nox -l`` lists it.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
WHEELS = ROOT / ".nox" / "dist"
SITE = ROOT / ".nox" / "site"
REPORTS = ROOT / ".nox" / "reports"
"""One JUnit file for each run of pytest; ``.ci/run`` adds them up."""

sys.path.insert(0, str(ROOT))
from nectar.testing.nox import handlers  # noqa: E402
from tests import pythons  # noqa: E402

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "lint", "types", "layers", "docs", "lowest", "elsewhere", "package"]
# Bare nox: what installs, compiles, checks types or waits for its last test leaves a processor idle. One that is named shows what it does.
nox.options.parallel = 2 if len(sys.argv) == 1 else 1
nox.options.allow_parallel = True

DEFAULT, MIDDLE, NEWEST = pythons.SUPPORTED
TEMPLATE = "handlers-template"
OF_VERSIONS = [
    *("tests/units", "tests/spool", "tests/manage", "tests/runtime"),
    *(f"tests/test_{name}.py" for name in ("computation", "hookspecs", "isolation", "marking", "node_fixture", "processes")),
    *(f"tests/test_{name}.py" for name in ("protocol", "settings", "testing", "worker_fixture")),
    *(f"tests/cli/test_{name}.py" for name in ("command_line", "logs", "new", "test", "view")),
    *(
        f"tests/environments/test_{name}.py"
        for name in ("artifacts", "extras", "origins", "packages", "passing", "pythons", "settings_of_uv", "single_files")
    ),
]
"""Tests of what an interpreter has a part in, or one of click, pluggy, tomli-w, uv and watchdog."""
OF_SYSTEM = [
    "tests/soak/test_kills.py::test_kills_at_random_moments",
    *("tests/runtime/test_life.py", "tests/runtime/test_answers.py"),
    "tests/soak/test_kills.py::test_kills_before_every_file_operation",
    *("tests/runtime/test_robbed.py", "tests/runtime/test_elsewhere.py::test_nothing_of_linux_is_used_there"),
    *(f"tests/test_{name}.py" for name in ("address", "features", "protocol")),
    *("tests/cli/test_stop.py", "tests/units/test_control.py", "tests/units/test_watcher.py", "tests/manage/test_authored.py"),
    *("tests/spool/test_links.py", "tests/spool/test_place.py"),
]
"""Tests of what the system has a part in, and that nothing is lost for it; one more, that there is really nothing of Linux.

The others beside that one take it away by themselves, wherever they run. The two that take longest are far from each other: side by side.
"""
IN_ONE_PROCESS = [
    *("tests/units", "tests/manage", "tests/spool", "tests/docs/test_architecture.py"),
    *(f"tests/test_{name}.py" for name in ("computation", "home", "marking", "protocol", "settings")),
]
"""Tests that start no process, or few."""
FEW = "--hypothesis-profile=few"
"""A fifth of the examples, where what is tried with all of them is tried once more on another Python."""
LEFT_OUT = shutil.ignore_patterns(".venv", ".nox", "__pycache__", ".*_cache", "uv.lock", "dist")

# Version managers hide their interpreters behind stand-ins; uv, wherever a session calls it, finds them like this.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *pythons.directories()])
# Where this is set, each of the processes that run tests would compile pytest, nectar and the tests by itself: 40 s of processor time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Ruff: its rules and its format."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=DEFAULT)
def types(session: nox.Session) -> None:
    """Mypy, strict; and pyright, as editors have it, on what an author writes. 2 s of processor time for the latter."""
    session.install("--group", "types", "--group", "pyright", "-e", ".")
    session.run("mypy")
    session.run("basedpyright", "--warnings")


@nox.session(python=DEFAULT)
def layers(session: nox.Session) -> None:
    """Which module may import which, and who may import which third party."""
    session.install("--group", "layers", "-e", ".")
    session.run("lint-imports", "--no-cache")


@nox.session(python=DEFAULT)
def docs(session: nox.Session) -> None:
    """The site, in .nox/site: each link leads somewhere, and each name in a docstring is one."""
    session.install("--group", "docs", "-e", ".")
    # -E: a page that is as before would warn of nothing.
    session.run("sphinx-build", "-E", "-q", "-W", "--keep-going", "-c", "docs", "-d", session.create_tmp(), ".", str(SITE))
    session.log(f"{SITE}/index.html")


@nox.session(python=DEFAULT)
def quick(session: nox.Session) -> None:
    """What one runs while working: lint, types, layers, and the tests that start no process."""
    session.install("--group", "dev", "-e", ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("mypy")
    run_pytest(session, "-m", "not soak", *IN_ONE_PROCESS)


@nox.session(python=DEFAULT)
def wheel(session: nox.Session) -> None:
    """Build the wheel that the others try, by way of the sdist."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(WHEELS), str(ROOT), silent=True)


@nox.session(python=DEFAULT, requires=["wheel"])
def tests(session: nox.Session) -> None:
    """All of the tests, with the wheel installed, and of the soak a tenth: each of its tests, with a tenth of its rounds, or half of that."""
    session.install("--group", "test", find_wheel())
    session.env["NECTAR_SOAK"] = "0.1"
    run_pytest(session, beside=7)


# Neither end of the bounds is tried with each Python: the oldest has the newest libraries, the newest the lowest.
@nox.session(python=NEWEST if pythons.find(NEWEST) else DEFAULT)
def lowest(session: nox.Session) -> None:
    """What a Python or a library has a part in, with the newest and the lowest, and the checkout installed as a developer has it."""
    session.install("--group", "test", "--resolution", "lowest-direct", "-e", ".")
    session.run("uv", "pip", "list")
    run_pytest(session, "-m", "not soak and not once", FEW, *OF_VERSIONS)


@nox.session(python=MIDDLE if pythons.find(MIDDLE) else DEFAULT, requires=["wheel"])
def elsewhere(session: nox.Session) -> None:
    """What the system has a part in, and a tenth of the kills, with nothing that Linux alone has: tests/elsewhere.py says what that is."""
    session.install("--group", "test", find_wheel())
    session.run("python", "-m", "tests.elsewhere")
    session.env["NECTAR_SOAK"] = "0.1"
    run_pytest(session, "-m", "not anywhere", FEW, *OF_SYSTEM)


@nox.session(python=DEFAULT, requires=["wheel"])
def package(session: nox.Session) -> None:
    """The wheel in an environment with nothing else: what it holds, and the demo, run from it."""
    session.install(find_wheel())
    held = {
        name.removeprefix("nectar/_template/")
        for name in zipfile.ZipFile(find_wheel()).namelist()
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
    for verb in ("dashboard", "metrics"):  # which say what to type where their libraries are not there
        session.run("nectar", verb, success_codes=[2])


@nox.session(python=DEFAULT, requires=["wheel"])
def soak(session: nox.Session) -> None:
    """All of the soak, and the table of what it reached."""
    session.install("--group", "test", find_wheel())
    session.env["NECTAR_SOAK"] = os.environ.get("NECTAR_SOAK", "1")
    run_pytest(session, "-m", "soak")


@nox.session(python=DEFAULT, requires=["wheel"])
def walls(session: nox.Session) -> None:
    """What a worker does and suffers, with every handler behind a wall, and a tenth of the soak, or as much as ``NECTAR_SOAK`` says."""
    session.install("--group", "test", find_wheel())
    session.env["NECTAR_SOAK"] = os.environ.get("NECTAR_SOAK", "0.1")
    session.env["NECTAR_SANDBOX"] = "1"
    run_pytest(session, "tests/runtime", "tests/hostile", "tests/soak")


@nox.session(python=DEFAULT, requires=["wheel"])
def bench(session: nox.Session) -> None:
    """Speeds, each beside something that is measured in the same run."""
    session.install(f"{find_wheel()}[sandbox]")
    session.run("python", "benchmarks/bench.py", *session.posargs, interrupt_timeout=30, terminate_timeout=10)


# What an author has for a repository of handlers, on our own. Not in bare nox, where tests/examples launch each of them and run its tests,
# at the same time as all others; these wait for each other.
handlers("examples", unasked=["async_httpx", "web_api"], data_dir=ROOT / ".nox" / "bee-hive")


def run_pytest(session: nox.Session, *arguments: str, beside: int = 3) -> None:
    """Run the project's tests: ten at a time on two cores, because many wait. With six, a fifth of the time nothing is done.

    :param beside: how many at a time where another session runs.

    Handlers get the same Python, unless a test asks for another: uv takes the first that it finds.
    """
    session.env[pythons.VARIABLE] = os.pathsep.join(pythons.directories())
    if isinstance(session.python, str) and (python := pythons.find(session.python)):
        session.env["PATH"] = os.pathsep.join([session.bin, str(python.parent), os.environ.get("PATH", os.defpath)])
    # What is compiled by one process is compiled once, and ten that begin at the same moment would compile it ten times: 25 s of processor.
    session.run("python", "-m", "pytest", "--collect-only", "-qq", *arguments, *session.posargs, silent=True, success_codes=[0, 5])
    at_a_time = ["-n", str(beside if session.parallel else 10), "--dist", "worksteal"]
    session.run("python", "-m", "pytest", *at_a_time, *report(session), *arguments, *session.posargs)


def report(session: nox.Session) -> list[str]:
    """The option with which pytest leaves its counts for ``.ci/run``."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in session.name).strip("-")
    return ["--junitxml", str(REPORTS / f"{name}.xml")]


def find_wheel() -> str:
    """The path of what the session ``wheel`` has built."""
    (found,) = WHEELS.glob("*.whl")
    return str(found)
