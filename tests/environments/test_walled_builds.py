"""What others say runs for a build runs behind a wall, or with ``--no-build`` not at all; what is installed is the same."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import socket
import subprocess
import tarfile
import tomllib
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from nectar.errors import ConflictError, EnvironmentFailedError
from nectar.manage.environment import store
from nectar.manage.environment.locking import LockMismatchError
from nectar.manage.source.source import open_source, recall
from nectar.manage.wall.grants import Grants
from nectar.manage.wheels.fetching import fetch
from tests import needs
from tests.environments.workbench import Bench, installed, run, uv, write
from tests.web import serving

pytestmark = [pytest.mark.uv, pytest.mark.once]

BACKEND = """
import os, zipfile

NAME, REQUIRES, TRIES = {fields!r}
INFO = f"{{NAME}}-2.5.dist-info"


def attempt(code):
    try:
        eval(code)
        return "done"
    except Exception as error:
        return type(error).__name__


def files():
    requires = "".join(f"Requires-Dist: {{each}}\\n" for each in REQUIRES)
    yield f"{{INFO}}/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: 2.5\\nProvides-Extra: more\\n{{requires}}"
    yield f"{{INFO}}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    yield f"{{INFO}}/entry_points.txt", f"[nectar.handlers]\\nx = {{NAME}}:answer\\n"


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    os.mkdir(os.path.join(directory, INFO))
    for name, text in files():
        with open(os.path.join(directory, name), "w") as stream:
            stream.write(text)
    return INFO


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(directory, config_settings=None, metadata_directory=None):
    seen = {{name: attempt(code) for name, code in TRIES.items()}}
    wheel = f"{{NAME}}-2.5-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as archive:
        for name, text in [*files(), (f"{{NAME}}.py", f"seen = {{seen!r}}\\n")]:
            archive.writestr(name, text)
        archive.writestr(f"{{INFO}}/RECORD", "".join(f"{{name}},,\\n" for name in [*archive.namelist(), f"{{INFO}}/RECORD"]))
    return wheel
