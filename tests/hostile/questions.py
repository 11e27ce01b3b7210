"""Questions as a stranger sends them: made by Hypothesis, and by breaking bytes; and what an honest reader says of each."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nectar.api.computation import Computation, InvalidQuestionError, NotWholeError
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD_NUMBERS: list[object] = [0, -1, 1e308, 5e-324, 10**400, 2**63, 0.1, True, None, float("nan"), float("inf"), "30", [], {}]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(ODD_NUMBERS)
things = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "comp_id": st.text(max_size=20) | st.sampled_from(["../../escape", "/etc/passwd", "\0", "."]),
        "query": st.text(max_size=60) | things,
        "proposer": st.text(max_size=10) | things,
        "aggregators": st.lists(st.text(max_size=5), max_size=3) | things,
        "targets": st.lists(st.text(max_size=5), max_size=3) | things,
        "deadline": st.integers(1, 60) | st.floats(0.5, 60) | things,
        "timestamp": st.floats() | things,
        "metadata": st.dictionaries(st.text(max_size=5), things, max_size=3) | things,
        "response_schema": things,
        "claim": st.text(max_size=16),
        "status": st.sampled_from(["success", "error"]),
        "result": things,
    },
)
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\0",
    b"\n",
    b"NaN",
    b"-0",
    b"1e999",
    b"9" * 5000,
]


def made(count: int, seed: int) -> list[bytes]:
    """Some that Hypothesis makes: objects with fields of right and wrong types."""
    found: list[bytes] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(fields)
    def collect(table: dict[str, object]) -> None:
        found.append(json.dumps(table).encode())

    collect()
    random.Random(seed).shuffle(found)
    return found


def broken(count: int, seed: int, others: list[bytes]) -> Iterator[bytes]:
    """Whole questions, and others that were made, with bytes changed, cut, doubled, moved and put in."""
    chance = random.Random(seed)
    whole = [sample(f"number {number}", comp_id="x").to_json() for number in range(2 * len(others))] + others
    for _ in range(count):
        raw = bytearray(chance.choice(whole))
        for _change in range(chance.choice((0, 1, 1, 1, 2, 4, 16))):
            at = chance.randrange(len(raw) + 1)
            to = min(len(raw), at + chance.randrange(1, 16))
            match chance.randrange(6):
                case 0:
                    del raw[at:to]
                case 1:
                    raw[at:at] = raw[at:to]
                case 2:
                    raw[at:at] = chance.choice(PIECES)
                case 3:
                    del raw[at:]
                case 4:
                    raw[at:to] = chance.randbytes(to - at)
                case _:
                    if at < len(raw):
                        raw[at] ^= 1 << chance.randrange(8)
        yield bytes(raw)


def verdict(raw: bytes) -> str | int:
    """What the answer to it must be: the value that the handler gives, or an error that says this."""
    try:
        query = Computation.from_json(raw, comp_id="x").query
    except (NotWholeError, InvalidQuestionError) as error:
        return f"The question cannot be answered: {error}."
    return len(query)
