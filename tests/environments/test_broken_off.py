"""A build that is killed, interrupted, or runs out of disk leaves nothing that passes as an environment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.locks import is_free
from nectar.manage.environment import build_directory, drift
from tests.environments.workbench import Bench, run, write
from tests.soak.table import portion

pytestmark = pytest.mark.uv

PATIENCE = 60.0
LAUNCH = """
import resource, sys
from nectar.home import Home
from nectar.manage.environment import store
from nectar.manage.source import source
limit = int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
found = store.provide(Home.at(sys.argv[1]), source.open_source(sys.argv[2]), report=lambda line: print(line, flush=True))
print("key", found.key)
"""
SLOW = """
import pathlib, time

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    pathlib.Path({begun!r}).touch()
    for _ in range(600):
        if pathlib.Path({go!r}).exists():
            break
        time.sleep(0.1)
    import zipfile
    name = "demo-1.0-py3-none-any.whl"
    files = {{
        "demo/__init__.py": "def answer(c): return 1\\n",
        "demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n",
        "demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "demo-1.0.dist-info/entry_points.txt": "[nectar.handlers]\\ndemo = demo:answer\\n",
    }}
    record = "".join(f"{{each}},,\\n" for each in files) + "demo-1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as archive:
        for each, content in {{**files, "demo-1.0.dist-info/RECORD": record}}.items():
            archive.writestr(each, content)
    return name
