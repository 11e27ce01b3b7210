"""``nectar dashboard``: one browser sees all of it, and nobody and nothing else anything; what a handler says is text."""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.web import dashboard
from nectar.web.guard import HEADERS
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

MARKUP = '<script>document.title = "owned"</script><img src="x" onerror="document.title=1"></pre>&amp;'
EVIL = f"""
    from nectar import handler

    @handler
    def evil(comp):
        print({MARKUP!r})
        if comp.query == "good":
            return 1
        raise ValueError({MARKUP!r})
"""
NOBODY = 65534
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"


class Visitor:
    """Somebody who knows an address; ``cookie`` is what it has of a browser's."""

    def __init__(self, address: str) -> None:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
        self.host, _, rest = address.removeprefix("http://").partition("/")
        self.first = f"/{rest}"
        self.path = self.cookie = ""

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        named = {"Cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, headers=named)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        for name, value in HEADERS:
            assert response.headers.get_all(name) == [value]
        assert "Access-Control-Allow-Origin" not in response.headers and "Server" not in response.headers
        return response.status, response.headers, body

    def enter(self) -> None:
        status, headers, body = self.ask(self.first)
        assert (status, body.strip()) == (303, "")
        self.path, (self.cookie, *attributes) = headers["Location"], headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", f"Path={self.path}"} == {*attributes}

    def json(self, what: str) -> dict[str, Any]:
        status, headers, body = self.ask(self.path + what)
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        fields: dict[str, Any] = json.loads(body)
        return fields


@pytest.fixture
def evil(world: World) -> World:
    """A world with a handler whose words are markup."""
    world.node("alice")
    world.run("launch", world.file("evil.py", EVIL), "--attach", "alice")
    world.run("submit", "alice", "good")
    world.run("submit", "alice", "bad", code=1)
    return world


@pytest.mark.uv
@pytest.mark.once
def test_the_address_is_good_for_one_browser_and_nothing_is_without_it(evil: World) -> None:
    process = evil.begin("dashboard", "--no-open")
    assert process.stdout is not None
    visitor = Visitor(process.stdout.readline().strip())
    assert visitor.ask("/")[0] == visitor.ask("/?token=x")[0] == visitor.ask("/?token")[0] == 403
    assert visitor.ask("/handlers")[0] == visitor.ask("/index.html")[0] == 404
    assert visitor.ask(visitor.first, "POST")[0] == 405 and visitor.ask(visitor.first, Host="rebound.example")[0] == 403
    visitor.enter()
    assert visitor.ask(visitor.first)[0] == 403

    (told,) = visitor.json("handlers")["handlers"]
    assert (told["name"], told["state"], told["daemon"]["counts"]) == ("evil", "running", {"success": 1, "error": 1, "timeout": 0})
    assert MARKUP in told["daemon"]["last_error"]
    history = visitor.json("history/evil")
    assert [sum(numbers) for numbers in zip(*(minute[1:4] for minute in history["minutes"]), strict=True)] == [1, 1, 0]
    log = visitor.json("log/evil")
    assert sum(MARKUP in line for line in log["lines"]) >= 3
    assert visitor.json(f"log/evil?seen={log['seen']}")["lines"] is None
    assert [visitor.ask(visitor.path + what)[0] for what in ("log/nobody", "history/..%2Fevil", "log/", "x/evil", "x")] == [404] * 5

    data = ("handlers", "history/evil", "log/evil")
    for what in (*data, "", *dashboard.FILES):
        for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert visitor.ask(visitor.path + what, method)[0] == 405
        for header in (
            {"Host": "rebound.example"},
            {"Host": f"{visitor.host}.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
        ):
            assert visitor.ask(visitor.path + what, **header)[0] == 403
        assert visitor.ask(visitor.path + what, Origin=f"http://{visitor.host}")[0] == 200
    for what in data:
        for site in ("cross-site", "same-site"):
            assert visitor.ask(visitor.path + what, Sec_Fetch_Site=site)[0] == 403
        for cookie in ("", "nectar=", visitor.cookie[:-1], "x" + visitor.cookie):
            status, _, body = visitor.ask(visitor.path + what, Cookie=cookie)
            assert status == 403 and "evil" not in body

    evil.run("stop", "evil")
    until(lambda: visitor.json("handlers")["handlers"][0]["state"] == "stopped", "it is told")
    assert "does not run" in visitor.json("history/evil")["problem"]
    assert evil.run("dashboard", "--port", visitor.host.split(":")[1], code=4).stderr.startswith("❌ Port ")
    evil.home.registry.write_text("{")
    until(lambda: "is broken" in visitor.json("handlers").get("problem", ""), "that is told, too")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stderr is not None and process.stderr.read().startswith("To be opened within a minute")


@pytest.fixture
def files(world: World) -> Iterator[Path]:
    """Where temporary files are made."""
    directory = world.directory / "temporary"
    directory.mkdir(mode=0o755)
    yield directory
    assert list(directory.glob("nectar-*")) == []


@pytest.mark.once
def test_a_browser_is_given_a_file_that_nobody_else_can_read(world: World, files: Path) -> None:
    noted = world.directory / "noted"
    script = world.file("browser.sh", f'#!/bin/sh\nprintf "%s\\n" "$@" > {noted}.new\nmv {noted}.new {noted}\n')
    script.chmod(0o755)
    process = world.begin("dashboard", env={"BROWSER": str(script), "TMPDIR": str(files)})
    until(noted.exists, "a browser was started")
    (page,) = files.glob("nectar-*")
    assert noted.read_text() == f"{page.as_uri()}\n"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    if os.geteuid() == 0:
        assert subprocess.run(["/bin/cat", page], user=NOBODY, capture_output=True, check=False, timeout=PATIENCE).stdout == b""
    (address,) = re.findall('url=([^"]*)"', page.read_text())
    visitor = Visitor(html.unescape(address))
    assert visitor.ask("/?token=x")[0] == 403 and page.exists()
    visitor.enter()
    until(lambda: not page.exists(), "it is removed, as it is of no use any more")
    assert visitor.json("handlers")["handlers"] == []
    process.terminate()
    assert process.wait(PATIENCE) == 143
    said = f"{process.stdout and process.stdout.read()}{process.stderr and process.stderr.read()}"
    assert visitor.host in said and "token" not in said


@pytest.mark.once
def test_where_no_browser_can_be_started_the_address_is_told(world: World, files: Path) -> None:
    process = world.begin("dashboard", env={"BROWSER": "false", "TMPDIR": str(files)})
    assert process.stdout is not None
    Visitor(process.stdout.readline().strip()).enter()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path: a browser has sockets in it."""
    directory = Path(tempfile.mkdtemp(prefix="nt-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.mark.uv
@pytest.mark.once
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: Debian's package chromium has it")
def test_a_real_browser_shows_it_and_runs_nothing_of_a_handlers(evil: World, short: Path) -> None:
    shown = short / "shown"
    options = (
        f"--headless --no-sandbox {QUIET} --enable-logging=stderr --user-data-dir={short} --virtual-time-budget=5000 --dump-dom"
    )
    script = evil.file(
        "browser.sh", f'#!/bin/sh\n{CHROMIUM} {options} "$@" > {shown}.new 2> {shown}.said\nmv {shown}.new {shown}\n'
    )
    script.chmod(0o755)
    process = evil.begin("dashboard", env={"BROWSER": str(script), "TMPDIR": str(short), "HOME": str(evil.directory)})
    until(shown.exists, "the browser has shown it")
    said, page = Path(f"{shown}.said").read_text(errors="replace"), shown.read_text()
    assert "<title>Nectar</title>" in page, said
    assert page.count("<script") == 1 and "<img" not in page, "our own is the only one"
    assert page.count(html.escape(MARKUP, quote=False)) >= 4, "in the log, and as the last error"
    assert '<td class="state running">running</td>' in page and ">2</td>" in page
    assert page.count("<figure>") == 3 and '<rect class="red"' in page and '<path class="line blue" d="M' in page
    assert not [line for line in said.splitlines() if "CONSOLE" in line or "Content Security Policy" in line], said
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130


def test_nothing_is_asked_of_anybody_else() -> None:
    for name, _ in dashboard.FILES.values():
        text = (dashboard.PAGE / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^// .*|(?<= )// .*", "", text, flags=re.MULTILINE), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|<script>|style=| on[a-z]+=", text), name
