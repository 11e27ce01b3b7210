"""``--side-by-side N``: the tests run in N processes, which are forked when all is collected.

Those of pytest-xdist collect each for itself: with seven, a twentieth of all the processors' time, and before any test.
Whoever is free takes the next tests of the list, so that the order in which they are collected is that in which they begin.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds for a process to tear down what it has set up, when all is broken off."""


def is_long(item: pytest.Item) -> bool:
    """Whether a test takes long, or waits long: such come first, and one at a time."""
    return any(item.get_closest_marker(name) for name in ("soak", "waits"))


class Runner:
    """One of the processes, as it is seen from the first.

    :ivar given: the places in the list of the tests that it was given and has not begun.
    :ivar running: the one that it has begun.
    """

    def __init__(self, session: pytest.Session, number: int, others: list[Connection], begin: Callable[[], None]) -> None:
        self.channel, theirs = multiprocessing.Pipe()
        self.given: deque[int] = deque()
        self.running: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            for channel in (self.channel, *others):  # or it would not notice that the first process has ended
                channel.close()
            _run(session, number, theirs, begin)
        theirs.close()


def run(session: pytest.Session, count: int, begin: Callable[[], None]) -> None:
    """Run a session's tests.

    :param begin: called in each of the processes, first of all.
    """
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # in which each has one
    queue = _Queue(session.items, count)
    runners: dict[Connection, Runner] = {}
    number = 0
    try:
        while queue or runners:
            while len(runners) < count and queue:
                made = Runner(session, number, [*runners], begin)
                number += 1
                runners[made.channel] = made
                queue.give(made)
            for channel in wait([*runners]):
                assert isinstance(channel, Connection)
                if not _hear(session, runners[channel], queue):
                    ended = runners.pop(channel)
                    queue.take_back(ended)
                    _bury(session, ended)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
    finally:
        _end(runners.values())


class _Queue:
    """The places of tests that nobody has been given yet, module by module."""

    def __init__(self, items: list[pytest.Item], count: int) -> None:
        self._items = items
        self._left = deque(range(len(items)))
        self._count = count

    def __bool__(self) -> bool:
        return bool(self._left)

    def give(self, runner: Runner) -> None:
        """Give the next tests of one module, which may share what takes long to set up; the fewer are left, the fewer at a time."""
        most = len(self._left) // (2 * self._count)
        given: list[int] = []
        while self._left and (not given or self._goes_along(given, most)):
            given.append(self._left.popleft())
        runner.given += given
        runner.channel.send(given)

    def _goes_along(self, given: list[int], most: int) -> bool:
        first, following = self._items[given[0]], self._items[self._left[0]]
        return len(given) < most and first.path == following.path and not is_long(first) and not is_long(following)

    def take_back(self, runner: Runner) -> None:
        self._left.extendleft(reversed(runner.given))


def _hear(session: pytest.Session, runner: Runner, queue: _Queue) -> bool:
    """Do what one of the processes wants, and return whether it goes on."""
    try:
        kind, told = runner.channel.recv()
        if kind == "more":
            queue.give(runner)
        elif kind == "begins":
            runner.running = runner.given.popleft()
        elif kind == "ended":
            runner.running = None
        elif kind == "report":
            report = session.config.hook.pytest_report_from_serializable(config=session.config, data=told)
            session.config.hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            session.config.hook.pytest_warning_recorded.call_historic(kwargs=told)
    except (EOFError, ConnectionError):
        return False
    return True


def _bury(session: pytest.Session, runner: Runner) -> None:
    """Tell of a process that has ended, unless it had nothing more to do."""
    runner.channel.close()
    code = os.waitstatus_to_exitcode(os.waitpid(runner.pid, 0)[1])
    if code == 0 and runner.running is None:
        return
    said = f"the process that ran it ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
    if runner.running is None:  # another one would end, too
        raise RuntimeError(f"between two tests, {said}")
    item = session.items[runner.running]
    report = pytest.TestReport(item.nodeid, item.location, {}, "failed", said, "call")
    session.config.hook.pytest_runtest_logreport(report=report)


def _end(runners: Any) -> None:
    for runner in runners:
        os.kill(runner.pid, signal.SIGINT)
    end = time.monotonic() + PATIENCE
    for runner in runners:
        try:
            while time.monotonic() < end:
                if runner.channel.poll(end - time.monotonic()):
                    runner.channel.recv()
        except (EOFError, ConnectionError):
            pass
        else:
            os.kill(runner.pid, signal.SIGKILL)
        os.waitpid(runner.pid, 0)


class _Telling:
    """A plugin that tells the first process what becomes of the tests."""

    def __init__(self, config: pytest.Config, channel: Connection) -> None:
        self._config = config
        self._channel = channel

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._channel.send(("report", self._config.hook.pytest_report_to_serializable(config=self._config, report=report)))

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: object) -> None:
        warning_message.source = None
        told = {"warning_message": warning_message, "when": when, "nodeid": nodeid, "location": location}
        self._channel.send(("warning", told))


def _run(session: pytest.Session, number: int, channel: Connection, begin: Callable[[], None]) -> None:
    """Run what tests are given, and end this process."""
    code = 1
    try:
        signal.signal(signal.SIGINT, _interrupt_once)
        _make_own(session.config, number)
        begin()
        session.config.pluginmanager.register(_Telling(session.config, channel))
        given = deque(channel.recv())
        while given:
            item = session.items[given.popleft()]
            if not given:
                channel.send(("more", None))
                given += channel.recv()
            channel.send(("begins", None))
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=session.items[given[0]] if given else None)
            channel.send(("ended", None))
        code = 0
    except (KeyboardInterrupt, EOFError, ConnectionError):
        pass
    except Exception:
        traceback.print_exc()
    finally:
        try:
            session._setupstate.teardown_exact(None)
        finally:
            os._exit(code)


def _interrupt_once(_number: int, _frame: object) -> None:
    """A terminal interrupts all processes, and then the first process interrupts each, while that tears down what it has set up."""
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    raise KeyboardInterrupt


def _make_own(config: pytest.Config, number: int) -> None:
    """Have an own place for what is captured, for temporary files, and what is to be printed printed by the first process alone."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    config.get_terminal_writer()._file = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    directories = config._tmp_path_factory  # type: ignore[attr-defined]
    directories._basetemp = directories.mktemp(f"process{number}", numbered=False)
