"""What a handler's author or its operator can set: ``[tool.nectar]`` of the project, and the flags of ``launch``."""

from __future__ import annotations

import math
import re

from nectar.errors import UsageError
from nectar.frozen import dataclass, field

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
else:
    Any = object  # who asks for the types of the fields gets them

OLDEST = "3.11"
"""The oldest Python that a handler can have, and with it nectar's own side of it."""
FLOOR = f">={OLDEST}"
"""The same as ``requires-python``."""
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One handler's settings, checked.

    :ivar workers: processes that answer at the same time.
    :ivar concurrency: computations that each of them has at once: async functions as tasks, others in threads.
    :ivar deadline: an upper limit in seconds on one run; None leaves it to each question.
    :ivar expired: ``"run"`` or ``"skip"``: what to do with a question that is older than its deadline when it is picked up.
    :ivar start_timeout: seconds for loading the handler.
    :ivar stop_timeout: seconds for what runs to finish, when the daemon is asked to stop.
    :ivar recycle_after: answers of one worker, after which a new one takes its place; None keeps it.
    :ivar overlap: whether the next worker loads the handler while a run is about to overstay its deadline, beside the one that is to end.
    :ivar memory_limit: resident memory of one worker, in bytes or as ``"512MiB"``: one that grows beyond it between two questions
        is replaced, and a run that takes more is ended (Linux); None sets no limit.
    :ivar max_question_bytes: a larger question gets an error answer.
    :ivar keep_answers: seconds that an answer which nobody reads stays.
    :ivar log_each: whether each success has a line in the log, with alias, id and seconds; else they are counted by the minute.
    :ivar log_answers: whether queries and values, which are private, are in the log; it implies ``log_each``.
    :ivar extras: names of the project's optional dependencies that its environment has too.
    :ivar env: variables to set in the handler's process.
    :ivar pass_env: names of variables to let through from the launching shell.
    :ivar executor: what an executor that a hook or ``dask`` gives is for: ``"whole"`` calls of the handler, ``"parts"`` of them, or
        ``"none"``; None is ``"whole"`` where there is one.
    :ivar dask: of a Dask cluster: ``address`` (the scheduler's), ``timeout`` (seconds to connect within, 5), ``tls_ca``, ``tls_cert``
        and ``tls_key`` (files, relative to the project), ``insecure`` (without TLS, though it is not on this machine).
    :ivar needs: what the handler cannot do without behind a wall, each as :func:`part_grant` takes it; its operator grants it, or not.
    :ivar sandbox_tmp: what each of its private directories there holds at most, in bytes or as ``"256MiB"``.
    :ivar sandbox_processes: how many processes there are behind its wall at most.
    """

    workers: int = 1
    concurrency: int = 1
    deadline: float | None = None
    expired: str = "run"
    start_timeout: float = 60
    stop_timeout: float = 10
    recycle_after: int | None = None
    overlap: bool = True
    memory_limit: int | str | None = None
    max_question_bytes: int = 2 * MEBIBYTE
    keep_answers: float = 24 * 3600
    log_each: bool = False
    log_answers: bool = False
    extras: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    pass_env: list[str] = field(default_factory=list)
    executor: str | None = None
    dask: dict[str, Any] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    sandbox_tmp: int | str = 256 * MEBIBYTE
    sandbox_processes: int = 256

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any], *, where: str = "[tool.nectar]") -> Settings:
        """Check a table of settings.

        :param where: what to call the place in an error.
        :raises UsageError: a key is unknown (the nearest known one is named), or a value is wrong.
        """
        for key in table:
            if key not in _CHECKS:
                raise UsageError(f"There is no setting {_shown(key)}.", where=where, hint=_nearest(key))
        for key, value in table.items():
            problem = _CHECKS[key](value)
            if problem:
                shown = f", not {_shown(value)}" if key != "env" else ""  # values of variables may be secrets
                raise UsageError(f"The setting {key!r} must be {problem}{shown}.", where=where)
        for need in table.get("needs", ()):
            part_grant(need, where=f"needs in {where}")
        return cls(**table)

    @property
    def memory_bytes(self) -> int | None:
        """``memory_limit`` in bytes."""
        return None if self.memory_limit is None else to_bytes(self.memory_limit)

    @property
    def sandbox_tmp_bytes(self) -> int:
        """``sandbox_tmp`` in bytes."""
        return to_bytes(self.sandbox_tmp) or 0

    @property
    def logs_each(self) -> bool:
        """Whether each success has a line in the log."""
        return self.log_each or self.log_answers

    def to_mapping(self) -> dict[str, Any]:
        """What ``from_mapping`` reads back as the same, with only the values that differ from the defaults."""
        defaults = vars(Settings())
        return {name: value for name, value in vars(self).items() if value != defaults[name]}


def part_grant(text: str, *, where: str) -> tuple[str, str]:
    """Something that a handler may do behind a wall: ``network`` or ``gpu``, or ``read`` or ``write`` with a path.

    :returns: which of these, and the path as it was written, empty where there is none.
    :raises UsageError: it is none of them; the nearest is told.
    """
    kind, equals, path = text.partition("=")
    if kind in ("network", "gpu") and not equals:
        return kind, ""
    if kind in ("read", "write") and path and "\0" not in path:
        return kind, path
    import difflib

    near = difflib.get_close_matches(kind.strip().lower(), _GRANTS, n=1)
    meant = f"Did you mean {_GRANTS[near[0]]!r}?" if near else f"There are {', '.join(_GRANTS.values())}."
    raise UsageError(f"{_shown(text)} is nothing that can be granted.", where=where, hint=meant)


def to_bytes(size: int | str) -> int | None:
    """A size in bytes, from a number of them or from a text like ``"512MiB"`` or ``"2 GB"``; None where it is no size."""
    if not isinstance(size, str):
        return size
    matched = re.fullmatch(_SIZE, size.strip(), re.IGNORECASE | re.ASCII)
    return None if matched is None else int(matched[1]) * _UNITS[matched[2].lower()]


def _shown(value: object) -> str:
    """A value in a message, where nobody wants to read a whole one."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _nearest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, sorted(_CHECKS), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known settings: {', '.join(sorted(_CHECKS))}."


def _count(low: int, high: int) -> Any:
    def check(value: object) -> str | None:
        fits = type(value) is int and low <= value <= high
        return None if fits else f"a whole number from {low} to {high}"

    return check


def _seconds(low: float, high: float) -> Any:
    def check(value: object) -> str | None:
        fits = type(value) in (int, float) and math.isfinite(value) and low <= value <= high  # type: ignore[arg-type,operator]
        return None if fits else f"seconds from {low:g} to {high:g}"

    return check


def _memory(value: object) -> str | None:
    size = to_bytes(value) if type(value) in (int, str) else None  # type: ignore[arg-type]
    fits = size is not None and 16 * MEBIBYTE <= size <= 1 << 50
    return None if fits else 'a number of bytes, or a text like "512MiB", from 16 MiB to 1 PiB'


def _texts(value: object) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if fits else f"a list of {', '.join(_GRANTS.values())}"


def _expired(value: object) -> str | None:
    return None if value in ("run", "skip") else '"run" or "skip"'


def _truth(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _variables(value: object) -> str | None:
    fits = isinstance(value, dict) and all(is_variable_name(k) and isinstance(v, str) and "\0" not in v for k, v in value.items())
    return None if fits else "a table of names and strings"


def _names(value: object) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, str) and is_variable_name(item) for item in value)
    return None if fits else "a list of names of variables"


