"""Every verb works on what 0.1.0 left, and loses nothing of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compat.before import HANDLERS, KILLED, read_as_before

if TYPE_CHECKING:
    from tests.compat.before import Left

pytestmark = pytest.mark.once


def test_view(left: Left) -> None:
    before = left.spools()
    shown = {each["name"]: each for each in left.json("view")["handlers"]}
    assert {name: each["attached_aliases"] for name, each in shown.items()} == HANDLERS
    assert {each["status"] for each in shown.values()} == {"stopped"}
    assert [name for name, each in shown.items() if each["desired"] == "running"] == [*KILLED]
    table = left.run("view").stdout
    for name in HANDLERS:
        assert name in table
        assert left.json("view", name)["attached_aliases"] == HANDLERS[name]
    told = left.run("view", "secretive").stdout
    assert "FILED, PASSED, TOKEN" in told and "1000" not in told
    assert left.spools() == before


def test_doctor(left: Left) -> None:
    told = left.run("doctor", code=None).stdout
    for name in KILLED:
        assert f"{name}: it should run, and does not" in told
    assert "twofold is attached to frank, which is not there." in told
    assert "environment of" not in told  # each is as it was built


def test_logs(left: Left) -> None:
    for name in HANDLERS:
        told = left.run("logs", name, "--lines", "1000", "--no-follow").stdout
        assert f"{left.registry()[name]['attached_aliases'][0]}" in told
    assert "alice written: success" in left.run("logs", "counter", "--no-follow").stdout
    assert "words words" in left.run("logs", "talker", "--lines", "40", "--no-follow").stdout  # before it was rotated


def test_start_and_stop_of_all(left: Left) -> None:
    left.go()
    before = left.registry()
    started = left.run("start", "--all")
    assert "It is built again" not in started.stderr
    records = read_as_before(left)
    assert {name: record["attached_aliases"] for name, record in records.items()} == HANDLERS
    assert {(record["status"], record["desired"]) for record in records.values()} == {("running", "running")}
    kept = ("handler", "source", "environment", "entry", "handler_name", "asked_entry", "settings", "effective", "created")
    for name, record in records.items():
        assert {field: record[field] for field in kept} == {field: before[name][field] for field in kept}
    left.run("stop", "--all")
    assert {(record["status"], record["desired"]) for record in read_as_before(left).values()} == {("stopped", "stopped")}


def test_submit_attach_and_detach(left: Left) -> None:
    left.go()
    left.run("detach", "twofold", "frank", "dave")  # it does not run, and one of them is not there
    left.run("start", "twofold", "secretive")
    assert left.run("submit", "carol", "four").stdout == "12\n"
    left.run("attach", "twofold", "nobody")
    assert left.run("submit", "nobody", "four").stdout == "12\n"
    assert left.run("attach", "twofold", "erin", code=4).stderr
    left.run("detach", "twofold", "carol")
    assert left.registry()["twofold"]["attached_aliases"] == ["nobody"]
    assert left.run("submit", "erin", "sum").stdout == "1230\n"  # with what --env, --env-file and pass_env gave


def test_what_the_killed_were_writing_goes(left: Left) -> None:
    assert list(left.home.handlers.glob("*.new")) and list(left.home.nectar.glob("*.new"))
    left.go()
    left.run("start", "secretive")
    assert not list(left.home.handlers.glob("*.new")) and not list(left.home.nectar.glob("*.new"))
    assert left.run("submit", "erin", "sum").stdout == "1230\n"


def test_exec(left: Left) -> None:
    program = "import twofold; print(twofold.triple.__name__)"
    assert left.run("exec", "twofold", "--", "python", "-c", program).stdout == "triple\n"
    told = left.run("exec", "secretive", "--", "python", "-c", "import os; print(os.environ['TOKEN'], os.environ['PASSED'])")
    assert told.stdout == "1000 30\n"


def test_gc_takes_what_was_never_finished(left: Left) -> None:
    environments = {record["environment"] for record in left.registry().values()}
    assert list(left.home.envs.glob(".build-*"))
    left.run("gc", "--dry-run")
    left.run("gc")
    assert {path.name for path in left.home.envs.iterdir() if path.is_dir()} - {".locks"} == environments
    left.run("start", "greeter")
    assert left.run("submit", "bob", "four").stdout == "8\n"


def test_remove(left: Left) -> None:
    left.run("remove", "twofold", "secretive", "talker")
    assert [*left.registry()] == ["greeter", "counter"]
    for directory in (left.home.handlers, left.home.logs):
        assert {path.name.split(".")[0] for path in directory.iterdir()} == {"greeter", "counter"}
    left.run("attach", "counter", "grace", code=4)  # it does not run
    left.run("start", "counter")
    left.run("attach", "counter", "grace")
    assert left.run("submit", "grace", "ab 12").stdout == "2\n"


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_what_other_programs_wrote_stays(left: Left, verb: str) -> None:
    records = left.registry()
    for record in records.values():
        record["noted"] = {"by": ["another version"]}
    strange = {"of-another-program": "text", "with/slash": {"status": "running"}}
    left.home.registry.write_text(json.dumps({**records, **strange}))
    if verb == "start":
        left.run("start", "greeter", "twofold")
        left.run("attach", "greeter", "nobody")
        left.run("stop", "twofold")
    else:
        left.run("stop", "counter")  # as it should run
        left.run("detach", "talker", "grace")
        left.run("remove", "secretive")
        del records["secretive"]
    after = left.registry()
    assert {name: after[name] for name in strange} == strange
    assert {name for name in after if name not in strange} == records.keys()
    assert all(after[name]["noted"] == {"by": ["another version"]} for name in records)


@pytest.mark.uv
def test_what_is_gone_is_built_again(bare: Left) -> None:
    bare.go()
    started = bare.run("start", "counter", "twofold")
    assert started.stderr.count("It is built again") == 2
    assert bare.run("submit", "alice", "ab 12").stdout == "2\n"
    assert bare.run("submit", "carol", "four").stdout == "12\n"
    assert "environment" in bare.run("view", "greeter").stdout
    assert "it was never finished" in bare.run("doctor", code=None).stdout


@pytest.mark.uv
def test_restart_test_and_launch(left: Left) -> None:
    left.go()
    assert (
        "✅ Handler test passed!" in left.run("test", "twofold", "--handler", "double", "--query", "four", "--expect", "8").stdout
    )
    left.run("restart", "greeter", "secretive")
    assert left.run("submit", "bob", "four").stdout == "8\n"
    assert left.run("submit", "erin", "sum").stdout == "1230\n"
    left.run("launch", "twofold", "--handler", "double", "--attach", "nobody")
    record = left.registry()["twofold"]
    assert record["attached_aliases"] == ["carol", "dave", "frank", "nobody"]
    assert left.run("submit", "dave", "four").stdout == "8\n"
    left.run("launch", "talker.py", "talker", "--attach", "alice", code=4)  # it is counter's
