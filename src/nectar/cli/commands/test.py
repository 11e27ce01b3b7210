"""``nectar test``."""

from __future__ import annotations

import json
import os
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nectar.api.computation import Computation, ComputationResult, InvalidQuestionError, NotWholeError
from nectar.cli.arguments import (
    allow_option,
    build_env_option,
    complete,
    entry_option,
    env_file_option,
    env_option,
    extra_option,
    json_option,
    no_build_option,
    python_option,
    read_given,
    read_wall,
    sandbox_option,
)
from nectar.cli.session import Session
from nectar.cli.streams import read_input
from nectar.cli.tried import Lines, Silent, Table
from nectar.cli.values import Number
from nectar.errors import NectarError, NotFoundError, UsageError, from_system
from nectar.home import make_absolute
from nectar.manage import test
from nectar.manage.daemon.assignment import Order
from nectar.manage.files import authored
from nectar.manage.source.extras import part_path
from nectar.manage.source.source import open_source
from nectar.manage.test import Case
from nectar.manage.waits import wait
from nectar.manage.watching import Changed, Watch
from nectar.testing.cases import read_cases
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.manage.source.source import Source


@click.command()
@click.argument("handler", shell_complete=complete("files"))
@click.option("--query", metavar="TEXT", help="The question of the mock computation.")
@click.option("--computation", "file", metavar="FILE", help="A computation as a node writes it; - is standard input.")
@click.option("--expect", type=int, metavar="N", help="Fail unless this is the answer.")
@click.option(
    "--computations",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Ask each NAME.json in there, which holds the answer that is expected, too.",
)
@click.option(
    "--repeat",
    type=Number(1, 100_000),
    default=1,
    metavar="N",
    help="Ask it so often, 1 to 100,000 times, and say how long it took.",
)
@click.option("--debug", is_flag=True, help="On this terminal, without a deadline: breakpoint() works.")
@click.option("--watch", is_flag=True, help="Again whenever something of it has changed, until Ctrl-C.")
@sandbox_option
@allow_option
@entry_option
@extra_option
@env_option
@env_file_option
@python_option
@build_env_option
@no_build_option
@json_option
@click.pass_obj
def command(session: Session, /, *, handler: str, **options: Any) -> int | None:
    """Load HANDLER as launch would, in the environment that launch would use, and ask it once."""
    if options["debug"] and (options["watch"] or options["as_json"] or options["file"] == "-"):
        raise UsageError("--debug has the terminal: it excludes --watch, --json and a computation on standard input.")
    if options["watch"]:
        _try_at_each_change(session, handler, options)
        return None
    return _try(session, handler, options, meanwhile=None)


def _try(session: Session, handler: str, options: dict[str, Any], *, meanwhile: Callable[[], None] | None) -> int | None:
    """One trial, and what it shows.

    :param meanwhile: called a few times a second while the handler runs.
    """
    home, output, as_json = session.home_to_make, session.output, options["as_json"]
    cases = _cases(**{name: options[name] for name in ("directory", "query", "file", "expect", "repeat")})
    show: Lines | Silent | Table
    if options["directory"] is not None:
        show = Table(output, handler, cases, as_json=as_json)
    else:
        show = Silent(output) if as_json else Lines(output, handler, mock=options["file"] is None)
    show.begin()
    source = _open(handler, options)
    given = read_given(options["pairs"], options["files"])
    order = Order(source=source, entry=options["entry"], given=given, wall=source.grants)
    home.create()
    problem = None
    answers: list[ComputationResult] = []
    questions = [case.question for case in cases]
    with (
        nullcontext() if options["debug"] else wait("Trying the handler"),
        closing(test.ask(home, order, questions, report=output.talk, meanwhile=meanwhile, debug=options["debug"])) as events,
    ):
        for event in events:
            match event["event"]:
                case "loaded":
                    show.loaded(event.get("warnings", []))
                case "output":
                    output.talk(str(event["text"]), style=None)
                case "answered":
                    answer = ComputationResult.from_json(json.dumps(event["result"]).encode())
                    wrong = test.judge(answer, event, cases[len(answers)].expected)
                    show.answered(answer, wrong)
                    answers.append(answer)
                    problem = problem or wrong
                case "hook failed":
                    problem = problem or _hook_problem(event)
    near = () if options["debug"] else test.tell_near(cases, answers, order.source.settings.deadline)
    show.ended(problem, [answer.execution_time or 0.0 for answer in answers], [*near])
    if problem is not None and not as_json:
        raise problem
    return None if problem is None else problem.exit_code


