"""A handler behind a password: fetched with it, by uv or by git, and the password in one private file alone."""

from __future__ import annotations

import base64
import functools
import os
import subprocess
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from tests import pythons
from tests.environments.workbench import Bench, uv
from tests.web import serving
from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

SECRET = "s3cr3t@é"
IN_AN_ADDRESS = "b%C3%B6b:s3cr3t%40%C3%A9"


class Guarded(SimpleHTTPRequestHandler):
    """Files and repositories for who says ``böb`` and the secret."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers["Authorization"] != "Basic " + base64.b64encode(f"böb:{SECRET}".encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif ".git/" in self.path:
            self._ask_git(body)
        else:
            super().do_GET()

    do_POST = do_GET  # noqa: N815

    def _ask_git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": self.directory,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
        }
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env={**os.environ, **variables}, capture_output=True, check=True
        ).stdout
        head, _, rest = answer.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(int(dict(fields).get("Status", "200").split()[0]))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """Host and port of a server that has ``demo-1.0-py3-none-any.whl`` and ``demo.git``."""
    code = "from nectar import handler\n@handler\ndef answer(comp):\n    return 1\n"
    project = Bench(tmp_path / "made").project(code=code)
    served = tmp_path / "served"
    uv("build", "--wheel", "--out-dir", served, project)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        [*identity, "commit", "-qm", "One"],
        ["clone", "-q", "--bare", ".", served / "demo.git"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    with serving(functools.partial(Guarded, directory=str(served))) as place:
        yield place


@pytest.mark.parametrize("address", ["http://{}/demo-1.0-py3-none-any.whl", "git+http://{}/demo.git"])
def test_a_requirement_behind_a_password(
    fresh: World, host: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))  # else what was fetched once needs no login
    monkeypatch.setenv("PATH", pythons.path_with_few())
    monkeypatch.setenv("HOME_OF_SECRET", IN_AN_ADDRESS)
    requirement = f"demo @ {address.format('${HOME_OF_SECRET}@' + host)}"
    wrong = fresh.run("launch", "--requirement", f"demo @ {address.format('eve:wr0ng@' + host)}", "h", code=5)
    said = [wrong, fresh.run("-v", "launch", "--requirement", requirement, "h")]
    assert fresh.home.variables("h").stat().st_mode & 0o777 == 0o600
    fresh.run("stop", "h")
    monkeypatch.delenv("HOME_OF_SECRET")
    shown = fresh.registry()["h"]["handler"]
    assert shown == f"demo @ {address.format('***@' + host)}"
    said.append(fresh.run("launch", "--requirement", shown, "h"))
    fresh.run("stop", "h")
    for directory in (fresh.home.envs, fresh.home.resolutions, tmp_path / "uv-cache"):
        directory.rename(directory.with_name(f"{directory.name}-before"))  # now it has to be fetched again
    said += [fresh.run("start", "h"), fresh.run("restart", "h")]
    said += [
        fresh.run("view", "--json"),
        fresh.run("view", "h"),
        fresh.run("doctor", code=None),
        fresh.run("exec", "h", "--", "env"),
    ]
    words = (SECRET, IN_AN_ADDRESS, "s3cr3t", "wr0ng")
    assert not [each.args for each in said if any(word in each.stdout + each.stderr for word in words)]
    places = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = [path for path in places if b"s3cr3t" in path.read_bytes() or b"wr0ng" in path.read_bytes()]
    assert kept == [fresh.home.variables("h")]
    fresh.run("remove", "h", "--stop")
    assert not fresh.home.variables("h").exists()
    lost = fresh.run("launch", "--requirement", shown.replace("demo", "demo2", 1), "other", code=2)
    assert "is not kept" in lost.stderr
