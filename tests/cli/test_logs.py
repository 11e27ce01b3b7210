"""``nectar logs``."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from nectar.namelock import NameLock
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

PRINTING = """
    # /// script
    # [tool.nectar]
    # log_each = true
    # ///
    from nectar import handler

    print("loading it")

    @handler
    def h(comp):
        print("so be it")
        if comp.query == "fail":
            raise ValueError("it went wrong")
        print("half", end="")
        return 123456789
    """


@pytest.fixture
def logged(world: World) -> World:
    """A world with a log of thirty lines."""
    world.home.logs.mkdir()
    world.home.log("h").write_text("".join(f"line {number}\n" for number in range(30)))
    return world


@pytest.fixture
def running(logged: World) -> Iterator[World]:
    """The same, of a handler that runs."""
    logged.home.handlers.mkdir()
    logged.home.registry.write_text('{"h": {"desired": "running", "status": "running"}}')
    lock = NameLock(logged.home.lock("h"), 0.0)
    yield logged
    os.close(lock._descriptor)


def test_the_last_twenty_lines(logged: World) -> None:
    assert logged.run("logs", "h", "--no-follow").stdout.splitlines() == [f"line {number}" for number in range(10, 30)]


@pytest.mark.parametrize("option", ["-n", "--tail", "--lines"])
@pytest.mark.parametrize("count", [0, 1, 30, 500])
def test_as_many_as_are_wanted(logged: World, count: int, option: str) -> None:
    shown = logged.run("logs", "h", "--no-follow", option, str(count)).stdout.splitlines()
    assert shown == [f"line {number}" for number in range(30)][30 - min(count, 30) :]


def test_one_that_does_not_run_is_not_followed(logged: World) -> None:
    ended = logged.run("logs", "h", "-f", "-n", "1")
    assert ended.stdout == "line 29\n"
    assert ended.stderr == "The handler 'h' was removed: nothing more comes.\n"


def test_follows_until_it_is_interrupted_also_over_a_rotation(running: World) -> None:
    shown = running.directory / "shown"
    with shown.open("w") as file:
        process = running.begin("logs", "h", "-n", "1", stdout=file)
        until(lambda: shown.read_text() == "line 29\n", "the last line is shown")
        log = running.home.log("h")
        with log.open("a") as writing:
            writing.write("half a ")
            writing.flush()
            os.rename(log, log.with_name("h.log.1"))
            writing.write("line\n")
        log.write_text("a new file\n")
        until(lambda: shown.read_text() == "line 29\nhalf a line\na new file\n", "what came later is shown")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_control_characters_are_shown_and_not_sent(logged: World) -> None:
    logged.home.log("h").write_bytes(b"a\x1b]0;title\x07b\rc\xff\n")
    assert logged.run("logs", "h", "--no-follow").stdout == "a\\x1b]0;title\\x07b\\rc\\xff\n"


def test_of_several_each_line_has_its_name(logged: World) -> None:
    logged.home.log("other").write_text("2026-11-25T12:00:00.000+00:00 INFO    - -: one\n")
    told = logged.run("logs", "h", "other", "h", "-n", "1", "--no-follow").stdout
    assert told == "h     | line 29\nother | 2026-11-25T12:00:00.000+00:00 INFO    - -: one\n"


def test_nobody_of_that_name(logged: World) -> None:
    for names in (["nobody"], ["h", "nobody"], ["nob*"]):
        ended = logged.run("logs", *names, code=3)
        assert names[-1] in ended.stderr
        assert ended.stdout == ""
    assert "Give the names" in logged.run("logs", code=2).stderr


@pytest.mark.parametrize("moment", ["yesterday", "10", "-1m", "1m1h", "", "2026-13-01", "m"])
def test_what_is_no_moment(logged: World, moment: str) -> None:
    told = logged.run("logs", "h", f"--since={moment}", code=2).stderr
    assert repr(moment) in told
    assert "1h30m" in told


@pytest.mark.parametrize(
    ("moment", "ago"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 2 * 86400), ("1d2h3m4s", 93784), ("", None)]
)
def test_moments(logged: World, moment: str, ago: int | None) -> None:
    """One event a minute before, and one a minute after; without an offset a date is of this machine's time."""
    now = time.time()
    if ago is None:
        ago, moment = 5000, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now - 5000))
    event = '{{"time": {:.3f}, "level": "INFO", "alias": null, "computation": null, "text": "{}"}}\n'
    text = event.format(now - ago - 60, "before") + event.format(now - ago + 60, "after")
    logged.home.events("h").write_text(text)
    logged.home.log("h").unlink()
    logged.home.log("h").touch()
    assert logged.run("logs", "h", "--no-follow", "--since", moment).stdout.endswith(" INFO    - -: after\n")
    assert logged.run("logs", "h", "--until", moment).stdout.endswith(" INFO    - -: before\n")