def _try_at_each_change(session: Session, handler: str, options: dict[str, Any]) -> None:
    """One trial after another, until an interrupt. What is broken is told, and waited for until it is mended.

    :raises NotFoundError: there is nothing to begin with.
    """
    if options["file"] == "-":
        raise UsageError("--watch asks again and again, and standard input comes once: give --computation a file.")
    output = session.output
    path = part_path(make_absolute(handler))[0]
    if not path.exists():
        _open(handler, options)
    also = [make_absolute(each) for each in (options["directory"], options["file"], *options["files"]) if each is not None]
    watch = Watch(session.home_to_make, path, lambda: _open(handler, options), also)
    while output.is_read:
        watch.begin()
        try:
            try:
                _try(session, handler, options, meanwhile=watch.look)
            except (NectarError, OSError) as error:
                output.error(error if isinstance(error, NectarError) else from_system(error), as_json=options["as_json"])
            output.talk(f"👀 Watching {handler}, until Ctrl-C.")
            watch.wait(wanted=lambda: output.is_read)
        except Changed as change:
            watch.settle()
            output.talk(f"\n{os.path.relpath(change.file, path if path.is_dir() else path.parent)} has changed: once more.")


def _open(handler: str, options: dict[str, Any]) -> Source:
    source = open_source(
        handler,
        chosen=options["extras"],
        python=options["python"],
        no_build=options["no_build"],
        build_env=options["build_env"],
    )
    return source.behind(read_wall(source, options["sandbox"], options["allow"]))


def _cases(*, directory: Path | None, query: str | None, file: str | None, expect: int | None, repeat: int) -> list[Case]:
    """What is to be asked.

    :raises UsageError: options exclude each other, or what they name holds no computation.
    """
    if directory is None:
        return [Case("", _question(query, file), expect)] * repeat
    if query is not None or file is not None or expect is not None or repeat > 1:
        raise UsageError("--computations excludes --query, --computation, --expect and --repeat.")
    try:
        cases = read_cases(directory)
    except ValueError as error:
        raise UsageError(f"These are no computations: {error}.") from None
    return [Case(case.name, json.loads(case.computation.to_json()), case.expected) for case in cases]


def _question(query: str | None, file: str | None) -> dict[str, Any]:
    """The question to ask, as a node would write it.

    :raises UsageError: both were given, or the file holds no question.
    """
    if file is None:
        fields: dict[str, Any] = json.loads(sample(query).to_json())
        return fields
    if query is not None:
        raise UsageError("--query and --computation exclude each other.")
    try:
        if file == "-":
            raw = read_input(authored.CODE + 1)
        else:
            with open(file, "rb") as stream:  # which may be a pipe, as a shell's <(…) is one
                raw = stream.read(authored.CODE + 1)
    except FileNotFoundError:
        raise NotFoundError("There is no such computation.", where=file) from None
    if len(raw) > authored.CODE:
        raise UsageError(f"The computation has more than {authored.CODE:,} bytes.", where=file)
    try:
        comp_id = "stdin" if file == "-" else Path(file).stem
        computation = Computation.from_json(raw, comp_id=comp_id)
    except (NotWholeError, InvalidQuestionError) as error:
        raise UsageError(f"This is no computation: {error}.", where=file) from None
    return {**json.loads(raw.decode("utf-8-sig")), "comp_id": computation.comp_id}


def _hook_problem(event: dict[str, Any]) -> NectarError:
    traceback = event.get("traceback")
    hint = "Its traceback is above." if event["message"] == "nectar_worker_stopping failed" else None
    return NectarError(f"The handler's {event['message']}.", hint=hint, detail=traceback)
