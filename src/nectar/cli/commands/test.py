"""``nectar test``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nectar.api.computation import SHARE_MODULUS, Computation, ComputationResult, InvalidQuestionError, NotWholeError
from nectar.cli.arguments import (
    build_env_option,
    entry_option,
    env_file_option,
    env_option,
    extra_option,
    json_option,
    python_option,
    read_given,
)
from nectar.cli.session import Session
from nectar.cli.streams import read_input
from nectar.errors import NectarError, NotFoundError, UsageError
from nectar.manage import test
from nectar.manage.daemon.assignment import Order
from nectar.manage.files import authored
from nectar.manage.source.source import open_source
from nectar.testing.cases import read_cases
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from nectar.cli.output import Output


@click.command()
@click.argument("handler")
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
    "--repeat", type=click.IntRange(1, 100_000), default=1, metavar="N", help="Ask it so often, and say how long it took."
)
@entry_option
@extra_option
@env_option
@env_file_option
@python_option
@build_env_option
@json_option
@click.pass_obj
def command(session: Session, /, *, handler: str, as_json: bool, **options: Any) -> int | None:
    """Load HANDLER as launch would, in the environment that launch would use, and ask it once."""
    home, output = session.home_to_make, session.output
    cases = _cases(**{name: options[name] for name in ("directory", "query", "file", "expect", "repeat")})
    show: _Lines | _Silent | _Table
    if options["directory"] is not None:
        show = _Table(output, handler, cases, as_json=as_json)
    else:
        show = _Silent(output) if as_json else _Lines(output, handler, mock=options["file"] is None)
    show.begin()
    source = open_source(handler, chosen=options["extras"], python=options["python"], build_env=options["build_env"])
    order = Order(source=source, entry=options["entry"], given=read_given(options["pairs"], options["files"]))
    home.create()
    problem = None
    answers: list[ComputationResult] = []
    with closing(test.ask(home, order, [case.question for case in cases], report=output.talk)) as events:
        for event in events:
            match event["event"]:
                case "loaded":
                    show.loaded(event.get("warnings", []))
                case "output":
                    output.talk(str(event["text"]), style=None)
                case "answered":
                    answer = ComputationResult.from_json(json.dumps(event["result"]).encode())
                    wrong = _problem(answer, event.get("traceback"), cases[len(answers)].expected)
                    show.answered(answer, wrong)
                    answers.append(answer)
                    problem = problem or wrong
                case "hook failed":
                    problem = problem or _hook_problem(event)
    show.ended(problem, [answer.execution_time or 0.0 for answer in answers])
    if problem is not None and not as_json:
        raise problem
    return None if problem is None else problem.exit_code


class _Lines:
    """The lines for a person, which scripts read too."""

    def __init__(self, output: Output, handler: str, *, mock: bool) -> None:
        self._output = output
        self._handler = handler
        self._mock = mock
        self._shown = False

    def begin(self) -> None:
        self._output.data(f"🧪 Testing handler: {self._handler}")

    def loaded(self, warnings: list[str]) -> None:
        self._output.data("✅ Handler loaded successfully")
        for warning in warnings:
            self._output.warn(warning)
        self._output.data("📝 Creating mock computation..." if self._mock else "📝 Reading computation...")
        self._output.data("🔄 Executing handler...")

    def answered(self, answer: ComputationResult, _wrong: NectarError | None) -> None:
        if answer.value is None or self._shown:
            return
        self._shown = True
        self._output.data(f"✅ Result: {answer.value}")
        self._output.data(f"⏱️  Execution time: {answer.execution_time or 0.0:.3f}s")
        for warning in _warnings(answer):
            self._output.warn(warning)

    def ended(self, problem: NectarError | None, seconds: list[float]) -> None:
        if len(seconds) > 1:
            least, median, most = _spread(seconds)
            self._output.data(f"⏱️  {len(seconds)} times: {least:.3f} to {most:.3f}s, median {median:.3f}s")
        if problem is None:
            self._output.data("✅ Handler test passed!")


class _Silent:
    """The same as one JSON object."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._warnings: list[str] = []
        self._fields: dict[str, Any] = {}

    def begin(self) -> None:
        pass

    def loaded(self, warnings: list[str]) -> None:
        self._warnings = warnings

    def answered(self, answer: ComputationResult, _wrong: NectarError | None) -> None:
        self._fields = self._fields or {
            "comp_id": answer.comp_id,
            "status": answer.status,
            "result": None if answer.value is None else {"value": answer.value},
            "execution_time": answer.execution_time,
            "warnings": [*self._warnings, *_warnings(answer)],
        }

    def ended(self, problem: NectarError | None, seconds: list[float]) -> None:
        fields = {**self._fields, "passed": problem is None}
        if len(seconds) > 1:
            fields["times"] = dict(zip(("least", "median", "most"), _spread(seconds), strict=True), count=len(seconds))
        if problem is not None:
            fields["error"] = {"kind": problem.kind, "message": problem.message, "hint": problem.hint}
            if problem.detail is not None:
                fields["error"]["detail"] = problem.detail
        self._output.json(fields)


