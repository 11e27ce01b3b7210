"""What becomes of tests that run side by side: all of them are told of, also where a process ends of one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import until

pytestmark = pytest.mark.once
pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from tests import side_by_side

def pytest_addoption(parser):
    parser.addoption("--side-by-side", type=int)

@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    side_by_side.run(session, session.config.option.side_by_side, lambda: None)
    return True
"""
TESTS = """
import os, signal, time, warnings
import pytest

@pytest.fixture(scope="module")
def torn_down():
    yield
    raise OSError("torn down")

@pytest.mark.parametrize("number", range(8))
def test_ends(number):
    print("said", number, flush=True)
    os.system(f"echo called {number}")
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        os._exit(0)
    assert number != 6

@pytest.mark.timeout(0.2)
def test_late():
    time.sleep(60)

def test_warns(torn_down, tmp_path):
    assert tmp_path.parent.name.startswith("process")
    warnings.warn("meant")
"""


def test_all_is_told_whatever_becomes_of_a_process(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--side-by-side", "2")
    ended.assert_outcomes(passed=6, failed=4, errors=1, warnings=1)
    said = ended.stdout.str()
    for number, end in ((2, "SIGKILL"), (4, "exit code 0")):
        assert re.search(rf"_ test_ends\[{number}\] _+\nthe process that ran it ended with {end}\n", said)
    assert "said 6\ncalled 6\n" in said
    assert "called 5" not in said
    assert "OSError: torn down" in said
    assert "UserWarning: meant" in said
    assert "Timeout" in said


def test_a_process_that_cannot_go_on_ends_all(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest(CONFTEST.replace("None)", "1 / 0)"))
    pytester.makepyfile("def test_it(): pass")
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--side-by-side", "2")
    assert "between two tests, the process that ran it ended with exit code 1" in ended.stdout.str()
    assert "ZeroDivisionError" in ended.stderr.str()
    assert ended.ret != 0


SLOW = """
import os, pathlib, time
import pytest

@pytest.fixture(scope="module")
def torn_down():
    yield
    time.sleep(0.3)
    pathlib.Path(f"torn down {os.getpid()}").touch()

@pytest.mark.parametrize("number", range(2))
def test_is_interrupted(torn_down, number):
    pathlib.Path(f"begun {os.getpid()}").touch()
    time.sleep(60)
"""


def test_an_interrupt_lets_each_process_tear_down(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a terminal: all have it at once."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(SLOW)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--side-by-side", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        until(lambda: len([*pytester.path.glob("begun *")]) == 2, "both run one")
        os.killpg(run.pid, signal.SIGINT)
    assert run.returncode == 2
    assert len([*pytester.path.glob("torn down *")]) == 2