"""
TRIES = {
    "read the home": "open({home!r} + '/.ssh/id')",
    "look into the data dir": "os.listdir({data!r} + '/nectar/envs/.locks')",
    "list the cache of uv": "os.listdir({cache!r})",
    "write beside": "open({beside!r} + '/taken', 'w')",
    "write to the system": "open('/usr/lib/taken', 'w')",
    "find a process": "os.kill({pid}, 0)",
    "call a service": "__import__('socket').create_connection(('127.0.0.1', {port}), 5)",
    "know an index": "os.environ['UV_INDEX_URL']",
    "know a secret": "os.environ['SECRET_TOKEN']",
}


def built_by_itself(
    place: Path, *, requires: tuple[str, ...] = (), tries: dict[str, str] | None = None, more: str = "", version: str | None = None
) -> Path:
    """A project with a backend of its own in it, which alone knows what it needs."""
    dynamic = ["dependencies", "optional-dependencies", "entry-points", *([] if version else ["version"])]
    said = f'version = "{version}"\n' if version else ""
    write(
        place / "pyproject.toml",
        f'[project]\nname = "{place.name}"\nrequires-python = ">=3.11"\ndynamic = {dynamic}\n{said}'
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n{more}',
    )
    write(place / "backend.py", BACKEND.format(fields=(place.name, requires, tries or {})))
    return place


@needs.wall
@pytest.mark.parametrize("walled", [True, False])
def test_what_a_build_can_reach(bench: Bench, walled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    home, beside, cache = (bench.directory / name for name in ("home", "beside", "cache"))
    write(home / ".ssh" / "id", "secret")
    beside.mkdir()
    cache.mkdir()
    for name, value in {
        "HOME": str(home),
        "UV_CACHE_DIR": str(cache),
        "UV_INDEX_URL": "http://127.0.0.1:9/",
        "SECRET_TOKEN": "x",
    }.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as service:
        places = {"home": str(home), "data": str(bench.home.data_dir), "cache": str(cache), "beside": str(beside)}
        tries = {name: each.format(**places, pid=os.getpid(), port=service.getsockname()[1]) for name, each in TRIES.items()}
        found = bench.provide(built_by_itself(bench.directory / "demo", tries=tries), walled=walled)
    seen = ast.literal_eval(run(found, "import demo; print(demo.seen)"))
    reached = {name for name, outcome in seen.items() if outcome == "done"}
    assert reached == (set() if walled else {*TRIES} - {"know a secret"})
    assert installed(found) == {"demo": "2.5"}
    (Path("/usr/lib/taken")).unlink(missing_ok=True)


@needs.wall
def test_what_only_builds_know_is_resolved_as_without_a_wall(bench: Bench) -> None:
    built_by_itself(bench.directory / "space" / "near", requires=("idna",))
    more = '[tool.uv.sources]\nnear = { workspace = true }\n[tool.uv.workspace]\nmembers = ["near"]\n'
    project = built_by_itself(
        bench.directory / "space", requires=("near", 'six; extra == "more"', "click; python_version < '3'"), more=more
    )
    found = bench.provide(project, chosen=("more",), walled=True)
    assert installed(found).keys() == {"space", "near", "idna", "six"}
    (kept,) = bench.home.resolutions.glob("*.lock")
    bench.lock(project)
    assert tomllib.loads(kept.read_text()) == tomllib.loads((project / "uv.lock").read_text())


@needs.wall
def test_a_lock_that_is_not_the_projects_is_refused(bench: Bench) -> None:
    project = built_by_itself(bench.directory / "demo", requires=("idna",))
    bench.lock(project)
    assert installed(bench.provide(project, walled=True)).keys() == {"demo", "idna"}
    built_by_itself(project, requires=("idna", "six"))
    with pytest.raises(LockMismatchError, match="The lock does not match the project"):
        bench.provide(project, walled=True)


def pack(bench: Bench, *, told: bool = True) -> Path:
    """An index with one sdist.

    :param told: whether that says without a build what it needs.
    """
    place = built_by_itself(bench.directory / "sdist", version="2.5", requires=("idna",))
    write(place / "backend.py", f"{leave_a_trace(bench)}\n{(place / 'backend.py').read_text()}")
    requires = "Requires-Dist: idna\n" if told else "Dynamic: Requires-Dist\n"
    write(place / "PKG-INFO", f"Metadata-Version: 2.2\nName: sdist\nVersion: 2.5\n{requires}")
    index = bench.directory / "index"
    index.mkdir()
    with tarfile.open(index / "sdist-2.5.tar.gz", "w:gz") as archive:
        archive.add(place, "sdist-2.5")
    return index


def leave_a_trace(bench: Bench) -> str:
    """Code that leaves a file beside the data dir, where it can."""
    return f"try:\n    open({str(bench.directory / 'ran')!r}, 'w')\nexcept OSError:\n    pass\n"


@needs.wall
def test_what_comes_from_git_is_built_behind_the_wall(bench: Bench) -> None:
    place = built_by_itself(bench.directory / "near" / "below" / "cloned", requires=("idna",))
    write(place / "backend.py", f"{leave_a_trace(bench)}{(place / 'backend.py').read_text()}")
    commit(bench.directory / "near")
    source = f'{{ git = "file://{bench.directory}/near", subdirectory = "below/cloned" }}'
    project = bench.project(dependencies=("cloned",), more=f"[tool.uv.sources]\ncloned = {source}\n")
    alone = open_source(project).behind(Grants())
    with pytest.raises(ConflictError, match=f"is not granted to the handler: {bench.directory}/near"):
        store.provide(bench.home, alone, report=lambda _: None, walled=True)
    assert installed(bench.provide(project, walled=True)).keys() == {"demo", "cloned", "idna"}
    assert not (bench.directory / "ran").exists()
    (kept,) = bench.home.resolutions.glob("*.lock")
    lock = bench.lock(project)
    assert tomllib.loads(kept.read_text()) == tomllib.loads(lock.read_text())
    write(lock, lock.read_text().replace('git = "file://', 'git = "ssh://host'))
    write(project / "pyproject.toml", (project / "pyproject.toml").read_text().replace("file://", "ssh://host"))
    with pytest.raises(EnvironmentFailedError, match="The source of cloned cannot be fetched to be built: only by https"):
        bench.provide(project, walled=True)


ASK_GIT = "__import__('subprocess').run(['git', *{arguments!r}], check=True, capture_output=True, text=True).stdout"


@needs.wall
def test_a_version_that_comes_from_git_does_without_the_rest_of_its_history(bench: Bench) -> None:
    tries = {
        "describe": f"__import__('re').fullmatch('v2.5-1-g[0-9a-f]+', {ASK_GIT.format(arguments=['describe', '--tags', '--dirty'])}.strip()).group()",
        "read": ASK_GIT.format(arguments=["cat-file", "-p", "HEAD:backend.py"]),
        "read what was": ASK_GIT.format(arguments=["cat-file", "-p", "v2.5:secret"]),
    }
    place = built_by_itself(bench.directory / "demo", tries=tries)
    write(
        place / "pyproject.toml",
        (place / "pyproject.toml").read_text().replace("requires = []", 'requires = ["setuptools-scm>=8"]'),
    )
    write(place / "secret", "secret")
    commit(place, "tag", "v2.5")
    (place / "secret").unlink()
    commit(place)
    seen = ast.literal_eval(run(bench.provide(place, walled=True), "import demo; print(demo.seen)"))
    assert seen == {"describe": "done", "read": "CalledProcessError", "read what was": "CalledProcessError"}


def commit(place: Path, *afterwards: str) -> None:
    author = ("-c", "user.name=x", "-c", "user.email=x@x")
    for arguments in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "x"], [*afterwards] or ["status"]):
        subprocess.run(["git", *arguments], cwd=place, check=True, stdout=subprocess.DEVNULL)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@needs.wall
def test_what_has_no_wheel_is_built_from_what_the_lock_names(bench: Bench) -> None:
    with serving(functools.partial(Quiet, directory=pack(bench))) as address:
        project = bench.project(dependencies=("sdist",), more=f'[tool.uv]\nfind-links = ["http://{address}/"]\n')
        bench.lock(project)
        with pytest.raises(EnvironmentFailedError, match="sdist would have to be built, which --no-build forbids"):
            bench.provide(project, no_build=True)
        assert installed(bench.provide(project, walled=True)).keys() == {"demo", "sdist", "idna"}
    assert not (bench.directory / "ran").exists()


@needs.wall
def test_what_an_sdist_needs_is_asked_for_behind_the_wall(bench: Bench) -> None:
    """Where it does not say it, and there is no lock; of one that is the handler, too."""
    index = pack(bench, told=False)
    project = bench.project(dependencies=("sdist",), more='[tool.uv]\nfind-links = ["../index"]\n')
    assert installed(bench.provide(project, walled=True)).keys() == {"demo", "sdist", "idna"}
    (kept,) = bench.home.resolutions.glob("*.lock")
    assert installed(bench.provide(index / "sdist-2.5.tar.gz", walled=True)).keys() == {"sdist", "idna"}
    assert not (bench.directory / "ran").exists()
    bench.lock(project)
    assert (bench.directory / "ran").exists(), "uv had it built"
    assert tomllib.loads(kept.read_text()) == tomllib.loads((project / "uv.lock").read_text())


@needs.wall
@pytest.mark.parametrize("code", ["os.symlink('/etc/passwd', directory + '/a.whl')", "pass"])
def test_a_build_that_leaves_something_else(bench: Bench, code: str) -> None:
    place = built_by_itself(bench.directory / "demo", version="1", tries={})
    text = (place / "backend.py").read_text().replace("    seen = ", f"    {code}\n    return 'a.whl'\n    seen = ")
    write(place / "backend.py", text)
    with pytest.raises(EnvironmentFailedError, match="The build of demo left no wheel"):
        bench.provide(place, walled=True)


@needs.wall
def test_tools_come_as_wheels_from_the_index(bench: Bench) -> None:
    project = built_by_itself(bench.directory / "demo", tries={"import it": "__import__('idna')", "more": "__import__('six')"})
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace("requires = []", 'requires = ["idna"]'))
    backend = (project / "backend.py").read_text()
    write(project / "backend.py", f"{backend}\ndef get_requires_for_build_wheel(config_settings=None):\n    return ['six']\n")
    found = bench.provide(project, walled=True)
    assert ast.literal_eval(run(found, "import demo; print(demo.seen)")) == {"import it": "done", "more": "done"}
    assert installed(found).keys() == {"demo"}
    index = pack(bench)
    write(
        project / "pyproject.toml", text.replace("requires = []", 'requires = ["sdist"]') + f'[tool.uv]\nfind-links = ["{index}"]\n'
    )
    with pytest.raises(EnvironmentFailedError, match="What builds demo cannot be fetched: sdist"):
        bench.provide(project, walled=True)


def test_what_is_fetched_is_what_the_lock_says(tmp_path: Path) -> None:
    write(tmp_path / "a.tar.gz", "a")
    digest = hashlib.sha256(b"a").hexdigest()
    into = tmp_path / "into"
    into.mkdir()
    said = {"url": f"file://{tmp_path}/a.tar.gz", "hash": f"sha256:{digest}"}
    assert fetch("a", said, tmp_path, into, offline=True).read_bytes() == b"a"
    for wrong in ({**said, "hash": "sha256:00"}, {"path": "b.tar.gz"}, {"url": "ssh://host/a"}, {"url": "https://host.invalid/a"}):
        with pytest.raises(EnvironmentFailedError, match="The source of a cannot be fetched"):
            fetch("a", wrong, tmp_path, into / "other", offline=True)


def test_without_builds_what_uv_builds_alone_is_there(bench: Bench) -> None:
    """Whatever lies beside the project is not run, and a wall is not needed."""
    project = bench.project(dependencies=("six",))
    write(project / "setup.py", f"open({str(bench.directory / 'ran')!r}, 'w')\n")
    assert installed(bench.provide(project, no_build=True)) == {"demo": "1.0", "six": installed(bench.provide(project))["six"]}
    by_itself = built_by_itself(bench.directory / "other", tries={"run": f"open({str(bench.directory / 'ran')!r}, 'w')"})
    with pytest.raises(EnvironmentFailedError, match="other would have to be built, which --no-build forbids"):
        bench.provide(by_itself, no_build=True)
    assert not (bench.directory / "ran").exists()
    assert recall(bench.open(project, no_build=True).to_mapping()).no_build
    assert "no_build" not in bench.open(project).to_mapping()


OUT = "../../../../../evil"
"""From a build's tree to what lies beside the data dir; from the project to nowhere."""
WAYS = {
    "member": ("", f'[tool.uv.workspace]\nmembers = ["{OUT}"]\n'),
    "source": ("evil", f'[tool.uv.sources]\nevil = {{ path = "{OUT}", editable = true }}\n'),
}


