"""The daemon's loop, with a clock and a selector in the test's hand: what is called, when, and what becomes of an exception."""

from __future__ import annotations

import gc
import random
import selectors
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest

from nectar.runtime.daemon.loop import BEAT, LONGEST_WAIT, READ, WRITE, Loop
from tests.units.machines import Clock

Call = Callable[[], None]


class Descriptors(selectors._BaseSelectorImpl):
    """:ivar ready: descriptors that are ready in the next round, in this order, and for what.
    :ivar waits: seconds that each round would have waited.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ready: dict[int, int] = {}
        self.waits: list[float | None] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waits.append(timeout)
        ready, self.ready = self.ready, {}
        keys = {descriptor: self.get_key(descriptor) for descriptor in ready}
        return [(keys[descriptor], events & keys[descriptor].events) for descriptor, events in ready.items()]


class Stage:
    """:ivar made: what was called, in order.
    :ivar told: exceptions that the loop told of, once there is somebody (:meth:`hear`).
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.descriptors = Descriptors()
        self.loop = Loop(self.clock, self.descriptors)
        self.made: list[str] = []
        self.told: list[Exception] = []

    def hear(self) -> None:
        self.loop.faulted = self.told.append

    def say(self, text: str) -> Call:
        return lambda: self.made.append(text)

    def watch(self, descriptor: int, call: Call, events: int = READ) -> None:
        self.loop.watch(descriptor, events, lambda _events: call())

    def turn(self, *ready: int) -> list[str]:
        """:returns: what was called meanwhile."""
        before = len(self.made)
        self.descriptors.ready = dict.fromkeys(ready, READ)
        self.loop.turn()
        return self.made[before:]

    def wait(self) -> float | None:
        """Go one round, and return the seconds that it would have waited."""
        self.turn()
        return self.descriptors.waits[-1]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def fail() -> None:
    raise MemoryError("there is none")


# --- times


def test_calls_are_made_when_they_are_due_in_order(stage: Stage) -> None:
    stage.loop.later(2, stage.say("later"))
    stage.loop.later(1, stage.say("soon"))
    stage.loop.later(1, stage.say("as soon"))
    stage.loop.later(1, stage.say("never")).cancel()
    for second, due in ((0, []), (0.999, []), (1, ["soon", "as soon"]), (1.5, []), (6, ["later"]), (100, [])):
        stage.clock.now = 1024 + second
        assert stage.turn() == due


