"""Asking a handler without a daemon, a node or a network: what ``nectar test`` does."""

from __future__ import annotations

import os
import select
import tempfile
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.api.computation import ComputationResult
from nectar.errors import NectarError, UnresponsiveError
from nectar.manage import gc
from nectar.manage.daemon import starting, variables
from nectar.manage.daemon.assignment import prepare
from nectar.manage.environment import store
from nectar.manage.terminal import lend
from nectar.protocol import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import IO

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order, Prepared
    from nectar.manage.terminal import Terminal

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
    begun = time.time()
    with store.use(home, order.source, report=report, trial=True) as built:
        try:
            prepared = prepare(home, order.source.name, order, built)
            with lend() if debug else nullcontext() as terminal:
                yield from try_questions(prepared, questions, meanwhile=meanwhile, terminal=terminal)
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
    assignment, lent, shown = prepared.assignment.to_mapping(), None, None
    if terminal is not None:
        lent, shown = terminal.streams, terminal.to_mapping()
        assignment["loading"]["variables"] |= variables.of_terminal(os.environ)
    request = {"assignment": assignment, "computations": list(questions), "terminal": shown}
    with tempfile.TemporaryFile() as errors:
        once = starting.spawn(prepared, "once", errors=errors, lent=lent)
        left = len(questions)
        assert once.stdin is not None and once.stdout is not None
        try:
            once.stdin.write(encode(request))
            once.stdin.flush()
            for line in _read_lines(once.stdout, meanwhile):
                event = decode(line)
                if terminal is not None and terminal.interrupted and _tells_of_interrupt(event):
                    raise KeyboardInterrupt
                if event["event"] == "failed":
                    raise prepared.explain(starting.read_failure(event))
                if event["event"] == "answered":
                    left -= 1
                    error = event["result"]["error"]
                    event["hint"] = None if error is None else prepared.find_hint(error, event["traceback"] or "")
                    event["where"] = f"{prepared.entry.value} in {prepared.order.source.shown}"
                yield event
                if terminal is not None and event["event"] in ("loaded", "answered"):
                    once.stdin.write(b"\n")  # what there is to show of that is shown
                    once.stdin.flush()
        except BrokenPipeError:
            pass
        finally:
            once.stdout.close()  # else it would wait for somebody to read what the handler prints
            starting.end(once, prepared.assignment)
        if left and terminal is not None and terminal.interrupted:
            raise KeyboardInterrupt
        if left:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise UnresponsiveError("The process that tries the handler ended without a word.", detail=said or None)


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