class _Table:
    """A line for each of several computations, or an object in one."""

    def __init__(self, output: Output, handler: str, cases: list[_Case], *, as_json: bool) -> None:
        self._output = output
        self._handler = handler
        self._cases = cases
        self._say = output.talk if as_json else output.data
        self._json = as_json
        self._warnings: list[str] = []
        self._rows: list[dict[str, Any]] = []

    def begin(self) -> None:
        self._say(f"🧪 Testing handler: {self._handler}")

    def loaded(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._say("✅ Handler loaded successfully")
        for warning in warnings:
            self._output.warn(warning)
        self._say(f"🔄 Executing handler, {len(self._cases)} times...")

    def answered(self, answer: ComputationResult, wrong: NectarError | None) -> None:
        case = self._cases[len(self._rows)]
        self._say(f"✅ {case.name}: {answer.value}" if wrong is None else f"❌ {case.name}: {wrong.message}")
        self._rows.append(
            {
                "name": case.name,
                "status": answer.status,
                "result": None if answer.value is None else {"value": answer.value},
                "expected": case.expected,
                "error": None if wrong is None else wrong.message,
                "execution_time": answer.execution_time,
            },
        )

    def ended(self, problem: NectarError | None, _seconds: list[float]) -> None:
        if self._json:
            self._output.json({"computations": self._rows, "warnings": self._warnings, "passed": problem is None})
        elif problem is None:
            self._say("✅ Handler test passed!")


class _Case(NamedTuple):
    """:ivar question: as a node would write it.
    :ivar expected: the answer that is right; None where any is.
    """

    name: str
    question: dict[str, Any]
    expected: int | None


def _cases(*, directory: Path | None, query: str | None, file: str | None, expect: int | None, repeat: int) -> list[_Case]:
    """What is to be asked.

    :raises UsageError: options exclude each other, or what they name holds no computation.
    """
    if directory is None:
        return [_Case("", _question(query, file), expect)] * repeat
    if query is not None or file is not None or expect is not None or repeat > 1:
        raise UsageError("--computations excludes --query, --computation, --expect and --repeat.")
    try:
        cases = read_cases(directory)
    except ValueError as error:
        raise UsageError(f"These are no computations: {error}.") from None
    return [_Case(case.name, json.loads(case.computation.to_json()), case.expected) for case in cases]


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    ordered = sorted(seconds)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


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


def _problem(answer: ComputationResult, traceback: str | None, expect: int | None) -> NectarError | None:
    if answer.status != "success":
        return NectarError(answer.error or f"The answer is {answer.status!r}.", detail=traceback)
    if expect is not None and answer.value != expect:
        return NectarError(f"The answer is {answer.value}, and {expect} was expected.")
    return None


def _hook_problem(event: dict[str, Any]) -> NectarError:
    traceback = event.get("traceback")
    hint = "Its traceback is above." if event["message"] == "nectar_worker_stopping failed" else None
    return NectarError(f"The handler's {event['message']}.", hint=hint, detail=traceback)


def _warnings(answer: ComputationResult) -> list[str]:
    if answer.value is None or 0 <= answer.value < SHARE_MODULUS:
        return []
    return [f"{answer.value} is outside 0 … 2**32 - 1: out of the network it comes as {answer.value % SHARE_MODULUS}."]
