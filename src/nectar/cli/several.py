"""A verb for several handlers: a line names each, what went wrong says what runs now, and the last line counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nectar import namelock
from nectar.cli.output import make_error_fields
from nectar.cli.render import make_launched_fields, show_launched, show_line
from nectar.errors import NectarError, from_system
from nectar.manage.handlers import handlers

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.cli.session import Session
    from nectar.home import Home
    from nectar.manage.handlers.registry import Record
    from nectar.manage.handlers.takeover import Launched
    from nectar.manage.up import Outcome


class Tally:
    """What has become of the handlers of one command.

    :param verb: as in "18 restarted".
    :param count: how many they are.
    :param as_json: tell it as one object at the end, and not line by line.
    """

    def __init__(self, session: Session, verb: str, count: int, *, as_json: bool = False) -> None:
        self._home = session.home
        self._output = session.output
        self._verb = verb
        self._several = count > 1
        self._done = self._left = 0
        self._failed: list[str] = []
        self._rows: list[dict[str, Any]] | None = [] if as_json else None
        self.code = 0

    def report(self, name: str) -> Callable[[str], None]:
        """What a call for it is to tell of its progress."""
        return (lambda text: self._output.talk(name_it(name, text))) if self._several else self._output.talk

    def done(self, name: str, launched: Launched | None, verb: str | None = None) -> None:
        self._done += 1
        if self._rows is not None:
            handler = None if launched is None else make_launched_fields(self._home, launched)
            self._rows.append({"name": name, "outcome": verb or self._verb, "error": None, "handler": handler})
        elif launched is not None and not self._several:
            show_launched(self._output, launched, verb or self._verb)
        else:
            show_line(self._output, name, verb or self._verb, launched)

    def left(self, name: str, why: str) -> None:
        """It is as it should be by another command, and not by this one."""
        self._left += 1
        if self._rows is not None:
            self._rows.append({"name": name, "outcome": "left", "error": None, "handler": None})
        self._output.talk(name_it(name, why))

    def failed(self, name: str, problem: NectarError, *, starts: bool) -> None:
        """:param starts: whether the verb is one that starts handlers, so that it is asked what runs now."""
        self._failed.append(name)
        self.code = problem.exit_code
        problem.message = name_it(name, problem.message)
        if starts and self._several:
            problem.message = add(problem.message, _tell_what_runs(self._home, name, problem.message))
        if self._rows is None:
            self._output.error(problem)
        else:
            self._rows.append({"name": name, "outcome": "failed", "error": make_error_fields(problem), "handler": None})

    def take(self, outcome: Outcome) -> None:
        """What has become of one that was carried out among others."""
        if outcome.problem is None and outcome.verb:
            self.done(outcome.name, outcome.launched, outcome.verb)
        elif outcome.problem is None:
            self.left(outcome.name, "There was nothing left to do.")
        elif outcome.overruled:
            self.left(outcome.name, outcome.problem.message)
        else:
            self.failed(outcome.name, outcome.problem, starts=True)

    def show(self) -> None:
        """The last line, where they are several."""
        if self._rows is not None:
            self._output.json({"handlers": self._rows})
        elif self._several:
            parts = [f"{self._done} {self._verb}"]
            parts += [f"{self._left} left to another command"] if self._left else []
            parts += [f"{len(self._failed)} failed: {', '.join(sorted(self._failed))}"] if self._failed else []
            self._output.data(", ".join(parts))


def act_on_each(
    session: Session,
    names: list[str],
    act: Callable[[str, Callable[[str], None]], Launched | None],
    verb: str,
    *,
    starts: bool = False,
    among: Callable[[Record], bool] | None = None,
    as_json: bool = False,
) -> int:
    """Do something with each handler, also after one of them failed.

    :param act: is given its name, and what tells of progress.
    :param verb: as in "18 restarted".
    :param starts: whether it has them run.
    :param as_json: as for :class:`Tally`.
    :param among: with ``--all``, for which handlers that is: one that fails, and is none of them any more, is as it should be.
    :returns: the exit code: that of the last failure.
    :raises NectarError: there is one name only, and it failed.
    """
    tally = Tally(session, verb, len(names), as_json=as_json)
    for name in names:
        try:
            try:
                launched = act(name, tally.report(name))
            except OSError as error:
                raise from_system(error) from error
        except NectarError as error:
            if among is not None and _is_settled(session.home, name, among):
                tally.left(name, error.message)
            elif len(names) == 1:
                raise
            else:
                tally.failed(name, error, starts=starts)
        else:
            tally.done(name, launched)
    tally.show()
    return tally.code


def _is_settled(home: Home, name: str, among: Callable[[Record], bool]) -> bool:
    record = handlers.refresh(home).get(name)
    return record is None or not among(record)


def add(message: str, sentence: str) -> str:
    """A message, which may be somebody else's words, and a sentence behind it."""
    return f"{message}{'' if message.endswith(('.', '!', '?')) else '.'} {sentence}" if sentence else message


def name_it(name: str, text: str) -> str:
    return text if repr(name) in text else f"{name}: {text}"


def _tell_what_runs(home: Home, name: str, message: str) -> str:
    if "does not run" in message or "is running" in message or "runs again" in message:
        return ""
    holder = namelock.find_holder(home, name)
    return "It does not run." if holder is None else f"The one that ran before goes on (PID {holder.pid})."
