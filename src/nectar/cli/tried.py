"""What ``nectar test`` shows of a trial: as lines, as one JSON object, or as a table of several computations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nectar.api.answers import explain_range
from nectar.api.computation import ComputationResult
from nectar.cli.output import make_error_fields

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.errors import NectarError
    from nectar.manage.test import Case


class Lines:
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

    def ended(self, problem: NectarError | None, seconds: list[float], warnings: list[str]) -> None:
        for warning in warnings:
            self._output.warn(warning)
        if len(seconds) > 1:
            least, median, most = _spread(seconds)
            self._output.data(f"⏱️  {len(seconds)} times: {least:.3f} to {most:.3f}s, median {median:.3f}s")
        if problem is None:
            self._output.data("✅ Handler test passed!")


class Silent:
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

    def ended(self, problem: NectarError | None, seconds: list[float], warnings: list[str]) -> None:
        self._fields.setdefault("warnings", []).extend(warnings)
        fields = {**self._fields, "passed": problem is None}
        if len(seconds) > 1:
            fields["times"] = dict(zip(("least", "median", "most"), _spread(seconds), strict=True), count=len(seconds))
        if problem is not None:
            fields["error"] = make_error_fields(problem)
        self._output.json(fields)


class Table:
    """A line for each of several computations, or an object in one."""

    def __init__(self, output: Output, handler: str, cases: list[Case], *, as_json: bool) -> None:
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

    def ended(self, problem: NectarError | None, _seconds: list[float], warnings: list[str]) -> None:
        for warning in warnings:
            self._output.warn(warning)
        if self._json:
            fields = {"computations": self._rows, "warnings": [*self._warnings, *warnings]}
            self._output.json({**fields, "passed": problem is None})
        elif problem is None:
            self._say("✅ Handler test passed!")


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    ordered = sorted(seconds)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _warnings(answer: ComputationResult) -> list[str]:
    told = None if answer.value is None else explain_range(answer.value)
    return [told] if told else []
