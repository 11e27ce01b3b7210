"""What today's nectar writes can be read by 0.1.0: who goes back to it finds every handler and every question."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from tests.compat.before import CLAIM, HANDLERS, read_as_before
from tests.world import until

if TYPE_CHECKING:
    from tests.compat.before import Left

pytestmark = pytest.mark.once


def test_the_registry_and_what_stands_beside_it(left: Left) -> None:
    left.run("start", "counter", "secretive")
    left.run("attach", "counter", "nobody")
    records = read_as_before(left)
    assert list(records) == list(HANDLERS)
    for name in ("counter", "secretive"):
        assert records[name]["status"] == "running"
        lock = json.loads(left.home.lock(name).read_bytes())
        assert int(lock["pid"]) == records[name]["pid"] and float(lock["started"]) and str(lock["version"])
    # What a node reads of it, and with it any version.
    assert records["counter"]["attached_aliases"] == ["alice", "nobody"]
    given = left.home.variables("secretive")
    fields = json.loads(given.read_bytes())
    assert (fields["env"], fields["passed"]) == ({"TOKEN": "1000"}, {"PASSED": "30"})
    assert fields["files"] == [str(left.directory / "secrets.env")]
    assert stat.S_IMODE(given.stat().st_mode) == 0o600
    for record in records.values():
        marker = json.loads((left.home.envs / record["environment"] / "nectar.json").read_bytes())
        assert {"python_version", "distribution", "entries", "plugins", "distributions", "snapshot", "digests"} <= marker.keys()
        assert {"settings", "base_python"} <= marker.keys()
    left.go()


def test_claims_of_a_daemon_that_was_killed(left: Left) -> None:
    in_the_way = left.complete("unpublished")
    in_the_way.mkdir()
    left.put("unpublished", "abc")
    left.run("start", "counter")
    claims = left.home.computations("alice") / ".nectar"
    until(lambda: any(b'"claim"' in path.read_bytes() for path in claims.glob("unpublished.*")), "an answer is written")
    wanted = {"first", ".dotted", "second", "waiting", "unpublished"}
    until(lambda: {name.rsplit(".", 2)[0] for name in left.claims()} == wanted, "all are claimed")
    os.kill(left.registry()["counter"]["pid"], signal.SIGKILL)
    for name in left.claims():
        match = CLAIM.fullmatch(name)
        assert match is not None
        content = json.loads((claims / name).read_bytes())
        if match["comp_id"] == "unpublished":  # it is an answer only if it says whose claim it is
            assert (content["claim"], content["comp_id"], content["status"]) == (match["token"], "unpublished", "success")
            assert {"comp_id", "status", "result", "error", "execution_time"} <= content.keys()
        else:
            assert content["query"].startswith("wait") and "claim" not in content
    in_the_way.rmdir()


def test_claims_that_a_stop_left(left: Left) -> None:
    left.run("start", "counter")
    wanted = {"first", ".dotted", "second", "waiting"}
    until(lambda: {name.rsplit(".", 2)[0] for name in left.claims()} == wanted, "all are claimed")
    left.run("stop", "counter", "--timeout", "0")
    assert {name.rsplit(".", 2)[0] for name in left.claims()} == wanted
    left.go()
    left.run("start", "counter")
    left.until_answered(wanted)