@pytest.mark.parametrize("seed", range(5))
def test_of_many_the_earlier_is_first_and_of_those_of_one_time_whose_was_asked_for_first(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    asked = [(chance.randrange(10), number) for number in range(200)]
    for seconds, number in asked:
        stage.loop.later(seconds, stage.say(f"{seconds}.{number}"))
    stage.clock.now += 10
    assert stage.turn() == [f"{seconds}.{number}" for seconds, number in sorted(asked)]


def test_what_was_due_long_ago_is_due_now(stage: Stage) -> None:
    stage.loop.later(0, stage.say("at once"))
    stage.loop.later(-5, stage.say("after it"))
    assert stage.wait() == 0
    assert stage.made == ["at once", "after it"]


@pytest.mark.parametrize(
    ("seconds", "wait"), [((), None), ((5,), 5), ((5, 3, 4), 3), ((3600,), 3600), ((3601,), LONGEST_WAIT), ((1e12,), LONGEST_WAIT)]
)
def test_a_round_waits_for_what_comes_first_and_an_hour_at_most(
    stage: Stage, seconds: tuple[float, ...], wait: float | None
) -> None:
    assert LONGEST_WAIT == 3600
    for each in seconds:
        stage.loop.later(each, stage.say("due"))
    assert stage.wait() == wait
    assert stage.made == []


@pytest.mark.parametrize(("after", "beat"), [(0, 1), (0.49, 1), (0.51, 2), (1, 2), (1.3, 2), (7.4, 8), (7.6, 9)])
def test_a_beat_is_a_second_after_another_and_half_of_one_away_at_least(stage: Stage, after: float, beat: int) -> None:
    assert BEAT == 1.0
    stage.clock.now += after
    stage.loop.at_beat(stage.say("due"))
    stage.clock.now = 1024 + beat - 0.001
    assert stage.turn() == []
    stage.clock.now = 1024 + beat
    assert stage.turn() == ["due"]


def test_all_that_wait_for_a_beat_are_called_in_one_round_in_the_order_in_which_they_asked(stage: Stage) -> None:
    def again(text: str) -> None:
        stage.made.append(text)
        stage.clock.now += 0.1  # it takes its time
        stage.loop.at_beat(lambda: again(text))

    for text in ("first", "second", "third"):
        stage.loop.at_beat(lambda text=text: again(text))  # type: ignore[misc]
        stage.clock.now += 0.07
    stage.loop.at_beat(stage.say("never")).cancel()
    for second in range(1, 5):
        stage.clock.now = 1024.0 + second
        assert stage.turn() == ["first", "second", "third"]
        assert stage.wait() == pytest.approx(0.7)


def test_no_time_is_less_than_none(stage: Stage) -> None:
    stage.loop.later(1, stage.say("due"))
    stage.clock.now += 7
    assert stage.wait() == 0
    assert stage.made == ["due"]


def test_what_was_cancelled_is_not_waited_for(stage: Stage) -> None:
    timers = [stage.loop.later(second, stage.say("never")) for second in (1, 2, 3)]
    stage.loop.later(4, stage.say("due"))
    timers[2].cancel()
    timers[0].cancel()
    assert stage.wait() == 2
    timers[1].cancel()
    timers[1].cancel()
    assert stage.wait() == 4


def test_a_call_may_cancel_another_that_is_due_with_it(stage: Stage) -> None:
    stage.loop.later(1, lambda: later.cancel())  # noqa: PLW0108 - it is there by then
    later = stage.loop.later(1, stage.say("never"))
    stage.clock.now += 1
    assert stage.turn() == []


def test_one_that_was_cancelled_holds_nobody_any_more(stage: Stage) -> None:
    """Whoever has it has often what it was to call as well, which would be garbage in a circle."""
    gc.disable()
    try:
        held = Clock()
        gone = weakref.ref(held)
        timers = [stage.loop.later(1, lambda held=held: held()), stage.loop.within(fail).later(1, lambda held=held: held())]  # type: ignore[misc]
        del held
        for timer in timers:
            assert gone() is not None
            timer.cancel()
        assert gone() is None
    finally:
        gc.enable()
    stage.clock.now += 1
    assert stage.turn() == []


def test_deadlines_that_were_cancelled_are_cleared_where_there_are_more_than_64(stage: Stage) -> None:
    for _ in range(65):
        stage.loop.later(3600, stage.say("never")).cancel()
    assert len(stage.loop._timers) == 65
    stage.loop.later(1, stage.say("due"))
    assert len(stage.loop._timers) == 1
    for _ in range(100_000):
        stage.loop.later(3600, stage.say("never")).cancel()
        assert len(stage.loop._timers) <= 65
    stage.clock.now += 1
    assert stage.turn() == ["due"]


def test_clearing_looks_at_all_no_oftener_than_they_have_doubled_and_keeps_their_order(stage: Stage) -> None:
    cleared = []
    for number in range(1000, 0, -1):
        before = stage.loop._timers
        stage.loop.later(number, stage.say(str(number)))
        if stage.loop._timers is not before:
            cleared.append(len(before))
    assert cleared == [65, 131, 263, 527]
    for _ in range(1000):
        stage.loop.later(0.5, stage.say("never")).cancel()
    stage.clock.now += 1000
    assert stage.turn() == [str(number) for number in range(1, 1001)]


def test_what_becomes_due_in_a_round_waits_until_the_descriptors_were_looked_at(stage: Stage) -> None:
    def again() -> None:
        stage.made.append("due")
        stage.clock.now += 1  # it takes its time
        stage.loop.later(0, again)

    stage.loop.later(1, stage.say("meanwhile"))
    stage.loop.later(0, again)
    stage.watch(3, stage.say("ready"))
    assert stage.turn() == ["due"]
    assert stage.turn(3) == ["ready", "meanwhile", "due"]
    assert stage.turn(3) == ["ready", "due"]


def test_waking_makes_one_more_round_after_whoever_else_waits(stage: Stage) -> None:
    rounds: list[str] = []

    def each() -> None:
        rounds.append("".join(stage.made))
        stage.made.clear()
        if len(rounds) < 4:
            stage.loop.wake()
            stage.descriptors.ready = {3: READ}
        else:
            stage.loop.stop()

    stage.watch(3, stage.say("ready"))
    stage.loop.later(3, stage.say("never"))
    stage.loop.run(each)
    assert rounds == ["", "ready", "ready", "ready"]
    assert stage.descriptors.waits == [0, 0, 0]


# --- descriptors


def test_who_watches_is_told_what_it_is_ready_for(stage: Stage) -> None:
    told: list[tuple[int, int]] = []
    for descriptor, events in ((3, READ), (4, WRITE), (5, READ | WRITE)):
        stage.loop.watch(descriptor, events, lambda events, descriptor=descriptor: told.append((descriptor, events)))  # type: ignore[misc]
    stage.descriptors.ready = dict.fromkeys((5, 4, 3), READ | WRITE)
    stage.loop.turn()
    assert told == [(5, READ | WRITE), (4, WRITE), (3, READ)]


def test_watching_again_replaces_what_was_asked_for(stage: Stage) -> None:
    stage.watch(3, stage.say("before"), READ | WRITE)
    stage.watch(3, stage.say("after"))
    assert stage.turn(3) == ["after"]
    assert stage.descriptors.get_key(3).events == READ


def test_what_is_not_watched_may_be_forgotten(stage: Stage) -> None:
    stage.loop.forget(3)
    stage.loop.forget(-1)
    stage.watch(3, stage.say("never"))
    stage.loop.forget(3)
    stage.loop.forget(3)
    assert not stage.descriptors.get_map()


@pytest.mark.parametrize("again", [False, True], ids=["gone", "and its number is another's by now"])
def test_one_that_was_forgotten_in_the_same_round_is_not_called_any_more(stage: Stage, again: bool) -> None:
    def forget() -> None:
        stage.made.append("first")
        stage.loop.forget(4)
        if again:
            stage.watch(4, stage.say("another"))

    stage.watch(3, forget)
    stage.watch(4, stage.say("never"))
    stage.watch(5, stage.say("last"))
    assert stage.turn(3, 4, 5) == ["first", "last"]


# --- exceptions


def test_an_exception_out_of_a_call_is_told_and_the_others_are_made(stage: Stage) -> None:
    stage.hear()
    stage.watch(3, fail)
    stage.watch(4, stage.say("the other descriptor"))
    stage.loop.later(0, fail)
    stage.loop.later(0, stage.say("the other time"))
    assert stage.turn(3, 4) == ["the other descriptor", "the other time"]
    assert [type(error) for error in stage.told] == [MemoryError, MemoryError]


def test_where_nobody_is_told_it_comes_out_and_the_others_are_still_to_come(stage: Stage) -> None:
    stage.loop.later(0, fail)
    stage.loop.later(0, stage.say("the other"))
    with pytest.raises(MemoryError):
        stage.turn()
    assert stage.turn() == ["the other"]


def test_where_nobody_is_told_it_comes_out_of_a_run(stage: Stage) -> None:
    stage.loop.later(0, fail)
    with pytest.raises(MemoryError):
        stage.loop.run()
    with pytest.raises(MemoryError):
        stage.loop.run(fail)


def test_what_is_no_fault_comes_out_though_somebody_is_told(stage: Stage) -> None:
    def end() -> None:
        raise SystemExit(3)

    stage.hear()
    stage.loop.later(0, end)
    with pytest.raises(SystemExit):
        stage.turn()
    assert stage.told == []


def test_a_run_goes_on_after_an_exception_out_of_what_is_called_each_round(stage: Stage) -> None:
    def each() -> None:
        stage.made.append("round")
        stage.loop.wake()
        if len(stage.made) == 3:
            stage.loop.stop()
        fail()

    stage.hear()
    stage.loop.run(each)
    assert stage.made == ["round"] * 3
    assert len(stage.told) == 3


def test_once_it_is_stopped_nothing_more_is_called_each_round(stage: Stage) -> None:
    stage.loop.later(0, stage.loop.stop)
    stage.loop.later(0, stage.say("due with it"))
    stage.loop.run(stage.say("round"))
    assert stage.made == ["round", "due with it"]


def test_a_selector_that_fails_is_a_fault_like_any_other(stage: Stage) -> None:
    def faulted(error: Exception) -> None:
        stage.told.append(error)
        stage.loop.stop()

    def select(_timeout: float | None = None) -> Any:
        raise OSError(12, "there is no memory")

    stage.loop.faulted = faulted
    cast("Any", stage.descriptors).select = select
    stage.loop.run()
    assert [type(error) for error in stage.told] == [OSError]


# --- who can go on after one of his calls


def test_whose_call_it_was_mends_it(stage: Stage) -> None:
    stage.hear()
    first, second = stage.loop.within(stage.say("first")), stage.loop.within(stage.say("second"))
    first.later(0, fail)
    second.later(1, fail)
    second.watch(3, READ, lambda _events: fail())
    assert stage.turn() == ["first"]
    stage.clock.now += 1
    assert stage.turn() == ["second"]
    assert stage.turn(3) == ["second"]
    second.guarded(fail)()
    second.at_beat(fail)
    stage.clock.now += 1
    assert stage.turn() == ["second"]
    assert stage.made == ["first", "second", "second", "second", "second"]
    assert len(stage.told) == 5


def test_what_is_well_mends_nothing_and_is_the_same_loop(stage: Stage) -> None:
    inner = stage.loop.within(stage.say("mended"))
    assert inner.now() == 1024
    inner.later(1, stage.say("never")).cancel()
    inner.later(2, stage.say("due"))
    inner.watch(3, READ, lambda _events: stage.made.append("ready"))
    stage.clock.now += 2
    assert stage.turn(3) == ["ready", "due"]
    inner.forget(3)
    assert not stage.descriptors.get_map()


def test_one_within_another_mends_for_both(stage: Stage) -> None:
    stage.hear()
    stage.loop.within(stage.say("outer")).within(stage.say("inner")).later(0, fail)
    assert stage.turn() == ["outer", "inner"]
    assert len(stage.told) == 1


def test_mending_that_fails_is_told_too(stage: Stage) -> None:
    stage.hear()
    stage.loop.within(fail).later(0, fail)
    stage.turn()
    assert len(stage.told) == 2


def test_where_nobody_is_told_nothing_is_mended(stage: Stage) -> None:
    stage.loop.within(stage.say("mended")).later(0, fail)
    with pytest.raises(MemoryError):
        stage.turn()
    assert stage.made == []
