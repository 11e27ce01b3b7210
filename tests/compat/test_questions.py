"""Each question that 0.1.0 left is answered once, and as it should be."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from nectar import namelock
from tests.compat.before import CLAIM
from tests.world import until

if TYPE_CHECKING:
    from tests.compat.before import Left

pytestmark = pytest.mark.once

RUN = {"first": 15, ".dotted": 11, "second": 16, "waiting": 16}
"""Alice's questions that can be run, with their answers."""


def answer(left: Left, comp_id: str, *, alias: str = "alice") -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(left.complete(comp_id, alias=alias).read_bytes())
    assert fields["comp_id"] == comp_id
    return fields


def test_claims_and_what_waits(left: Left) -> None:
    before = left.spools()
    (written,) = [content for path, content in before.items() if "/.nectar/written.1." in path]
    left.run("start", "counter")
    left.go()
    left.until_answered([*RUN, "third", "written", "torn", "empty"])
    assert {comp_id: answer(left, comp_id)["result"]["value"] for comp_id in RUN} == RUN
    assert "it was tried 3 times" in answer(left, "third")["error"]
    assert left.complete("written").read_bytes() == written
    for comp_id in ("torn", "empty"):
        assert "it is not JSON" in answer(left, comp_id)["error"]
    until(lambda: not left.claims(), "no claim is left")
    left.run("stop", "counter")
    after = {path: content for path, content in left.spools().items() if "/alice/" in path}
    assert {path.rpartition("/")[2] for path in after} == {
        *(f"{comp_id}.complete" for comp_id in (*RUN, "third", "written", "torn", "empty", "unread", "raised"))
    }
    unread = [path for path in after if path.endswith(("/unread.complete", "/raised.complete"))]
    assert len(unread) == 2 and all(after[path] == before[path] for path in unread)
    assert (left.home.computations("alice") / "folder.pending").is_dir()


def test_other_nodes(left: Left) -> None:
    left.go()
    left.run("start", "greeter", "secretive", "twofold", "talker")
    values = {"bob": ("waiting", 24), "erin": ("stopped", 1230), "dave": ("waiting", 12)}
    for alias, (comp_id, value) in values.items():
        left.until_answered([comp_id], alias=alias)
        assert answer(left, comp_id, alias=alias)["result"] == {"value": value}
    until(lambda: not left.claims("grace"), "what was half done is done")
    (found,) = left.home.computations("grace").glob("half*.complete")
    assert answer(left, found.stem, alias="grace")["result"] == {"value": 3}
    assert not list((left.home.computations("grace") / ".nectar").glob("*.answer"))  # what was half written has gone


def test_tries_count_on(left: Left) -> None:
    left.run("start", "counter")

    def tries() -> dict[str, int]:
        matched = filter(None, map(CLAIM.fullmatch, left.claims()))
        return {match["comp_id"]: int(match["attempt"]) for match in matched}

    until(lambda: tries() == {"first": 2, ".dotted": 2, "second": 3, "waiting": 1}, "each has its next try")
    os.kill(left.registry()["counter"]["pid"], signal.SIGKILL)
    until(lambda: not namelock.is_running(left.home, "counter"), "its end is seen")
    left.run("start", "counter")
    until(lambda: tries() == {"first": 3, ".dotted": 3, "waiting": 2}, "each has its next try")
    assert "it was tried 3 times" in answer(left, "second")["error"]
    left.go()
    left.until_answered(["first", ".dotted", "waiting"])
    assert {name: answer(left, name)["result"]["value"] for name in ("first", ".dotted")} == {"first": 15, ".dotted": 11}
