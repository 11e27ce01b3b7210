"""``nectar restart``: the new one is ready before the old one goes, and a failure leaves the old one as it was."""

from __future__ import annotations

import os
import resource
import signal
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv

THRICE = TWICE.replace("* 2", "* 3")


@pytest.fixture
def launched(world: World) -> World:
    """A world in which ``h`` runs and answers for alice."""
    world.file("h.py")
    world.node("alice")
    world.run("launch", "h.py", "--attach", "alice")
    return world


def test_the_new_code_runs_with_the_old_attachments(launched: World) -> None:
    before = launched.registry()["h"]
    launched.file("h.py", THRICE)
    lines = launched.run("restart", "h").stdout.splitlines()
    after = launched.registry()["h"]
    assert lines[0] == f"✅ Handler restarted: h (PID {after['pid']})"
    assert "   Watching: alice" in lines
    assert after["pid"] != before["pid"]
    assert after["environment"] != before["environment"]
    assert after["created"] == before["created"]
    assert launched.run("submit", "alice", "four").stdout == "12\n"


def test_a_new_one_that_fails_leaves_the_old_one_running(launched: World) -> None:
    before = launched.registry()
    for text in ("from nectar import handler\nraise ValueError('broken')\n", "x = 1\n"):
        launched.file("h.py", text)
        assert launched.run("restart", "h", code=None).returncode in (1, 2, 5)
        assert launched.registry() == before
        assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_so_does_one_that_cannot_be_built_or_is_interrupted(launched: World) -> None:
    before = launched.registry()
    launched.file("h.py", '# /// script\n# dependencies = ["nectar-has-no-such-package"]\n# ///\n' + "from nectar import handler\n")
    assert "nectar-has-no-such-package" in launched.run("restart", "h", code=5).stderr
    launched.file("h.py", "import pathlib, time\npathlib.Path(__file__).with_name('loading').touch()\ntime.sleep(600)\n")
    process = launched.fork("restart", "h")
    until((launched.directory / "loading").exists, "the new one is being loaded")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert launched.registry() == before
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_where_there_is_no_room_the_old_one_goes_on(launched: World) -> None:
    before = launched.registry()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        failed = launched.run("restart", "h", code=1, start_new_session=True)  # as a child of ours, which has that limit too
        assert failed.stderr.startswith("❌ File too large.\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert launched.registry() == before
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_no_question_is_lost_answered_twice_or_run_in_both(launched: World) -> None:
    launched.file("h.py", TWICE.replace("return", "import os; print('ran', comp.comp_id, os.getppid());\n        return"))
    launched.run("restart", "h")
    asked: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            asked.append(f"q{len(asked)}")
            launched.put(asked[-1], "four", in_place=len(asked) % 2 == 0)
            ended.wait(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(2):
            launched.run("restart", "h")
    finally:
        ended.set()
        asking.join()
    assert all(launched.answer(comp_id)["result"] == {"value": 8} for comp_id in asked)
    shown = launched.run("logs", "h", "--no-follow", "-n", "100000").stdout
    ran = [line.split()[-2] for line in shown.splitlines() if " ran q" in line]
    assert sorted(ran) == sorted(asked)


def test_what_is_stopped_is_started_with_its_code_as_it_is_now(launched: World) -> None:
    launched.run("stop", "h")
    launched.file("h.py", THRICE)
    launched.run("restart", "h")
    assert launched.run("submit", "alice", "four").stdout == "12\n"


def test_a_frozen_one_is_replaced(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGSTOP)
    launched.run("restart", "h")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_several_at_once_come_one_after_the_other(launched: World) -> None:
    launched.file("h.py", THRICE)
    processes = [launched.fork("restart", "h") for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    holder = namelock.find_holder(launched.home, "h")
    assert holder is not None
    assert launched.registry()["h"]["pid"] == holder.pid
    assert launched.run("submit", "alice", "four").stdout == "12\n"


def test_a_new_one_that_cannot_take_the_name_gives_way_to_the_old_one(launched: World) -> None:
    """Loading the new code takes its log away, loading the old code gives it back."""
    log = str(launched.home.log("h"))
    launched.file("h.py", f"import os\nos.path.isdir({log!r}) and os.rmdir({log!r})\n" + textwrap.dedent(TWICE))
    launched.run("restart", "h")
    before = launched.registry()["h"]
    launched.file("h.py", f"import os\nos.remove({log!r})\nos.mkdir({log!r})\n" + textwrap.dedent(THRICE))
    error = launched.run("restart", "h", code=1).stderr
    assert "Is a directory" in error
    assert "runs again as it was" in error
    after = launched.registry()["h"]
    assert (after["environment"], after["status"]) == (before["environment"], "running")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_where_the_old_one_cannot_come_back_it_is_said(launched: World) -> None:
    log = launched.home.log("h")
    log.unlink()
    log.mkdir()
    launched.file("h.py", THRICE)
    error = launched.run("restart", "h", code=1).stderr
    assert "does not run now" in error
    assert "nectar start h" in error
    assert launched.registry()["h"]["status"] == "stopped"
    log.rmdir()
    launched.run("start", "h")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_settings_are_those_of_now_and_what_flags_gave_stays(launched: World) -> None:
    launched.run("stop", "h")
    launched.run("launch", "h.py", "--workers", "2")
    launched.file(
        "h.py",
        "# /// script\n# [tool.nectar]\n# stop_timeout = 3\n# workers = 1\n# ///\n"
        "from nectar import handler\n@handler\ndef h(comp): return 1\n",
    )
    launched.run("restart", "h")
    effective = launched.registry()["h"]["effective"]
    assert effective["workers"] == 2
    assert effective["stop_timeout"] == 3


def test_all_are_those_that_run(launched: World) -> None:
    launched.run("launch", "h.py", "other")
    launched.run("stop", "other")
    shown = launched.run("restart", "--all").stdout
    assert "restarted: h " in shown
    assert "other" not in shown
    launched.run("stop", "h")
    assert launched.run("restart", "--all").stdout == ""
    launched.run("restart", "absent", code=3)


def test_a_vanished_environment_is_mended_by_start(launched: World) -> None:
    launched.run("stop", "h")
    python = launched.home.envs / launched.registry()["h"]["environment"] / "bin" / "python"
    aside = python.rename(python.with_name("aside"))
    launched.file("h.py", THRICE)
    ended = launched.run("start", "h")
    assert "is gone" in ended.stderr
    assert launched.run("submit", "alice", "four").stdout == "12\n"
    aside.rename(python)  # other tests have this environment, too


def test_what_its_shell_has_otherwise_than_that_of_launch_is_told(world: World) -> None:
    index = {"UV_EXTRA_INDEX_URL": "https://user:secret@127.0.0.1:9/simple", "PACKED": "1"}
    world.file("h.py")
    world.run("launch", "h.py", "--offline", "--build-env", "PACKED", env=index)
    kept = world.registry()["h"]["source"]
    assert kept["shell"] == {"UV_EXTRA_INDEX_URL": "https://127.0.0.1:9/simple"}
    assert kept["build_env"] == ["PACKED"]
    world.file("h.py", '# /// script\n# dependencies = ["nectar-has-no-such-package"]\n# ///\n' + TWICE)
    said = world.run("restart", "h", code=5).stderr
    assert "had UV_EXTRA_INDEX_URL=https://127.0.0.1:9/simple, and this one has no UV_EXTRA_INDEX_URL" in said
    assert "This shell has no PACKED" in said
    assert "secret" not in said
