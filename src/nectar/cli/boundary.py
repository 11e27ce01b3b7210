"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import click

from nectar.cli import INTERRUPTED
from nectar.cli.app import app
from nectar.cli.output import Output
from nectar.cli.session import Session
from nectar.errors import NectarError, UnknownNameError, UsageError, from_system

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code.

    A command returns None for "done", or the code that says what it found.
    """
    output = Output()
    session = Session(output)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ended in good order too: what was begun is taken back.
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        code = app.main(list(arguments), prog_name="nectar", standalone_mode=False, obj=session)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as problem:
        error = _told(problem, verbose=output.verbose)
        if isinstance(error, UnknownNameError):
            from nectar.cli import leads

            leads.explain(error, session.home_to_make, arguments)
        output.error(error, as_json=_wants_json(arguments) if output.as_json is None else output.as_json)
        return error.exit_code
    if output.failure is not None:
        error = NectarError(f"What was to be printed could not be written: {output.failure.strerror}.", where="standard output")
        output.error(error)
        return code if isinstance(code, int) and code else error.exit_code
    return code if isinstance(code, int) else 0


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _told(problem: Exception, *, verbose: bool) -> NectarError:
    """Any exception, as one that can be told to a person."""
    if isinstance(problem, NectarError):
        return problem
    if isinstance(problem, click.UsageError):
        path = problem.ctx.command_path if problem.ctx else "nectar"
        if isinstance(problem, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # from 8.2 on; of a plugin's group
            return UsageError(f"There is no command of {path} to carry out.", detail=problem.format_message())
        return UsageError(problem.format_message(), hint=f"{path} --help shows what it takes.")
    if isinstance(problem, click.ClickException):
        return NectarError(problem.format_message())
    if isinstance(problem, OSError) and problem.strerror:
        return from_system(problem)
    return _bug(problem, verbose=verbose)


def _bug(problem: Exception, *, verbose: bool) -> NectarError:
    import traceback

    frames = traceback.extract_tb(problem.__traceback__)
    return NectarError(
        f"{app.at_work or 'Nectar'} has a bug: {type(problem).__name__}: {problem}",
        where=f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None,
        hint=None if verbose else "With -v before the command it shows where it came from.",
        detail="".join(traceback.format_exception(problem)) if verbose else None,
    )


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether it does, as far as a command line tells that could not be read to its end."""
    words = list(arguments)
    return "--json" in (words[: words.index("--")] if "--" in words else words)