"""


def launch(bench: Bench, project: Path, limit: int = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", LAUNCH, str(bench.home.data_dir), str(project), str(limit)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture
def slow(bench: Bench) -> Path:
    """A project whose build waits for a file ``go`` beside it, having made ``begun``."""
    project = bench.project(build='[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n')
    write(project / "slow.py", SLOW.format(begun=str(bench.directory / "begun"), go=str(bench.directory / "go")))
    bench.lock(project)
    return project


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    return output


def processes(directory: Path) -> dict[int, str]:
    """The processes whose command lines know a directory."""
    if Path("/proc/self/cmdline").exists():
        listed = {}
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                listed[int(place.parent.name)] = place.read_text(errors="replace").replace("\0", " ")
    else:
        lines = subprocess.run(
            ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        listed = {int(line.split()[0]): line.strip().partition(" ")[2] for line in lines}
    return {pid: command for pid, command in listed.items() if str(directory) in command}


def swept(bench: Bench) -> None:
    """Wait until what outlived a kill has ended, and have it swept as the next build would."""

    def done() -> bool:
        build_directory.sweep(bench.home)
        return not any(name.startswith(".") for name in bench.built())

    wait(done)


def test_an_interrupt_ends_uv_and_the_backend(bench: Bench, slow: Path) -> None:
    process = launch(bench, slow)
    wait((bench.directory / "begun").exists)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in ended(process)
    assert bench.built() == []
    wait(lambda: not processes(bench.home.envs))
    (bench.directory / "go").touch()
    assert bench.provide(slow).marker.entries


def test_a_killed_launch_and_the_uv_that_outlives_it(bench: Bench, slow: Path) -> None:
    process = launch(bench, slow)
    wait((bench.directory / "begun").exists)
    process.kill()
    ended(process)
    (left,) = (bench.home.envs / name for name in bench.built())
    assert not is_free(left / "lock"), "the uv that goes on holds it"
    (bench.directory / "go").touch()
    found = bench.provide(slow)
    assert run(found, "import demo; print(demo.answer(0))") == "1"
    swept(bench)
    assert not left.exists()


def test_two_commands_at_once(bench: Bench, slow: Path) -> None:
    first = launch(bench, slow)
    wait((bench.directory / "begun").exists)
    second = launch(bench, slow)
    assert second.stdout is not None
    assert "waiting for it" in second.stdout.readline()
    (bench.directory / "go").touch()
    one, other = ended(first), ended(second)
    assert one.splitlines()[-1] == other.splitlines()[-1]
    assert "+ demo" in one
    assert "+ demo" not in other


def test_a_killed_builder_lets_the_next_one_build(bench: Bench, slow: Path) -> None:
    first = launch(bench, slow)
    wait((bench.directory / "begun").exists)
    second = launch(bench, slow)
    assert second.stdout is not None
    second.stdout.readline()
    first.kill()
    ended(first)
    (bench.directory / "go").touch()
    assert "+ demo" in ended(second)
    swept(bench)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("killed", ["the command", "uv"])
def test_two_hundred_kills(bench: Bench, killed: str) -> None:
    """Kill builds at different moments; after each the next one must work, and at the end every environment be whole.

    The two kinds try the same.
    """
    project = bench.project(dependencies=("click", "six"))
    bench.provide(project)  # its dependencies are resolved and in the cache
    moments = random.Random(4)
    for count in range(portion(100, shared=True)):
        write(project / "src" / "demo" / "__init__.py", f"def answer(c): return {count}\n")
        process = launch(bench, project)
        time.sleep(moments.uniform(0.05, 0.6))  # nothing waits for this
        if killed == "uv":
            for pid in [pid for pid, command in processes(bench.home.envs).items() if "/uv " in command]:
                _kill(pid)
        else:
            process.kill()
        ended(process)
        found = bench.provide(project)
        assert run(found, "import demo; print(demo.answer(0))") == str(count)
        assert drift.check(bench.home, found.key) == []
    swept(bench)
    for name in bench.built():
        assert drift.check(bench.home, name) == []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_a_disk_that_takes_no_more(bench: Bench, slow: Path) -> None:
    with (slow / "src" / "demo" / "data.bin").open("wb") as stream:
        stream.truncate(300_000)
    (bench.directory / "go").touch()
    said = ended(launch(bench, slow, limit=100_000))
    assert "EnvironmentFailedError: The environment could not be built: File too large." in said
    assert bench.built() == []
    assert bench.provide(slow).marker.entries


def test_what_uv_installed_is_checked(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2",))
    found = bench.provide(project)
    assert drift.check(bench.home, found.key) == []
    module = next(found.path.glob("lib/*/site-packages/click/core.py"))
    content = module.read_bytes()
    module.unlink()
    module.write_bytes(content.replace(b"import", b"export", 1))
    assert drift.check(bench.home, found.key) == ["click: click/core.py has another content"]
    module.unlink()
    assert drift.check(bench.home, found.key) == ["click: click/core.py is missing"]
    (found.path / "nectar.json").unlink()
    assert bench.find(project) is None
    assert drift.check(bench.home, bench.provide(project).key) == []


def test_a_wrong_hash_in_the_lock(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2",))
    lock = bench.lock(project)
    write(lock, lock.read_text().replace("sha256:dacca89f", "sha256:00000000"))
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(project)
    assert "Hash mismatch" in (failed.value.detail or "")
    assert bench.built() == []


@pytest.mark.parametrize("columns", ["", "20", "80"])
def test_a_lock_that_is_not_the_project_s(bench: Bench, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)  # by which uv breaks its lines
    project = bench.project(dependencies=("click==7.1.2",))
    lock = bench.lock(project)
    before = lock.read_bytes()
    write(project / "pyproject.toml", (project / "pyproject.toml").read_text().replace("click==7.1.2", "click==8.1.7"))
    with pytest.raises(EnvironmentFailedError, match="The lock does not match the project") as refused:
        bench.provide(project)
    assert refused.value.hint == f"uv lock --project {project}"
    assert lock.read_bytes() == before


def test_a_kept_lock_that_no_longer_fits_is_mended(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2",))
    bench.provide(project)
    (kept,) = bench.home.resolutions.glob("*.lock")
    write(kept, kept.read_text().replace('specifier = "==7.1.2"', 'specifier = "==7.1.1"'))
    assert bench.provide(project).marker.entries
    assert "7.1.1" not in kept.read_text()
