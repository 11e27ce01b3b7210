"""A node in tests: a handler that is launched by the command in its own environment, and of which nothing is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nectar
from nectar.errors import NectarError
from nectar.testing import AnswerError, computation, node
from nectar.testing.nodes import DATA_DIRS
from tests import pythons
from tests.world import processes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

pytest_plugins = ["pytester"]

HANDLER = """
    import os
    import pathlib
    import time

    import nectar

    @nectar.handler
    def answer(comp):
        print("asked:", os.environ.get("GIVEN"))
        if comp.query == "bad":
            raise ValueError("too bad")
        if comp.query == "long":
            pathlib.Path("asked").touch()
            time.sleep(600)
        return len(comp.query) * 2
    """
SLOW = """
    import pathlib
    import time

    import nectar

    pathlib.Path("asked").touch()
    time.sleep(50)

    @nectar.handler
    def answer(comp):
        return 1
    """
TESTS = """
    import pytest

    pytestmark = pytest.mark.nectar(project="handler.py")

    @pytest.mark.parametrize("number", range(4))
    def test_asking(node, number):
        assert "asked:" not in node.log
        assert node.ask("a" * number) == 2 * number
        assert node.log.count("asked:") == 1

    def test_failing(node):
        node.ask("bad")

    def test_where(node):
        raise LookupError(f"in {node._home.data_dir.name}")

    @pytest.mark.nectar(project="nothing.py")
    @pytest.mark.parametrize("number", range(2))
    def test_nothing(node, number): ...
    """


@pytest.fixture
def temporary(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where processes that are started meanwhile have their temporary files."""
    directory = world.directory / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setenv("PATH", pythons.path_with(f"3.{sys.version_info.minor}"))
    yield directory
    assert not list(directory.glob("nectar-node-*"))


@pytest.mark.uv
def test_asking_a_launched_handler(world: World, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.file("handler.py", HANDLER)
    monkeypatch.setenv("NECTAR_DASK_ADDRESS", "127.0.0.1:1")
    with node(project=file, options=["--env", "GIVEN=one"]) as launched:
        assert launched.ask("abc") == 6
        assert launched.log.count("asked: one\n") == 1  # as soon as it is answered
        assert launched.ask_all(["", "a", computation("ab", comp_id="mine")]) == [0, 2, 4]
        assert " mine: asked: one\n" in launched.log
        with pytest.raises(AnswerError, match="error: ValueError: too bad") as raised:
            launched.ask_all(["a", "bad"])
        assert raised.value.result.status == "error"
        assert 'raise ValueError("too bad")' in "".join(raised.value.__notes__)
        result = launched.submit(computation("long", deadline=0.2))
        assert (result.status, result.value) == ("timeout", None)
        launched.begin()
        assert launched.log == ""
        assert "127.0.0.1:1" not in launched._read_log(0)
    world.file("broken.py", "import nothing_such")
    with pytest.raises(NectarError) as failed, node(project=world.directory / "broken.py"):
        pass
    assert "No module named 'nothing_such'" in "".join(failed.value.__notes__)
    DATA_DIRS.close()
    assert not DATA_DIRS.path.exists()
    assert not processes(DATA_DIRS.path)


@pytest.mark.uv
@pytest.mark.once
def test_one_data_dir_for_all_processes_of_a_run(world: World, temporary: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(handler=HANDLER, test_it=TESTS)
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "xdist", "-n", "2", "--dist", "each")
    ended.assert_outcomes(passed=8, failed=4, errors=4)
    text = ended.stdout.str()
    assert text.count("AnswerError: error: ValueError: too bad") >= 2
    assert "There is nothing at this path." in text
    assert "keeper.py" not in text
    assert "ask_all" not in text
    assert len({*re.findall(r"in nectar-node-(\w+)", text)}) == 1
    assert "During handling" not in text


@pytest.mark.uv
@pytest.mark.once
@pytest.mark.parametrize(("number", "handler"), [(signal.SIGKILL, HANDLER), (signal.SIGINT, SLOW)], ids=["killed", "interrupted"])
def test_nothing_is_left_of_a_run_that_is_ended(world: World, temporary: Path, number: signal.Signals, handler: str) -> None:
    world.file("handler.py", handler)
    world.file("test_it.py", "import pytest\n@pytest.mark.nectar(project='handler.py')\ndef test(node): node.ask('long')\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "test_it.py"]
    with subprocess.Popen(command, cwd=world.directory, stdout=subprocess.PIPE, start_new_session=True) as run:
        until((world.directory / "asked").exists, "the handler's code runs")
        assert processes(temporary)
        os.killpg(run.pid, number)
    if number == signal.SIGINT:
        assert not [line for line in processes(temporary).values() if "keeper.py" in line]
    until(lambda: not processes(temporary) and not list(temporary.glob("nectar-node-*")), "nothing is left")


FIND = """
import sys, sysconfig
api, packages = sys.argv[1:]
sys.path.append(api)
sysconfig.get_path = lambda _name: packages
from nectar.api.command import find_command
from nectar.errors import NotFoundError
try:
    print(*find_command())
except NotFoundError as error:
    print(error)
"""


@pytest.mark.once
def test_where_the_command_is(tmp_path: Path) -> None:
    api, packages, programs = (tmp_path / name for name in ("api", "packages", "programs"))
    shutil.copytree(Path(nectar.__file__).parent, api / "nectar", ignore=shutil.ignore_patterns("cli", "manage", "__pycache__"))
    packages.mkdir()
    programs.mkdir()
    command = [sys.executable, "-I", "-S", "-B", "-c", FIND, str(api), str(packages)]

    def found() -> str:
        return subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, check=True, timeout=60).stdout

    assert found().startswith("There is no command nectar")
    program = programs / "nectar"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert found() == f"{program}\n"
    (packages / "nectar-dev.pth").write_text(f"{api}\n# nectar: {tmp_path / 'gone'}\n")
    assert found() == f"{program}\n"
    (packages / "nectar-dev.pth").write_text(f"{api}\n# nectar: {sys.executable}\n")
    assert found() == f"{sys.executable} -P -m nectar\n"
