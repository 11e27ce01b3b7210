"""Asking a handler without a daemon, a node or a network: what ``nectar test`` does."""

from __future__ import annotations

import os
import select
import shlex
import tempfile
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.api.computation import ComputationResult
from nectar.errors import NectarError, UnresponsiveError
from nectar.manage.daemon import starting, variables
from nectar.manage.daemon.assignment import prepare
from nectar.manage.environment import store
from nectar.manage.handlers import granted
from nectar.manage.terminal import lend
from nectar.protocol import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from subprocess import Popen
    from typing import IO

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order, Prepared
    from nectar.manage.environment.generations import Environment
    from nectar.manage.source.source import Source
    from nectar.manage.terminal import Terminal

NEAR = 0.8
"""Of a deadline, what a run may take without a warning."""
SLOW = 1.0
"""Seconds that loading may take without one."""
LOOK = 0.1
"""Seconds between two calls of who wants to look at something else meanwhile."""


class Case(NamedTuple):
    """:ivar question: as a node would write it.
    :ivar expected: the answer that is right; None where any is.
    """

    name: str
    question: dict[str, Any]
    expected: int | None


def judge(answer: ComputationResult, event: dict[str, Any], expected: int | None) -> NectarError | None:
    """What is wrong with an answer.

    :param event: that told it.
    """
    if answer.error == "BdbQuit":
        return NectarError("The debugger was left, and so there is no answer.")
    if answer.status != "success":
        traceback = event["traceback"]
        where = None if traceback else event["where"]  # which says it better
        return NectarError(answer.error or f"The answer is {answer.status!r}.", where=where, hint=event["hint"], detail=traceback)
    if expected is not None and answer.value != expected:
        return NectarError(f"The answer is {answer.value}, and {expected} was expected.")
    return None


def ask(
    home: Home,
    order: Order,
    questions: Sequence[dict[str, Any]],
    *,
    report: Callable[[str], None],
    meanwhile: Callable[[], None] | None = None,
    debug: bool = False,
) -> Generator[dict[str, Any]]:
    """The same of a source, in the environment that launch would use; what its earlier trials have built goes afterwards.

    :param report: is given lines of progress for a person.
    :param meanwhile: called a few times a second while its processes run; what it raises ends them.
    :param debug: lend it our terminal, where its author takes all the time that it needs.
    :raises NectarError: its environment cannot be built, or it cannot be loaded.
    """
    from nectar.manage import gc  # slow to import, and --help does without

    begun = time.time()
    order = granted.check(home, order.source.name, order)
    with store.use(home, order.source, report=report, trial=True, walled=order.wall is not None) as built:
        try:
            prepared = prepare(home, order.source.name, order, built)
            with lend(relayed=order.wall is not None) if debug else nullcontext() as terminal:
                for event in try_questions(prepared, questions, meanwhile=meanwhile, terminal=terminal):
                    if event["event"] == "loaded":
                        event["warnings"] += [*_tell_undeclared(order.source, built), *_tell_slow(order.source, prepared, event)]
                    yield event
        finally:
            gc.drop_trials(home, order.source, but=built.key, before=begun)


def try_questions(
    prepared: Prepared,
    questions: Sequence[dict[str, Any]],
    *,
    meanwhile: Callable[[], None] | None = None,
    terminal: Terminal | None = None,
) -> Generator[dict[str, Any]]:
    """Load a handler in a worker, as launch would, and have it answer one question after another.

    Close the iterator to end it early; its processes are gone when it has been closed or used up.

    :param questions: objects as in a ``.pending`` file, with ``comp_id``.
    :param terminal: for the worker, which has no deadline then.
    :returns: what happens, each with ``event``: ``loaded`` with ``warnings``, ``output`` with ``text``, and ``answered`` with
        ``result``, as in a ``.complete`` file, ``traceback``, the author's or None, ``where``, what was asked, and ``hint``, what to do or
        None; and ``hook failed`` with ``message``, in which its name is, and ``traceback``, or None where that is in
        the output.
    :raises NectarError: it could not be loaded.
    :raises KeyboardInterrupt: it was interrupted at its terminal.
    """
    assignment, shown, lent = prepared.assignment.to_mapping(), None, None
    if terminal is not None:
        assignment["loading"]["variables"] |= variables.of_terminal(os.environ)
        shown, lent = terminal.to_mapping(), terminal.streams
    request = {"assignment": assignment, "computations": list(questions), "terminal": shown}
    with tempfile.TemporaryFile() as errors:
        once = starting.spawn(prepared, "once", errors=errors, lent=lent)
        left = len(questions)
        try:
            for event in _talk(once, request, meanwhile):
                if terminal is not None and terminal.interrupted and _tells_of_interrupt(event):
                    raise KeyboardInterrupt
                left -= event["event"] == "answered"
                if terminal is not None:
                    terminal.show()
                yield _complete(event, prepared)
        finally:
            if once.stdout is not None:
                once.stdout.close()  # else it would wait for somebody to read what the handler prints
            starting.end(once, prepared.assignment)
        if left and not (terminal is not None and terminal.interrupted):
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise UnresponsiveError("The process that tries the handler ended without a word.", detail=said or None)
        if left:
            raise KeyboardInterrupt