def _extras(value: object) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, str) and re.fullmatch(_EXTRA, item) for item in value)
    return None if fits else "a list of names in [project.optional-dependencies]"


def _executor(value: object) -> str | None:
    return None if value in ("whole", "parts", "none") else '"whole", "parts" or "none"'


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value and "\0" not in value else "a text"


def _dask(value: object) -> str | None:
    if not isinstance(value, dict) or not value.keys() <= _DASK.keys():
        return f"a table of {', '.join(_DASK)}"
    problems = ((key, _DASK[key](each)) for key, each in value.items())
    return next((f"a table in which {key} is {problem}" for key, problem in problems if problem), None)


def is_variable_name(name: str) -> bool:
    """Whether the environment can hold a variable of this name."""
    return bool(name) and "=" not in name and "\0" not in name


_DAY = 86400
_MOST_SHOWN = 80
# Not compiled here: hardly a daemon needs one of them.
_SIZE = r"([0-9]{1,18}) *(|B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)"
_EXTRA = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_GRANTS = {"network": "network", "gpu": "gpu", "read": "read=PATH", "write": "write=PATH"}
_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}
_UNITS |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}
_DASK = {
    "address": _text,
    "timeout": _seconds(0.1, 3600),
    "tls_ca": _text,
    "tls_cert": _text,
    "tls_key": _text,
    "insecure": _truth,
}
_CHECKS = {
    "workers": _count(1, 256),
    "concurrency": _count(1, 1024),
    "deadline": _seconds(0.001, 365 * _DAY),
    "expired": _expired,
    "start_timeout": _seconds(0.1, _DAY),
    "stop_timeout": _seconds(0, _DAY),
    "recycle_after": _count(1, 10**9),
    "overlap": _truth,
    "memory_limit": _memory,
    "max_question_bytes": _count(1024, 1024 * MEBIBYTE),
    "keep_answers": _seconds(1, 10 * 365 * _DAY),
    "log_each": _truth,
    "log_answers": _truth,
    "extras": _extras,
    "env": _variables,
    "executor": _executor,
    "dask": _dask,
    "pass_env": _names,
    "needs": _texts,
    "sandbox_tmp": _memory,
    "sandbox_processes": _count(16, 65536),
}
