"""``nectar attach`` and ``nectar detach``: one handler per alias, many aliases per handler."""

from __future__ import annotations

import os
import signal
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv


@pytest.fixture
def launched(world: World) -> World:
    """A world in which ``h`` runs, and alice and bob are."""
    world.file("h.py", "# /// script\n# [tool.nectar]\n# stop_timeout = 1\n# ///\n" + textwrap.dedent(TWICE))
    world.node("alice")
    world.node("bob")
    world.run("launch", "h.py")
    return world


def test_attach_prints_what_scripts_read_and_answers_what_waited(launched: World) -> None:
    launched.put("waited", "four")
    assert launched.run("attach", "h", "alice").stdout == "✅ Attached handler 'h' to alias 'alice'\n"
    assert launched.answer("waited")["result"] == {"value": 8}
    launched.put("later", "seven..", in_place=False)
    assert launched.answer("later")["result"] == {"value": 14}


def test_twenty_aliases_at_once(launched: World) -> None:
    aliases = [f"node{number}" for number in range(20)]
    for alias in aliases:
        launched.node(alias)
        launched.put("q", alias, alias=alias)
    shown = launched.run("attach", "h", *aliases).stdout
    assert shown.splitlines() == [f"✅ Attached handler 'h' to alias '{alias}'" for alias in aliases]
    assert launched.registry()["h"]["attached_aliases"] == aliases
    for alias in aliases:
        assert launched.answer("q", alias=alias)["result"] == {"value": 2 * len(alias)}


def test_what_it_has_already_is_no_error_and_stands_once(launched: World) -> None:
    launched.run("attach", "h", "alice", "alice")
    launched.run("attach", "h", "alice", "bob")
    assert launched.registry()["h"]["attached_aliases"] == ["alice", "bob"]


def test_all_or_none(launched: World) -> None:
    ended = launched.run("attach", "h", "alice", "nobody", code=3)
    assert "'nobody'" in ended.stderr
    assert f"mkdir -p {launched.home.computations('nobody')}" in ended.stderr
    assert launched.registry()["h"]["attached_aliases"] == []


def test_one_handler_per_alias_running_or_stopped(launched: World) -> None:
    launched.run("attach", "h", "alice")
    launched.run("launch", "h.py", "other")
    for _ in range(2):
        ended = launched.run("attach", "other", "bob", "alice", code=4)
        assert "'h'" in ended.stderr
        assert "nectar detach h alice" in ended.stderr
        assert launched.registry()["other"]["attached_aliases"] == []
        launched.run("stop", "h", code=None)
    launched.run("detach", "h", "alice")
    launched.run("attach", "other", "bob", "alice")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_two_that_want_the_same_alias_at_once(launched: World) -> None:
    launched.run("launch", "h.py", "other")
    attaching = [launched.fork("attach", name, "alice") for name in ("h", "other")]
    assert sorted(process.wait(120) for process in attaching) == [0, 4]
    held = [name for name, record in launched.registry().items() if record["attached_aliases"]]
    assert len(held) == 1
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_commands_at_once_lose_nothing(launched: World) -> None:
    aliases = [f"node{number}" for number in range(8)]
    for alias in aliases:
        launched.node(alias)
    attaching = [launched.fork("attach", "h", alias) for alias in aliases]
    assert [process.wait(120) for process in attaching] == [0] * 8
    assert sorted(launched.registry()["h"]["attached_aliases"]) == aliases


def test_only_what_runs_is_attached(launched: World) -> None:
    launched.run("stop", "h")
    ended = launched.run("attach", "h", "alice", code=4)
    assert "'h' is not running" in ended.stderr
    assert "nectar start h" in ended.stderr
    assert "'nobody'" in launched.run("attach", "nobody", "alice", code=3).stderr


