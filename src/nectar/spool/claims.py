"""What is taken from a spool: a claim, the question inside, or that it has to be looked at again."""

from __future__ import annotations

import os
import re

from nectar.frozen import NamedTuple

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from nectar.api.computation import Computation

_NAME = re.compile(r"(?P<comp_id>.+)\.(?P<attempt>[1-9])\.(?P<token>[0-9a-f]{16})", re.DOTALL)


TOKENS = 64
"""How many the system is asked for at once, and not twice for each question."""
_tokens: list[str] = []
os.register_at_fork(after_in_child=_tokens.clear)  # or a process and its child would have the same


def make_token() -> str:
    """What nobody can guess: 16 hexadecimal digits. The module secrets would bring OpenSSL along, as hashlib does."""
    if not _tokens:
        drawn = os.urandom(8 * TOKENS).hex()
        _tokens.extend(drawn[at : at + 16] for at in range(0, len(drawn), 16))
    return _tokens.pop()


class Claim(NamedTuple):
    """A question that this process has taken."""

    comp_id: str
    attempt: int
    token: str

    @classmethod
    def named(cls, name: str) -> Claim | None:
        """The claim whose file has this name; None where no claim's has."""
        matched = _NAME.fullmatch(name)
        return cls(matched["comp_id"], int(matched["attempt"]), matched["token"]) if matched else None

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.comp_id}.{self.attempt}.{self.token}"


class Question(NamedTuple):
    """What is inside a claim.

    :ivar raw: the file's bytes; empty where it was too large to be read.
    :ivar computation: None where it cannot be run; ``problem`` says why, to a person.
    :ivar written: Unix seconds, the file's own time, which renames keep.
    :ivar mode: permission bits of the file, and ``group`` its group: the answer's follow them.
    :ivar arrived: monotonic seconds at which it came; None where it was there before its alias was served.
    :ivar late: whether it has waited longer than its deadline.
    """

    claim: Claim
    raw: bytes
    computation: Computation | None
    problem: str | None
    written: float
    mode: int
    group: int
    arrived: float | None = None
    late: bool = False


class Later(NamedTuple):
    """A file that is not whole yet.

    :ivar seconds: when to look again.
    :ivar claim: where it is a claim already: what to :meth:`Spool.resume` then.
    :ivar error: where the system would not let us look.
    """

    seconds: float
    claim: Claim | None = None
    error: OSError | None = None
