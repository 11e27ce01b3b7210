"""What is taken away from under a daemon while it runs a question: what is published, and what is counted and told as lost."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.world import paused, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runtime.conftest import Node, Running

pytestmark = pytest.mark.once


def counts(running: Running) -> dict[str, int]:
    found: dict[str, int] = running.status()["counts"]
    return found


def after(running: Running, before: dict[str, int]) -> dict[str, int]:
    """What was counted since."""
    return {key: value - before.get(key, 0) for key, value in counts(running).items() if value != before.get(key, 0)}


def asked(running: Running, comp_id: str) -> tuple[Node, dict[str, int], Path]:
    """A node whose question runs, the counts before its end, and the file that it waits for."""
    node = running.attached()
    before = counts(running)
    go = running.notes / node.alias
    node.put(comp_id, f"wait {go}")
    node.until_claimed(comp_id)
    return node, before, go


def test_claims_that_are_removed_during_a_run_are_made_anew(chameleon: Running) -> None:
    node, before, go = asked(chameleon, "robbed")
    with paused(chameleon.daemon):
        shutil.rmtree(node.directory / ".nectar")
    go.touch()
    assert node.answer("robbed")["status"] == "success"
    until(lambda: after(chameleon, before) == {"success": 1}, "it is counted once")
    assert node.ask("number 3")["result"] == {"value": 3}
    assert chameleon.status()["aliases"][node.alias]["problem"] is None


def _move(node: Node) -> None:
    (node.directory / ".nectar").rename(node.directory / "moved")


def _cancel(node: Node) -> None:
    (claim,) = (node.directory / ".nectar").iterdir()
    claim.unlink()


def _remove(node: Node) -> None:
    shutil.rmtree(node.directory)


@pytest.mark.parametrize("take", [_move, _cancel, _remove])
def test_what_is_taken_away_during_a_run_is_lost_and_told(chameleon: Running, take: Callable[[Node], Any]) -> None:
    comp_id = f"lost-by{take.__name__}"
    node, before, go = asked(chameleon, comp_id)
    with paused(chameleon.daemon):
        take(node)
        node.directory.mkdir(exist_ok=True)
    go.touch()
    until(lambda: after(chameleon, before) == {"lost": 1}, "it is counted as lost, and as nothing else")
    chameleon.until_logged(f"{node.alias} {comp_id}: lost, nobody will see its answer: ")
    assert node.ask("number 3")["result"] == {"value": 3}
    assert f"{comp_id}.complete" not in node.left()
    shown = chameleon.world.run("view", chameleon.name).stdout
    assert f"{counts(chameleon)['lost']} lost" in shown


def test_an_answer_is_counted_when_it_is_published(chameleon: Running) -> None:
    node = chameleon.attached()
    before = counts(chameleon)
    (node.directory / "kept.complete").mkdir()
    node.put("kept", "number 5")
    chameleon.until_logged(f"{node.alias} -: an answer cannot be published yet")
    assert after(chameleon, before) == {}
    (node.directory / "kept.complete").rmdir()
    assert node.answer("kept")["result"] == {"value": 5}
    until(lambda: after(chameleon, before) == {"success": 1}, "it is counted")


def test_what_is_on_no_disk_any_more_when_the_daemon_stops_is_told(chameleon: Running) -> None:
    node, _, go = asked(chameleon, "cut-off")
    node.put("long", "sleep 60")
    go.touch()
    node.answer("cut-off")
    node.until_claimed("long")
    with paused(chameleon.daemon):
        shutil.rmtree(node.directory / ".nectar")
    chameleon.world.run("stop", chameleon.name, "--timeout", "0")
    assert f"{node.alias} long: lost, nobody will see its answer: .nectar was removed" in chameleon.log()
    chameleon.world.run("start", chameleon.name)
    assert node.ask("number 3")["result"] == {"value": 3}
