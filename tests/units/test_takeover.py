"""The steps of a takeover, each of which may fail: what is undone then, and what other commands have changed meanwhile stays.

What stands in for a daemon says of each step what the test wants; all else is the real thing.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar import namelock
from nectar.errors import ConflictError, NectarError, UnresponsiveError
from nectar.home import Home
from nectar.manage.daemon import given
from nectar.manage.daemon.assignment import Order, Prepared
from nectar.manage.daemon.given import Given
from nectar.manage.environment.generations import Environment
from nectar.manage.environment.marker import Marker
from nectar.manage.handlers import registry, turns
from nectar.manage.handlers.registry import Record
from nectar.manage.handlers.takeover import Launched, Takeover
from nectar.manage.source.source import open_source
from nectar.protocol import Assignment, EntryPoint, Loading
from nectar.settings import Settings
from tests.world import processes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")  # a daemon that serves is nobody's child to wait for

STEPS = ("loaded", "taken", "serving")
DAEMON = """
import json, os, sys
from pathlib import Path

fails, how, registry, changed = {fails!r}, {how!r}, Path({registry!r}), {changed!r}
for state, line in zip(("loaded", "taken", "serving"), sys.stdin):
    if state == "serving" and changed is not None:
        records = json.loads(registry.read_text())
        records["h"] |= changed
        registry.with_suffix(".stand-in").write_text(json.dumps(records))
        registry.with_suffix(".stand-in").replace(registry)
    if state == fails:
        if how == "says so":
            print(json.dumps({{"schema": 1, "state": "failed", "kind": "conflict", "message": "It cannot."}}), flush=True)
        break
    print(json.dumps({{"schema": 1, "state": state, "warnings": []}}), flush=True)
"""
OLD = """
import fcntl, json, os, sys, time
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, json.dumps({"pid": os.getpid(), "started": 1.0, "version": "0"}).encode())
print(flush=True)
time.sleep(600)
"""


class Stage:
    """A data dir, a handler called ``h``, and what is to happen.

    :ivar fails: the step that the daemon fails at; it ``says so`` or, with "dies", ends without a word.
    :ivar changed: fields of the record that another command changes right before the last step's end.
    """

    def __init__(self, directory: Path) -> None:
        self.home = Home(directory / "data")
        self.home.create()
        for alias in ("alice", "bob", "carol"):
            self.home.computations(alias).mkdir(parents=True)
        (directory / "h.py").write_text("from nectar import handler\n@handler\ndef h(comp): return 1\n")
        self.source = open_source(str(directory / "h.py"))
        self.script = directory / "start.py"
        self.fails: str | None = None
        self.how = "says so"
        self.changed: dict[str, Any] | None = None

    def prepared(self, aliases: tuple[str, ...], env: dict[str, str]) -> Prepared:
        self.script.write_text(
            DAEMON.format(fails=self.fails, how=self.how, registry=str(self.home.registry), changed=self.changed)
        )
        kept = Given(env=env)
        entry = EntryPoint("h", "h:h")
        marker = Marker(
            python_version="3.11.0", distribution="h 0", entries=(entry,), plugins=(), distributions=[], settings={}, digests={}
        )
        loading = Loading(python=sys.executable, entry=entry, directory="/")
        return Prepared(
            order=Order(source=self.source, given=kept, aliases=aliases),
            environment=Environment("key", self.home.envs / "key", marker),
            entry=entry,
            settings=Settings(),
            given=kept,
            assignment=Assignment(name="h", data_dir=str(self.home.data_dir), loading=loading),
            python=Path(sys.executable),
            script=self.script,
        )

    def take_over(
        self, *aliases: str, replaced: Record | None = None, meanwhile: Record | None = None
    ) -> tuple[Takeover, Launched]:
        """Have a daemon take the name.

        :param meanwhile: what another command has made of the record since this one began.
        """
        with turns.begin(self.home, "h", report=lambda _text: None) as attempt:
            if meanwhile is not None:
                self.record(meanwhile)
            self.takeover = Takeover(self.home, "h", self.prepared(aliases, {"NEW": "1"}), attempt, replaced=replaced)
            return self.takeover, self.takeover.run()

    def record(self, record: Record) -> Record:
        with registry.change(self.home) as records:
            records["h"] = record
        return record

    def keep(self, env: dict[str, str]) -> None:
        path = self.home.variables("h")
        path.write_text(json.dumps({"env": env, "files": [], "passed": {}, "login": None}))

    @property
    def variables(self) -> dict[str, str]:
        return given.read(self.home, "h").env

    @contextmanager
    def old_daemon(self) -> Iterator[subprocess.Popen[str]]:
        old = subprocess.Popen([sys.executable, "-c", OLD, self.home.lock("h")], stdout=subprocess.PIPE, text=True)
        try:
            assert old.stdout is not None
            old.stdout.readline()
            yield old
        finally:
            old.kill()
            old.communicate()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Its daemons end by themselves where they serve."""
    yield Stage(tmp_path)
    until(lambda: not processes(tmp_path), "they have ended")


