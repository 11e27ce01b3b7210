"""A directory of computations with their answers: one test of a project's, or of ``nectar test --computations``.

Each is a file ``NAME.json``: what a node writes, of which any field may be left out, and ``expected``, the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.api.computation import Computation, InvalidQuestionError, NotWholeError, read_object
from nectar.regular import NotRegularError, open_regular
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from pathlib import Path


class Case(NamedTuple):
    """:ivar expected: the answer that is right."""

    name: str
    computation: Computation
    expected: int


def read_cases(directory: Path) -> list[Case]:
    """All of a directory, by their names.

    :raises ValueError: there is none, or one is no computation, or has no answer; it says which and why.
    :raises OSError: they cannot be read.
    """
    cases = [_read(file) for file in sorted(directory.glob("*.json"))]
    if not cases:
        raise ValueError(f"{directory} has no file NAME.json")
    return cases


def _read(file: Path) -> Case:
    try:
        with open(open_regular(file, follow=True)[0], "rb") as stream:
            given = read_object(stream.read())
        expected = given.pop("expected", None)
        if type(expected) is not int:
            raise InvalidQuestionError("its field 'expected' is no integer")
        plausible: dict[str, Any] = json.loads(sample().to_json())
        raw = json.dumps({**plausible, **given}).encode()
        return Case(file.stem, Computation.from_json(raw, comp_id=str(given.get("comp_id", file.stem))), expected)
    except NotRegularError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except (NotWholeError, InvalidQuestionError) as error:
        raise ValueError(f"{file}: {error}") from None
