"""Asking a handler without a daemon, a node or a network: what ``nectar test`` does."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Any

from nectar.errors import UnresponsiveError
from nectar.manage import gc
from nectar.manage.daemon import starting
from nectar.manage.daemon.assignment import prepare
from nectar.manage.environment import store
from nectar.protocol import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order, Prepared


def ask(
    home: Home, order: Order, questions: Sequence[dict[str, Any]], *, report: Callable[[str], None]
) -> Generator[dict[str, Any]]:
    """The same of a source, in the environment that launch would use; what its earlier trials have built goes afterwards.

    :param report: is given lines of progress for a person.
    :raises NectarError: its environment cannot be built, or it cannot be loaded.
    """
    begun = time.time()
    with store.use(home, order.source, report=report, trial=True) as built:
        try:
            yield from try_questions(prepare(home, order.source.name, order, built), questions, deadline=None)
        finally:
            gc.drop_trials(home, order.source, but=built.key, before=begun)


def try_questions(prepared: Prepared, questions: Sequence[dict[str, Any]], *, deadline: float | None) -> Generator[dict[str, Any]]:
    """Load a handler in a worker, as launch would, and have it answer one question after another.

    Close the iterator to end it early; its processes are gone when it has been closed or used up.

    :param questions: objects as in a ``.pending`` file, with ``comp_id``.
    :param deadline: seconds for each answer; None is each question's own.
    :returns: what happens, each with ``event``: ``loaded`` with ``warnings``, ``output`` with ``text``, and ``answered`` with
        ``result``, as in a ``.complete`` file, and ``traceback``, the author's or None; and ``hook failed`` with
        ``message``, in which its name is, and ``traceback``, or None where that is in the output.
    :raises NectarError: it could not be loaded.
    """
    request = {"assignment": prepared.assignment.to_mapping(), "computations": list(questions), "deadline": deadline}
    with tempfile.TemporaryFile() as errors:
        once = starting.spawn(prepared, "once", errors=errors)
        left = len(questions)
        try:
            assert once.stdin is not None and once.stdout is not None
            once.stdin.write(encode(request))
            once.stdin.flush()
            while line := once.stdout.readline():
                event = decode(line)
                if event["event"] == "failed":
                    raise prepared.explain(starting.read_failure(event))
                left -= event["event"] == "answered"
                yield event
        except BrokenPipeError:
            pass
        finally:
            starting.end(once, prepared.assignment)
        if left:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise UnresponsiveError("The process that tries the handler ended without a word.", detail=said or None)
