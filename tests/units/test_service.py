"""What a daemon does while it serves: how much at once, how often it looks, when its name is lost, and which requests it takes."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import ConflictError
from nectar.namelock import NameLock
from nectar.runtime.daemon.aliases.watcher import Watcher
from nectar.runtime.daemon.history import BOUNDS
from nectar.runtime.daemon.job import Failure, Outcome
from nectar.runtime.daemon.loop import BEAT
from nectar.runtime.daemon.service import AGAIN, ROUND, Service
from nectar.settings import Settings
from tests.units.machines import Stage, near
from tests.units.nodes import Directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.soak.machine import Process

    Make = Callable[..., "Served"]


class Served(Directories):
    """A service with its name, its nodes, and workers that do as the test says.

    :ivar stops: seconds that each end was asked for with, with the second.
    """

    def __init__(self, directory: Path, *names: str, **settings: Any) -> None:
        self.stage = Stage(**settings)
        super().__init__(directory, names, self.stage.machine, self.stage.loop)
        self.faults: list[Exception] = []
        self.loop.faulted = self.faults.append
        self.stops: list[tuple[float, float]] = []
        self.state = "serving"
        self.service = Service(
            "h",
            self.home,
            Settings(**settings),
            self.loop,
            self.stage.pool,
            stop=self._stop,
            state=lambda: self.state,
            watcher=Watcher(self.loop, self._watch),
            wall=self.wall,
        )

    def begin(self) -> Served:
        self.stage.begin()
        self.service.serve("b", [])
        self.go(0)
        return self

    def go(self, seconds: float) -> None:
        """Let so many seconds pass; after each turn of the loop, the pump runs, as it does in a daemon."""
        turn = self.loop.turn
        pump = self.loop.guarded(self.service.pump)

        def turn_and_pump() -> None:
            turn()
            pump()

        self.loop.turn = turn_and_pump  # type: ignore[method-assign]
        try:
            pump()
            self.stage.go(seconds)
        finally:
            del self.loop.turn

    def log(self) -> list[str]:
        """Its lines, without their time, and without the dashes that stand for no alias and no computation."""
        lines = [line.split(" ", 1)[1] for line in self.home.log("h").read_text().splitlines()]
        return [re.sub(r"^(\S+ +)(?:- -: |(\S+) -(?=:))", r"\1\2", line) for line in lines]

    def events(self) -> list[dict[str, Any]]:
        """The same, as programs read it."""
        return [json.loads(line) for line in self.home.events("h").read_text().splitlines()]

    def ask(self, do: str, **more: Any) -> dict[str, Any] | None:
        """What comes back of a request, where that is at once."""
        replies: list[dict[str, Any]] = []
        self.service._handle({"do": do, **more}, replies.append)
        return replies[0] if replies else None

    def answer(self, name: str) -> None:
        self.stage.answer(name)
        self.go(0)

    def close(self) -> None:
        self.service.pause()
        self.stage.stop(0)
        self.stage.go(2)
        self.service.close()
        self.service._log.close()
        os.close(self.service._lock._descriptor)

    def _stop(self, seconds: float) -> None:
        self.stops.append((self.machine.seconds, seconds))
        self.state = "stopping"
        self.service.pause()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Served] = []

    def make(*names: str, **settings: Any) -> Served:
        made.append(Served(tmp_path / "data", *names, **settings))
        return made[-1]

    yield make
    for served in made:
        served.close()


# --- questions


def test_a_hundred_questions_that_nobody_can_run_are_answered_before_others_have_their_turn(make: Make) -> None:
    served = make("one")
    for number in range(250):
        served.write("one", str(number), b"{}")
    served.stage.begin()
    served.service.serve("b", [])
    served.stage.go(0)  # it is listed, and nothing is taken
    assert ROUND == 100
    answered = []
    for _ in range(4):
        served.service.pump()
        answered.append(len(served.answered("one")))
        woken = [each for each in served.loop._timers if each[0] <= served.machine.now]
        assert bool(woken) is (answered[-1] < 250)
        served.loop.turn()
    assert answered == [100, 200, 250, 250]


@pytest.mark.parametrize(("seconds", "soon"), [(0, {"d"}), (0.02, set[str]())])
def test_no_more_is_claimed_than_there_are_workers_and_one_where_they_answer_at_once(
    make: Make, seconds: float, soon: set[str]
) -> None:
    served = make("one", workers=2, log_each=True)
    served.put("one", "a", "b", "c", "d", "e")
    served.begin()
    assert served.claimed("one") == {"a", "b"}
    served.go(seconds)
    served.answer("b")
    assert served.claimed("one") == {"a", "c", *soon}
    assert served.answered("one") == {"b"}
    assert served.log()[-1] == "INFO    one b: success (0.500 s)"


def test_an_error_is_told_with_its_traceback_and_kept_as_the_last(make: Make) -> None:
    served = make("one")
    served.write("one", "a", b"{}")

    def fail(process: Process) -> None:
        job = process.jobs.popitem()[1]
        text = (
            f'{{"do": "answer", "job": {job}, "status": "error", "error": "no", "traceback": "here\\nthere\\n", "seconds": 0.25}}'
        )
        served.machine.send(process, text)

    served.stage.work = fail
    served.begin()
    told = "The question cannot be answered: it has no field 'query'."
    assert served.log()[-1] == f"ERROR   one a: error (not run): {told}"
    served.put("one", "b")
    served.hint("one", "b")
    served.go(0)
    assert served.log()[-3:] == ["ERROR   one b: error (0.250 s): no", "ERROR   one b: | here", "ERROR   one b: | there"]
    status = served.ask("status")
    assert status is not None
    assert status["last_error"] == "no"
    assert status["counts"] == {"success": 0, "error": 2, "timeout": 0}


def test_what_keeps_a_worker_from_loading_is_not_told_as_of_the_question_that_failed_before(make: Make) -> None:
    served = make("one")
    served.write("one", "bad", b"{}")
    served.begin()
    assert (served.ask("status") or {})["last_failed"]["comp_id"] == "bad"
    served.service.failed(Failure("It fails."))
    status = served.ask("status") or {}
    assert (status["last_error"], status["last_failed"]) == ("It fails.", None)


def test_an_answer_that_the_network_changes_is_told_once_a_minute_and_without_it(make: Make) -> None:
    served = make("one", log_each=True)
    values = iter([2**32 - 1, 4242424242420, -7, 2**32])

    def work(process: Process) -> None:
        job = process.jobs.popitem()[1]
        served.machine.send(
            process, f'{{"do": "answer", "job": {job}, "status": "success", "value": {next(values)}, "seconds": 0.25}}'
        )

    served.stage.work = work
    served.begin()
    for comp_id, told in zip("abcd", (False, True, False, True), strict=True):
        served.go(31)
        before = len(served.log())
        served.put("one", comp_id)
        served.hint("one", comp_id)
        served.go(0)
        said = served.log()[before:]
        assert said[0] == f"INFO    one {comp_id}: success (0.250 s)"
        assert ["outside 0 … 2**32 - 1" in line for line in said[1:]] == [True] * told
        assert "42424" not in "".join(said)


def test_successes_are_counted_by_the_minute_and_at_the_end(make: Make) -> None:
    served = make("one", "two")
    served.begin()
    before = len(served.log())
    for comp_id, alias in (("a", "one"), ("b", "two"), ("c", "one")):
        served.put(alias, comp_id)
        served.hint(alias, comp_id)
        served.go(0)
        served.answer(comp_id)
    served.go(58)
    assert served.log()[before:] == []
    served.go(4)
    line = "INFO    {}: success: {} in 60 s (0.500 s on average, 0.500 s at most)"
    assert sorted(served.log()[before:]) == [line.format("one", 2), line.format("two", 1)]
    told = [(event["alias"], event["computation"]) for event in served.events()[before:]]
    assert sorted(told) == [("one", None), ("two", None)]
    served.put("one", "d")
    served.hint("one", "d")
    served.go(0)
    served.answer("d")
    served.service.pause()
    served.stage.stop(0)
    served.go(2)
    served.service.close()
    assert served.log()[-2:] == ["INFO    one: success: 1 in 2 s (0.500 s on average, 0.500 s at most)", "INFO    stopped"]


def test_the_events_say_whose_each_is(make: Make) -> None:
    served = make("one", log_each=True)
    served.put("one", "a")
    served.begin()
    served.service.printed(["half a thought"], "one a")
    served.service.warn("a hook failed", whose="one a")
    served.answer("a")
    ours = [event for event in served.events() if event["computation"] == "a"]
    assert [(event["level"], event["alias"], event["text"]) for event in ours] == [
        ("PRINT", "one", "half a thought"),
        ("WARNING", "one", "a hook failed"),
        ("INFO", "one", "success (0.500 s)"),
    ]


@pytest.mark.parametrize("settings", [{}, {"log_each": True}, {"log_answers": True}])
def test_query_and_value_are_private_unless_they_are_asked_for(make: Make, settings: dict[str, bool]) -> None:
    served = make("one", **settings)
    served.put("one", "a", query="a secret", metadata={"key": "hush"})
    served.stage.work = lambda process: served.machine.send(
        process, f'{{"do": "answer", "job": {process.jobs.popitem()[1]}, "status": "success", "value": 424242, "seconds": 0.25}}'
    )
    served.begin().go(61)
    for path in (served.home.log("h"), served.home.events("h")):
        text = path.read_text()
        assert "hush" not in text
        assert ("one a: success (0.250 s)" in text or '"computation": "a"' in text) == bool(settings)
        assert ("424242" in text) == ("a secret" in text) == ("log_answers" in settings)


@pytest.mark.parametrize(("expired", "runs"), [("run", True), ("skip", False)])
def test_a_question_that_is_too_old_is_skipped_where_that_is_wanted(make: Make, expired: str, runs: bool) -> None:
    served = make("one", expired=expired)
    served.put("one", "busy", deadline=40)
    served.put("one", "old", deadline=30)
    served.begin().go(41)  # the first is overdue by then
    assert served.answered("one") == ({"busy"} if runs else {"busy", "old"})
    if not runs:
        assert served.log()[-1] == (
            "ERROR   one old: timeout (not run): The question was older than its deadline of 30 s when it was picked up."
        )


@pytest.mark.parametrize(
    ("limit", "asked", "ended"), [(None, 5, 5), (2, 5, 2), (8, 5, 5), (None, 1e12, 10.0**9)], ids=["own", "lower", "higher", "ages"]
)
def test_a_run_has_the_lesser_of_the_questions_time_and_the_operators(
    make: Make, limit: float | None, asked: float, ended: float
) -> None:
    served = make("one", deadline=limit)
    served.put("one", "a", deadline=asked)
    served.begin()
    ((run,),) = (worker.runs for worker in served.stage.pool.workers)
    assert run.job.deadline == ended
    if ended < 100:
        served.go(ended)
        assert [second for _, second in served.machine.kills] == [ended]
        assert served.answered("one") == {"a"}


def test_what_was_interrupted_has_no_answer_and_neither_has_what_comes_after_its_alias_was_closed(make: Make) -> None:
    served = make("one", "two", workers=2, stop_timeout=0)
    served.put("one", "a")
    served.begin()
    (job,) = [run.job for worker in served.stage.pool.workers for run in worker.runs]
    served.attach("two")
    served.ask("sync")
    served.go(0.1)
    assert served.answered("one") == set()
    job.done(Outcome("success", value=1, seconds=1.0))
    job.done(None)
    assert served.answered("one") == set()
    assert served.faults == []


# --- each second


def test_what_no_event_tells_is_looked_for_a_second_after_the_last_look_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    served = make("one").begin()
    looks = []

    def look() -> None:
        looks.append(served.machine.seconds)
        if len(looks) == 2:
            served.machine.now += 3
        if len(looks) == 3:
            raise OSError("no")

    monkeypatch.setattr(served.service._aliases, "tick", look)
    served.go(8.5)
    assert BEAT == 1.0
    assert looks == [1, 2, 6, 7, 8]
    assert [str(fault) for fault in served.faults] == ["no"]


@pytest.mark.parametrize("what", ["log", "socket"])
def test_what_belongs_to_the_name_is_made_anew_within_a_second(make: Make, what: str) -> None:
    served = make("one").begin()
    path: Path = getattr(served.home, what)("h")
    served.go(0.5)
    path.unlink()
    served.go(0.4)
    assert not path.exists()
    served.go(0.1)
    assert path.exists()
    assert f"INFO    the {what} was moved, removed or replaced, and is made anew" in served.log()
    assert served.stops == []


def test_what_was_let_go_of_is_not_made_anew(make: Make) -> None:
    served = make()
    served.begin()
    served.service.close()
    served.stage.go(5)
    assert served.log()[-1] == "INFO    stopped"
    assert not served.home.socket("h").exists()


@pytest.mark.parametrize(("back", "lost"), [(0.2, False), (0.79, False), (0.81, True), (None, True)])
def test_a_name_that_is_missed_twice_is_lost(make: Make, back: float | None, lost: bool) -> None:
    """It is looked at each second, and once more 0.3 s after it was missed."""
    assert AGAIN == 0.3
    served = make("one", stop_timeout=7).begin()
    path = served.home.lock("h")
    aside = path.with_name("aside")
    served.go(0.5)
    path.rename(aside)
    if back is not None:
        served.loop.later(back, lambda: os.rename(aside, path))
    served.go(5)
    assert served.stops == ([(near(1.3), 7)] if lost else [])
    assert [line for line in served.log() if "so it stops" in line] == (
        [f"WARNING {path} is gone: no command can find this daemon any more, so it stops"] if lost else []
    )


def test_a_name_that_another_daemon_has_is_left_to_it_at_once_also_by_one_that_is_stopping(make: Make) -> None:
    served = make("one", stop_timeout=7).begin()
    path = served.home.lock("h")
    path.unlink()
    served.go(3)
    assert served.stops == [(near(1.3), 7)]
    another = NameLock(path, 1.0)
    served.go(2)
    assert served.stops[1:] == [(near(4), 0), (near(5), 0)]
    assert len([line for line in served.log() if "so it stops" in line]) == 1
    os.close(another._descriptor)


def test_a_name_that_was_missed_once_may_be_missed_again_later(make: Make) -> None:
    served = make("one").begin()
    path = served.home.lock("h")
    aside = path.with_name("aside")
    for until_just_before_a_look in (0.9, 0.8, 0.8):
        served.go(until_just_before_a_look)
        path.rename(aside)
        served.go(0.2)
        assert served.service._missed
        aside.rename(path)
    served.go(3)
    assert served.stops == []


def test_a_name_is_one_daemons(make: Make) -> None:
    served = make("one").begin()
    with pytest.raises(ConflictError):
        NameLock(served.home.lock("h"), 1.0)


def test_a_claim_that_nobody_runs_is_run_again_at_the_next_look_and_told_once(make: Make) -> None:
    served = make("one")
    served.put("one", "a")
    served.begin()
    for again in (1, 2):
        (worker,) = served.stage.pool.workers
        process = served.stage.who_has("a")
        worker.runs.clear()  # the bug
        process.jobs.clear()
        worker.rest()
        served.go(1)
        assert len(worker.runs) == 1, again
    served.answer("a")
    assert served.answered("one") == {"a"}
    (told,) = [line for line in served.log() if "ERROR" in line]
    assert told == "ERROR   one a: it was claimed and not run, by a bug of nectar's; it waits again"


# --- requests


def test_the_status_says_all_that_there_is(make: Make) -> None:
    served = make("one", "two", workers=2)
    served.put("one", "a", "b", "c")
    served.write("two", "bad", b"{}")
    begun = served.wall()
    for question in served.home.computations("one").iterdir():
        os.utime(question, (begun, begun))  # by the test's clock; a busy computer wrote it a while after that had begun
    served.begin().go(3)
    status = served.ask("status")
    assert status is not None
    pids = status.pop("workers")
    assert status.pop("version")
    latency = status.pop("latency")
    assert latency["p50"] == latency["p99"] is not None
    answers = status.pop("answers")
    assert [count for bound, count in answers["within"] if count] == [1] and len(answers["within"]) == len(BOUNDS)
    oldest = {name: alias.pop("oldest") for name, alias in status["aliases"].items()}
    assert oldest == {"one": near(3, within=0.6), "two": None}
    since = int(served.wall()) // 60 - int(begun) // 60  # another of the wall's minutes may have begun
    assert status == {
        "ok": True,
        "pid": os.getpid(),
        "started": begun,
        "state": "serving",
        "aliases": {"one": {"problem": None, "waiting": 2}, "two": {"problem": None, "waiting": 0}},
        "counts": {"success": 0, "error": 1, "timeout": 0},
        "queue": 2,
        "failing": None,
        "errors": None,
        "silent": None,
        "last_error": "The question cannot be answered: it has no field 'query'.",
        "last_failed": {"time": begun, "alias": "two", "comp_id": "bad", "status": "error"},
        "last_answered": begun,
        "hour": [0] * (59 - since) + [1] + [0] * since,
        "deaths": [],
        "deaths_in_all": 0,
        "workers_started": 2,
        "warnings": [],
        "watching": "events",
    }
    assert [each["state"] for each in pids] == ["busy", "idle"]
    served.hints.lives = False
    again = served.ask("status")
    assert again is not None
    assert again["watching"] == "rescans"
    history = served.ask("history")
    assert history is not None
    (index,) = [at for at, (_, count) in enumerate(answers["within"]) if count]
    queues = [minute.pop(4) for minute in history["minutes"]]
    assert max(queues) == 2
    minutes = [[int(begun) // 60, 0, 1, 0, [[index, 1]]], *[[int(begun) // 60 + 1, 0, 0, 0, []]] * since]
    assert history == {"ok": True, "bounds": BOUNDS, "minutes": minutes}


def test_a_handler_that_cannot_be_loaded_is_told_with_what_to_do_and_logged_once_a_minute(make: Make) -> None:
    served = make("one")

    def fail(process: Process) -> None:
        text = '{"do": "failed", "message": "It fails.", "where": "x.py:3", "hint": "Mend it.", "detail": "Traceback"}'
        served.machine.send(process, text)
        served.machine.end(process, 1)

    served.stage.load = fail
    served.begin()
    status = served.ask("status")
    assert status is not None
    assert status["failing"] == "It fails. Mend it."
    before = len(served.log())
    for _ in range(3):
        served.service.failed(Failure("It fails.", "x.py:3", "Mend it.", "Traceback"))
        served.go(29)
    assert served.log()[before:] == ["ERROR   It fails.", "ERROR   | x.py:3", "ERROR   | Mend it.", "ERROR   | Traceback"]
    served.service.failed(Failure("It fails."))
    assert served.log()[before + 4 :] == ["ERROR   It fails."]


@pytest.mark.parametrize("timeout", [0, 0.5, 10, 86400])
def test_an_end_may_be_asked_for_with_any_time_of_a_day(make: Make, timeout: float) -> None:
    served = make("one").begin()
    assert served.ask("stop", timeout=timeout) == {"ok": True, "pid": os.getpid()}
    assert served.stops == [(0, timeout)]


def test_an_end_that_is_asked_for_without_a_time_has_that_of_the_settings(make: Make) -> None:
    served = make("one", stop_timeout=33).begin()
    served.ask("stop")
    assert served.stops == [(0, 33)]


@pytest.mark.parametrize("timeout", [-0.1, 86400.1, math.inf, -math.inf, math.nan, True, None, "5", [5], 10**400])
def test_an_end_with_what_is_no_time_is_refused(make: Make, timeout: object) -> None:
    served = make("one").begin()
    with pytest.raises(ValueError, match="no number of seconds"):
        served.ask("stop", timeout=timeout)
    assert served.stops == []


@pytest.mark.parametrize("do", ["sync", "dance"])
def test_what_cannot_be_done_now_is_refused_with_the_state(make: Make, do: str) -> None:
    served = make("one")
    served.state = "taken"
    with pytest.raises(ValueError, match="it cannot be done while the daemon is taken"):
        served.ask(do)
    assert served.ask("status") is not None
    assert served.ask("stop", timeout=1) is not None


def test_a_sync_is_answered_when_all_that_is_detached_has_been_let_go_of(make: Make) -> None:
    served = make("one", "two", stop_timeout=4)
    served.put("one", "a")
    served.begin()
    served.attach("two")
    replies: list[tuple[float, dict[str, Any]]] = []
    served.service._handle({"do": "sync"}, lambda reply: replies.append((served.machine.seconds, reply)))
    served.go(1)
    assert replies == []
    served.answer("a")
    served.go(1)
    assert replies == [(near(1, within=0.051), {"ok": True, "attached": ["two"], "problems": {}})]
    assert served.answered("one") == {"a"}


# --- its end


def test_who_pauses_takes_nothing_more_and_answers_what_runs(make: Make) -> None:
    served = make("one", log_each=True)
    served.put("one", "a", "b")
    served.begin()
    served.service.pause()
    served.go(3)
    served.answer("a")
    served.go(3)
    assert served.answered("one") == {"a"}
    assert served.claimed("one") == set()
    assert served.log()[-2:] == ["INFO    stopping", "INFO    one a: success (0.500 s)"]


def test_what_was_printed_before_there_was_a_log_comes_after_the_first_line(make: Make) -> None:
    served = make("one")
    served.service.serve("pkg:f", ["early\x1b", "two"])
    lines = served.log()
    assert lines[0].startswith("INFO    started: nectar ")
    assert lines[0].endswith(", handler pkg:f")
    assert lines[1:3] == ["PRINT   early\\x1b", "PRINT   two"]


def test_it_is_silent_from_when_something_waited_and_not_from_when_something_was_done(make: Make) -> None:
    served = make("one")

    def told(what: str) -> Any:
        return (served.ask("status") or {})[what]

    served.begin().go(100)
    assert told("silent") is None, "nothing waits"
    shutil.rmtree(served.home.computations("one"))
    served.go(70)
    assert told("silent") == pytest.approx(70, abs=2 * BEAT)
    served.home.computations("one").mkdir()
    served.go(3)
    assert told("silent") is None
    served.put("one", "a", "b", deadline=1000)
    served.go(100)
    assert told("queue") == 1
    assert told("silent") is None, "what runs has time left"