@pytest.mark.waits
@pytest.mark.once
def test_a_daemon_that_does_not_answer_is_told_and_the_attachment_is_taken_back(launched: World) -> None:
    pid = launched.registry()["h"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        ended = launched.run("attach", "h", "alice", code=6)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert str(launched.home.socket("h")) in ended.stderr
    assert launched.registry()["h"]["attached_aliases"] == []


def test_a_socket_that_is_gone_for_a_moment_is_waited_for(launched: World) -> None:
    launched.home.socket("h").unlink()
    launched.run("attach", "h", "alice")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_detach_leaves_the_questions_and_attach_answers_them(launched: World) -> None:
    launched.run("attach", "h", "alice", "bob")
    assert launched.run("detach", "h", "alice").stdout == "✅ Detached handler 'h' from alias 'alice'\n"
    pending = launched.put("waiting", "four")
    assert launched.run("submit", "bob", "four").stdout == "8\n"
    assert pending.exists()
    assert launched.registry()["h"]["attached_aliases"] == ["bob"]
    launched.run("attach", "h", "alice")
    assert launched.answer("waiting")["result"] == {"value": 8}
    assert not pending.exists()


def test_detach_works_on_what_is_stopped_and_where_the_node_is_gone(launched: World) -> None:
    launched.run("attach", "h", "alice", "bob")
    launched.run("stop", "h")
    launched.run("detach", "h", "alice")
    launched.run("start", "h")
    os.rename(launched.home.data_dir / "bob", launched.home.data_dir / "bert")
    launched.run("detach", "h", "bob")
    assert launched.registry()["h"]["attached_aliases"] == []


def test_detach_needs_no_socket(launched: World) -> None:
    """The registry is the truth: what its daemon sees there by itself is done as well."""
    launched.run("attach", "h", "alice", "bob")
    launched.home.socket("h").unlink()
    launched.home.socket("h").mkdir()  # so that it is not made anew
    assert launched.run("detach", "h", "alice").stdout == "✅ Detached handler 'h' from alias 'alice'\n"
    launched.home.socket("h").rmdir()
    pending = launched.put("waiting", "four")
    assert launched.run("submit", "bob", "four").stdout == "8\n"
    assert pending.exists()
    assert launched.registry()["h"]["attached_aliases"] == ["bob"]


@pytest.mark.waits
@pytest.mark.once
def test_a_frozen_daemon_is_not_detached_and_goes_on_as_it_was(launched: World) -> None:
    launched.run("attach", "h", "alice", "bob")
    pid = launched.registry()["h"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        ended = launched.run("detach", "h", "alice", code=6)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ended.stdout == ""
    assert "does not let go of 'alice', so it is attached as before" in ended.stderr
    assert "nectar stop h" in ended.stderr
    assert launched.registry()["h"]["attached_aliases"] == ["alice", "bob"]
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_a_detach_that_is_interrupted_changes_nothing(launched: World) -> None:
    launched.run("attach", "h", "alice", "bob")
    pid = launched.registry()["h"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        detach = launched.fork("detach", "h", "alice")
        until(lambda: launched.registry()["h"]["attached_aliases"] == ["bob"], "it has asked")
        os.kill(detach.pid, signal.SIGINT)
        assert detach.wait(120) == 130
    finally:
        os.kill(pid, signal.SIGCONT)
    assert launched.registry()["h"]["attached_aliases"] == ["alice", "bob"]
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_detach_of_what_is_not_attached(launched: World) -> None:
    launched.run("attach", "h", "alice")
    ended = launched.run("detach", "h", "alice", "bob", code=3)
    assert "'bob'" in ended.stderr
    assert "alice" in ended.stderr
    assert launched.registry()["h"]["attached_aliases"] == ["alice"]


def test_a_detach_that_the_registry_alone_tells_is_noticed_too(launched: World) -> None:
    launched.run("attach", "h", "alice")
    text = launched.home.registry.read_text().replace('"alice"', '"bob"')
    launched.home.registry.with_suffix(".new").write_text(text)
    launched.home.registry.with_suffix(".new").rename(launched.home.registry)
    launched.put("q", "four", alias="bob")
    assert launched.answer("q", alias="bob")["result"] == {"value": 8}


def test_after_a_kill_the_status_is_corrected(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: launched.run("attach", "h", "alice", code=None).returncode == 4, "the end is seen")
    record = launched.registry()["h"]
    assert record["status"] == "stopped"
    assert record["pid"] is None
    assert record["desired"] == "running"