@pytest.mark.parametrize(
    ("options", "count"), [(["--level", "info"], 20), (["--since", "1d"], 30), (["--since", "1d", "-n", "2"], 2), (["--json"], 20)]
)
def test_of_a_span_all_is_shown_and_of_all_the_last_twenty(logged: World, options: list[str], count: int) -> None:
    event = f'{{"time": {time.time():.3f}, "level": "INFO", "alias": null, "computation": null, "text": ""}}\n'
    logged.home.events("h").write_text(event * 30)
    logged.home.log("h").write_text("")
    assert logged.run("logs", "h", "--no-follow", *options).stdout.count("\n") == count


def test_a_reader_of_json_that_goes_away_ends_it(running: World) -> None:
    events = "".join(
        f'{{"time": {each}, "level": "INFO", "alias": null, "computation": null, "text": ""}}\n' for each in range(1, 9001)
    )
    running.home.events("h").write_text(events)
    process = running.begin("logs", "h", "--json", "-n", "9000")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {
        "schema": 1,
        "handler": "h",
        "time": 1.0,
        "level": "INFO",
        "alias": None,
        "computation": None,
        "text": "",
    }
    process.stdout.close()
    process.stdout = None
    assert process.wait(timeout=60) == 0


@pytest.mark.uv
def test_it_has_what_the_handler_does_and_prints_but_not_what_is_private(world: World) -> None:
    world.file("h.py", PRINTING)
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    following = world.directory / "following"
    with following.open("w") as file:
        process = world.begin("logs", "@alice", "--json", "--level", "print", stdout=file)
        world.run("submit", "alice", "a secret question")
        world.put("failing", "fail")
        until(lambda: "it went wrong" in world.home.log("h").read_text(), "it has failed")
        until(lambda: ": half" in world.home.log("h").read_text(), "what was printed without a newline comes")
        shown = world.run("logs", "h", "--no-follow").stdout
        world.run("stop", "h")
        _, errors = process.communicate(timeout=60)
    assert "loading it" in shown
    assert "so be it" in shown
    assert "INFO    alice -: attached" in shown
    assert re.search(r": success \(\d+\.\d{3} s\)$", shown, re.MULTILINE)
    assert shown.count("ValueError: it went wrong") == 1
    for path in world.home.logs.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert "secret" not in text
        assert "123456789" not in text
    # One id finds all of it, in both, as what is followed does.
    ours = world.run("logs", "h", "--computation", "failing", "--no-follow").stdout
    told = re.sub(r"\d\.\d{3} s", "SECONDS", ours).splitlines()
    assert [line.split(" ", 1)[1].partition("failing: ")[::2] for line in told] == [
        ("PRINT   alice ", "so be it"),
        ("ERROR   alice ", "error (SECONDS): ValueError: it went wrong"),
        ("ERROR   alice ", "| Traceback (most recent call last):"),
        ("ERROR   alice ", f'|   File "{world.directory / "h.py"}", line 14, in h'),
        ("ERROR   alice ", '|     raise ValueError("it went wrong")'),
    ]
    assert ours == "".join(f"{line}\n" for line in world.home.log("h").read_text().splitlines() if " failing: " in line)
    assert world.run("logs", "h", "--level", "error", "--no-follow").stdout.count("\n") == 4
    events = [json.loads(line) for line in following.read_text().splitlines()]
    assert {event["handler"] for event in events} == {"h"}
    assert [event["text"] for event in events if event["computation"] == "failing" and event["level"] == "PRINT"] == ["so be it"]
    assert "success" not in str(events)
    assert errors == "The handler 'h' is stopped: nothing more comes.\n"
    world.run("remove", "h")
    assert list(world.home.logs.iterdir()) == []