SCRIPT = """\
# /// script
# requires-python = ">=3.11"
# dependencies = [{dependencies}]
# [tool.uv.sources]
# {sources}
# ///
from nectar import handler
"""
SCRIPT_LOCK = f"""
version = 1
revision = 3
requires-python = ">=3.11"
[manifest]
requirements = [{{ name = "evil", editable = "{OUT}" }}]
[[package]]
name = "evil"
source = {{ editable = "{OUT}" }}
"""


def set_trap(bench: Bench) -> Path:
    """A project beside the data dir, whose build leaves a file behind."""
    place = built_by_itself(bench.directory / "evil")
    write(place / "backend.py", f"{leave_a_trace(bench)}{(place / 'backend.py').read_text()}")
    return bench.directory / "ran"


@needs.wall
@pytest.mark.parametrize("way", WAYS)
def test_nothing_beside_the_copy_is_built(bench: Bench, way: str) -> None:
    ran = set_trap(bench)
    needed, more = WAYS[way]
    project = bench.project(dependencies=tuple(filter(None, [needed])), more=more)
    with suppress(EnvironmentFailedError):
        bench.provide(project, walled=True)
    assert not ran.exists()


@needs.wall
def test_no_lock_leads_to_what_lies_beside_the_copy(bench: Bench) -> None:
    ran = set_trap(bench)
    project = bench.project(dependencies=("idna",))
    table = tomllib.loads(bench.lock(project).read_text())
    next(each for each in table["package"] if each["name"] == "idna")["dependencies"] = [{"name": "evil"}]
    for kind in ("editable", "directory", "virtual", "path"):
        evil = {"name": "evil", "source": {kind: OUT}}
        (project / "uv.lock").write_text(tomli_w.dumps({**table, "package": [*table["package"], evil]}))
        with pytest.raises(EnvironmentFailedError, match="The lock names what is not in the handler's source"):
            bench.provide(project, walled=True)
    assert not ran.exists()


@needs.wall
def test_a_single_file_with_a_lock_of_its_own(bench: Bench) -> None:
    """Its sources lie beside it, or are none."""
    ran = set_trap(bench)
    built_by_itself(bench.directory / "near", requires=("idna",))
    script = bench.file("one.py", SCRIPT.format(dependencies='"near", "six"', sources='near = { path = "near" }'))
    uv("lock", "--script", script)
    assert installed(bench.provide(script, walled=True)).keys() == {"one-file", "near", "idna", "six"}
    script = bench.file("two.py", SCRIPT.format(dependencies='"evil"', sources=f'evil = {{ path = "{OUT}", editable = true }}'))
    write(script.with_name("two.py.lock"), SCRIPT_LOCK)
    with pytest.raises(EnvironmentFailedError, match="The lock names what is not in the handler's source"):
        bench.provide(script, walled=True)
    assert not ran.exists()
