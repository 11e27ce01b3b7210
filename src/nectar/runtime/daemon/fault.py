"""A bug of ours, in words. The library's traceback would bring along what reads source files: 3 ms of each daemon, for what should not be."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 20
"""Steps that are told from the beginning, and from the end: one that has no end takes a thousand."""


def describe_fault(error: BaseException) -> str:
    """What was raised, and from where, as a traceback without the lines of code; what it was raised from, or during, comes first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    first = "" if before is None else describe_fault(before) + "\nWhich led to:\n"
    steps = [*_list_steps(error)]
    if len(steps) > 2 * MOST:
        steps[MOST:-MOST] = [f"  … and {len(steps) - 2 * MOST} more"]
    return first + "\n".join(["Traceback (most recent call last):", *steps, f"{type(error).__name__}: {error}"])


def _list_steps(error: BaseException) -> Iterator[str]:
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        yield f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_qualname}'
        step = step.tb_next
