"""What a person told uv goes on to count; what leaks from the shell does not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.uv.uv import select_variables
from tests.environments.workbench import Bench, installed, uv, write
from tests.web import serving

pytestmark = pytest.mark.uv


@pytest.fixture
def index(bench: Bench) -> Iterator[str]:
    """Host and port of an index behind a password, ``user`` and ``secret``, that has nectar-test-private 1.0."""
    library = bench.project("nectar-test-private", at="elsewhere/private", handler=False)
    wheels = bench.directory / "private-wheels"
    uv("build", "--wheel", "--out-dir", wheels, library)

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] != "Basic " + base64.b64encode(b"user:secret").decode():
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            names = [path.name for path in wheels.glob("*.whl")]
            body, kind = b"", "text/html"
            if self.path == "/simple/nectar-test-private/":
                body = "".join(f'<a href="/files/{name}">{name}</a>' for name in names).encode()
            elif self.path.removeprefix("/files/") in names:
                body, kind = (wheels / self.path.removeprefix("/files/")).read_bytes(), "application/octet-stream"
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with serving(Index) as place:
        yield place


def test_a_private_index_with_a_password(bench: Bench, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project(dependencies=("nectar-test-private",))
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", f"http://user:wrong@{index}/simple")
    with pytest.raises(EnvironmentFailedError):
        bench.provide(project)
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", f"http://user:secret@{index}/simple")
    found = bench.provide(project)
    assert installed(found)["nectar-test-private"] == "1.0"
    files = (path for path in bench.home.nectar.rglob("*") if path.is_file() and not path.is_symlink())
    kept = [path for path in files if b"secret" in path.read_bytes()]
    assert kept == []


def test_a_named_index_with_its_password_in_the_shell(bench: Bench, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project(
        dependencies=("nectar-test-private",),
        more=f"""
        [tool.uv.sources]
        nectar-test-private = {{ index = "company" }}
        [[tool.uv.index]]
        name = "company"
        url = "http://{index}/simple"
        explicit = true
        """,
    )
    monkeypatch.setenv("UV_INDEX_COMPANY_USERNAME", "user")
    monkeypatch.setenv("UV_INDEX_COMPANY_PASSWORD", "secret")
    assert installed(bench.provide(project))["nectar-test-private"] == "1.0"


@pytest.mark.once
def test_files_of_settings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    old = 'exclude-newer = "2020-06-01T00:00:00Z"\n'
    project = bench.project("beside", dependencies=("click",))
    write(project / "uv.toml", old)
    assert installed(bench.provide(project))["click"] == "7.1.2"
    project = bench.project("demo", at="below/demo", dependencies=("click",))
    assert installed(bench.provide(project))["click"] != "7.1.2"
    write(bench.directory / "below" / "uv.toml", old)
    assert installed(bench.provide(project))["click"] == "7.1.2"
    (bench.directory / "below" / "uv.toml").unlink()
    monkeypatch.setenv("UV_CONFIG_FILE", str(bench.file("given.toml", old)))
    assert installed(bench.provide(project))["click"] == "7.1.2"
    monkeypatch.delenv("UV_CONFIG_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(bench.directory / "config"))
    write(bench.directory / "config" / "uv" / "uv.toml", old)
    file = bench.file("files/mine.py", '# /// script\n# dependencies = ["click"]\n# ///\n')
    assert installed(bench.provide(file))["click"] == "7.1.2"


def test_a_file_beside_a_single_file(bench: Bench) -> None:
    write(bench.directory / "files" / "uv.toml", 'exclude-newer = "2020-06-01T00:00:00Z"\n')
    file = bench.file("files/deeper/mine.py", '# /// script\n# dependencies = ["click"]\n# ///\n')
    assert installed(bench.provide(file))["click"] == "7.1.2"


def test_a_relative_path_in_the_shell_is_relative_to_the_shell(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    library = bench.project("nectar-test-relative", at="elsewhere/relative", handler=False)
    uv("build", "--wheel", "--out-dir", bench.directory / "wheels", library)
    monkeypatch.chdir(bench.directory)
    monkeypatch.setenv("UV_FIND_LINKS", "wheels")
    project = bench.project(dependencies=("nectar-test-relative",))
    assert "nectar-test-relative" in installed(bench.provide(project))


@pytest.mark.parametrize("text", ['[tool.uv]\nrequired-version = ">=99"\n', "not TOML", '[tool.uv.workspace]\nmembers = ["*"]\n'])
def test_the_directory_of_the_shell_decides_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    write(bench.directory / "here" / "pyproject.toml", text)
    write(bench.directory / "here" / ".python-version", "3.99\n")
    monkeypatch.chdir(bench.directory / "here")
    assert bench.provide(bench.project(dependencies=("click==7.1.2",))).marker.entries


def test_what_leaks_from_the_shell(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other = bench.project("other")
    for name, value in {
        "VIRTUAL_ENV": str(bench.directory / "their-venv"),
        "PYTHONPATH": str(other / "src"),
        "PYTHONHOME": "/nowhere",
        "CONDA_PREFIX": "/nowhere",
        "UV_PYTHON": "3.8",
        "UV_PROJECT": str(other),
        "UV_PROJECT_ENVIRONMENT": str(bench.directory / "their-venv"),
        "UV_WORKING_DIR": str(other),
        "UV_WORKING_DIRECTORY": str(other),
        "UV_SYSTEM_PYTHON": "1",
        "UV_VENV_SEED": "1",
        "UV_NO_SYNC": "1",
        "UV_FROZEN": "1",
        "UV_NO_DEV": "1",
        "UV_NO_INSTALL_PROJECT": "1",
        "UV_NO_INSTALL_LOCAL": "1",
        "UV_ISOLATED": "1",
        "UV_MANAGED_PYTHON": "1",
        "UV_ENV_FILE": "/nowhere/.env",
        "GIT_DIR": "/nowhere/.git",
    }.items():
        monkeypatch.setenv(name, value)
    found = bench.provide(bench.project(dependencies=("click==7.1.2",)))
    assert installed(found) == {"click": "7.1.2", "demo": "1.0"}
    assert not (bench.directory / "their-venv").exists()


def test_what_uv_gets_of_the_shell() -> None:
    passed = {
        "UV_INDEX_URL": "x",
        "UV_INDEX": "x",
        "UV_CACHE_DIR": "x",
        "UV_EXCLUDE_NEWER": "x",
        "UV_PYTHON_DOWNLOADS": "x",
        "UV_PYTHON_INSTALL_DIR": "x",
        "UV_OFFLINE": "x",
        "UV_HTTP_TIMEOUT": "x",
        "UV_KEYRING_PROVIDER": "x",
        "UV_INDEX_STRATEGY": "x",
        "UV_NO_BUILD_ISOLATION": "x",
        "UV_LINK_MODE": "x",
        "SSL_CERT_FILE": "x",
        "HTTPS_PROXY": "x",
        "GIT_SSH_COMMAND": "x",
        "NETRC": "x",
        "CFLAGS": "x",
        "HOME": "x",
        "PATH": "/x",
    }
    ours = {"NO_COLOR": "1", "COLUMNS": "10000"}
    assert select_variables(passed) == {**passed, **ours}
    dropped = (
        "UV",
        "UV_PYTHON",
        "UV_PYTHON_PREFERENCE",
        "UV_PROJECT",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "CONDA_PREFIX",
        "GIT_DIR",
        "UV_LOCKED",
    )
    assert select_variables(dict.fromkeys(dropped, "x") | {"PATH": "/x"}) == {"PATH": "/x", **ours}


def test_offline(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2",))
    bench.provide(project)  # what it needs is in the cache now
    write(project / "src" / "demo" / "__init__.py", "def answer(c): return 2\n")
    assert bench.provide(project, offline=True).marker.entries
    other = bench.project("other", dependencies=("nectar-test-never-seen",))
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(other, offline=True)
    assert "network" in (failed.value.detail or "").lower()


def test_a_cache_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    bench.provide(bench.project(dependencies=("six",)))
    assert (tmp_path / "cache").is_dir()


@pytest.mark.parametrize(
    ("place", "mode"),
    [
        ("shell", "symlink"),
        pytest.param("shell", "clone", marks=pytest.mark.once),
        ("project", "hardlink"),
        pytest.param("user", "hardlink", marks=pytest.mark.once),
    ],
)
def test_no_file_is_shared_with_the_cache(bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str, mode: str) -> None:
    text = f'link-mode = "{mode}"\n'
    project = bench.project(dependencies=("click==7.1.2",), more=f"[tool.uv]\n{text}" if place == "project" else "")
    if place == "shell":
        monkeypatch.setenv("UV_LINK_MODE", mode)
    elif place == "user":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(bench.directory / "config"))
        write(bench.directory / "config" / "uv" / "uv.toml", text)
    found = bench.provide(project)
    packages = next(found.path.glob("lib/*/site-packages"))
    assert not [path for path in packages.rglob("*") if path.is_symlink()]
    assert {path.stat().st_nlink for path in found.path.rglob("*") if path.is_file() and not path.is_symlink()} == {1}
    assert not [line for line in bench.said if "link" in line]