def _talk(once: Popen[bytes], request: dict[str, Any], meanwhile: Callable[[], None] | None) -> Iterator[dict[str, Any]]:
    """Ask it, and say what it tells. One that shares a terminal goes on when what there is to show of an event is shown."""
    assert once.stdin is not None and once.stdout is not None
    try:
        once.stdin.write(encode(request))
        once.stdin.flush()
        for line in _read_lines(once.stdout, meanwhile):
            event = decode(line)
            yield event
            if request["terminal"] is not None and event["event"] in ("loaded", "answered"):
                once.stdin.write(b"\n")
                once.stdin.flush()
    except BrokenPipeError:
        pass


def _complete(event: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """An event, with what is known here.

    :raises NectarError: it tells of a failure.
    """
    if event["event"] == "failed":
        raise prepared.explain(starting.read_failure(event))
    if event["event"] == "answered":
        error = event["result"]["error"]
        event["hint"] = None if error is None else prepared.find_hint(error, event["traceback"] or "")
        event["where"] = f"{prepared.entry.value} in {prepared.order.source.shown}"
    return event


def _tell_undeclared(source: Source, built: Environment) -> Iterator[str]:
    """What to say of imports that work by chance."""
    if source.kind not in ("package", "file"):
        return
    from nectar.manage import undeclared

    found = undeclared.find(built)
    if not found:
        return
    where = "" if source.kind == "package" else f"--script {shlex.quote(str(source.path))} "
    first, names = found[0].module, ", ".join(each.name for each in found)
    what = f"{first} imports" if all(each.module == first for each in found) else f"{first} and others import"
    comes = " ".join(dict.fromkeys(each.distribution for each in found))
    yield f"{what} {names}: not declared, and there only because another dependency needs it. To declare it: uv add {where}{comes}"


def _tell_slow(source: Source, prepared: Prepared, event: dict[str, Any]) -> Iterator[str]:
    """What to say of a handler that takes long to load."""
    if event["seconds"] > SLOW:
        module = f"-c 'import {prepared.entry.value.partition(':')[0]}'"
        what = shlex.quote(str(source.path)) if source.kind == "file" else module
        look = f"nectar exec {shlex.quote(source.shown)} -- python -X importtime {what}"
        yield f"Loading took {event['seconds']:.1f} s, and takes as long for each new worker. What of it is imports: {look}"


def tell_near(cases: Sequence[Case], answers: Sequence[ComputationResult], limit: float | None) -> Iterator[str]:
    """What to say where a run was about to overstay: of the one that came nearest.

    :param limit: the handler's own, in seconds.
    """
    near = 0.0, 0.0
    for case, answer in zip(cases, answers, strict=False):
        deadline = min(filter(None, (float(case.question.get("deadline") or 0), limit)), default=0.0)
        if answer.value is not None and (answer.execution_time or 0.0) > NEAR * deadline > 0:
            near = max(near, (answer.execution_time or 0.0, deadline))
    if near[0]:
        yield f"A run took {near[0]:.3g} s of the {near[1]:.3g} s that it has: in a moment when others compute, too, it will be a timeout."


def _tells_of_interrupt(event: dict[str, Any]) -> bool:
    said = event["result"]["error"] if event["event"] == "answered" else event.get("message")
    return str(said).endswith("KeyboardInterrupt")


def _read_lines(stream: IO[bytes], meanwhile: Callable[[], None] | None) -> Iterator[bytes]:
    """Its lines, until it ends."""
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    rest = b""
    while True:
        while meanwhile is not None:
            meanwhile()
            if poller.poll(1000 * LOOK):
                break
        piece = os.read(stream.fileno(), 65536)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