def test_all_steps_leave_a_record_and_variables(stage: Stage) -> None:
    takeover, launched = stage.take_over()
    record = registry.read(stage.home)["h"]
    assert record == launched.record
    assert (record.status, record.desired, record.environment, record.entry) == ("running", "running", "key", "h:h")
    assert stage.variables == {"NEW": "1"}
    assert not takeover.in_vain


@pytest.mark.parametrize("how", ["says so", "dies"])
@pytest.mark.parametrize("step", STEPS)
def test_a_first_launch_that_fails_leaves_nothing(stage: Stage, step: str, how: str) -> None:
    stage.fails, stage.how = step, how
    with pytest.raises(ConflictError if how == "says so" else UnresponsiveError):
        stage.take_over("alice")
    assert registry.read(stage.home) == {}
    assert {path.suffix for path in stage.home.handlers.iterdir()} == {".start"} | ({".turn"} if step != "loaded" else set())
    assert not stage.takeover.in_vain


@pytest.mark.parametrize("step", STEPS)
def test_what_was_there_comes_back(stage: Stage, step: str) -> None:
    before = stage.record(Record(handler="old.py", attached_aliases=("bob",), created=1.0, started=2.0, other={"of": "others"}))
    stage.keep({"OLD": "1"})
    stage.fails = step
    with pytest.raises(NectarError):
        stage.take_over("alice", replaced=before)
    assert registry.read(stage.home) == {"h": before}
    assert stage.variables == {"OLD": "1"}


@pytest.mark.parametrize("step", STEPS)
def test_an_old_daemon_is_stopped_only_when_the_new_one_has_loaded(stage: Stage, step: str) -> None:
    with stage.old_daemon() as old:
        before = stage.record(Record(status="running", desired="running", pid=old.pid, effective={"stop_timeout": 0}))
        stage.fails = step
        with pytest.raises(ConflictError, match="It cannot"):
            stage.take_over(replaced=before)
        stopped = step != "loaded"
        assert namelock.is_running(stage.home, "h") is not stopped
        assert stage.takeover.in_vain is stopped
        assert old.wait(60) == -signal.SIGTERM if stopped else old.poll() is None


def test_a_stop_of_the_old_one_is_not_in_vain_where_the_new_one_serves(stage: Stage) -> None:
    with stage.old_daemon() as old:
        before = stage.record(Record(status="running", desired="running", pid=old.pid, effective={"stop_timeout": 0}))
        takeover, launched = stage.take_over(replaced=before)
    assert not takeover.in_vain
    assert launched.record.pid != old.pid


def test_the_aliases_are_those_of_now_and_what_was_asked_for(stage: Stage) -> None:
    begun = stage.record(Record(attached_aliases=("alice", "bob"), created=1.0))
    # Since it began, alice was detached and carol attached.
    _, launched = stage.take_over("alice", "bob", meanwhile=begun.but(attached_aliases=("bob", "carol"), other={"of": "others"}))
    assert launched.record.attached_aliases == ("bob", "carol")
    assert launched.record.other == {"of": "others"}


def test_an_alias_that_another_handler_has_fails_before_it_is_written(stage: Stage) -> None:
    with registry.change(stage.home) as records:
        records["other"] = Record(attached_aliases=("alice",))
    with pytest.raises(ConflictError, match="'other'"):
        stage.take_over("alice")
    assert list(registry.read(stage.home)) == ["other"]
    assert not stage.home.variables("h").exists()


def test_what_others_attach_and_detach_while_it_fails_stays(stage: Stage) -> None:
    before = stage.record(Record(handler="old.py", attached_aliases=("bob",), created=1.0))
    stage.fails = "serving"
    stage.changed = {"attached_aliases": ["alice", "carol"]}  # bob was detached, carol attached; alice is this command's
    with pytest.raises(ConflictError):
        stage.take_over("alice", replaced=before)
    assert registry.read(stage.home)["h"] == before.but(attached_aliases=("carol",))


def test_a_record_that_is_another_commands_by_now_stays(stage: Stage) -> None:
    stage.fails = "serving"
    stage.changed = {"started": 7.0, "handler": "theirs.py"}
    with pytest.raises(ConflictError):
        stage.take_over()
    assert registry.read(stage.home)["h"].handler == "theirs.py"


@pytest.mark.parametrize(
    ("now", "what"),
    [(None, "removed"), (Record(created=2.0), "launched anew"), (Record(created=1.0, desired="stopped"), "stopped")],
)
def test_a_later_word_counts(stage: Stage, now: Record | None, what: str) -> None:
    stage.record(Record(created=1.0, desired="running"))
    with turns.begin(stage.home, "h", report=lambda _text: None) as attempt:
        with registry.change(stage.home) as records:
            del records["h"]
            if now is not None:
                records["h"] = now
        takeover = Takeover(stage.home, "h", stage.prepared((), {}), attempt)
        with pytest.raises(ConflictError, match=f"was {what} meanwhile"):
            takeover.run()
    assert registry.read(stage.home) == ({} if now is None else {"h": now})
