"""The question and the answer: frozen data, and the only reader and writer of their JSON.

The files' shapes are the bee-hive node's: ``{id}.pending`` holds a :class:`Computation`, ``{id}.complete`` a
:class:`ComputationResult`. Fields may be added to either; unknown ones are no error.
"""

from __future__ import annotations

import codecs
import json
import math

from nectar.frozen import dataclass, field

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any, Literal, NoReturn

    Status = Literal["success", "error", "timeout"]
else:  # for who asks for the fields' types at run time
    Any, Status = object, str

SHARE_MODULUS = 2**32
"""The node splits a value into shares modulo this: a value outside 0 … 2**32 - 1 comes out of the network changed."""


class NotWholeError(ValueError):
    """The bytes are no JSON object: cut off, still being written, or never one."""


class InvalidQuestionError(ValueError):
    """A JSON object, but not a question: a field is missing or of the wrong type."""


@dataclass(frozen=True, kw_only=True)
class Computation:
    """One question, as a node asks it.

    Its fields cannot be set, and it can be the key of a dictionary or of :func:`functools.lru_cache`. It is frozen no deeper: its lists
    are lists, and its ``metadata`` is a dictionary, as handlers use them. Each run gets its own: what is changed in one is seen by the hooks
    around it, and by no other run. Its ``repr`` does not show what is private.

    :ivar comp_id: its id, from the name of the file.
    :ivar query: the question itself. Private.
    :ivar proposer: alias of the node that asked.
    :ivar aggregators: aliases of the nodes that add up shares.
    :ivar targets: aliases of the nodes that are asked.
    :ivar deadline: seconds that the node waits, from when it wrote the question.
    :ivar timestamp: Unix seconds by the proposer's clock, which may be hours off; where the node gave none, the time at which the
        file was written.
    :ivar metadata: free. Private.
    :ivar response_schema: ``"integer"``, the only one today.
    """

    comp_id: str
    query: str
    proposer: str = ""
    aggregators: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    deadline: float = 30
    timestamp: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    response_schema: str = "integer"

    def __repr__(self) -> str:
        shown = {name: repr(value) for name, value in vars(self).items()} | {"query": "…", "metadata": "…"}
        return f"{type(self).__qualname__}({', '.join(f'{name}={value}' for name, value in shown.items())})"

    def __hash__(self) -> int:
        # Of what differs from one to another and can be hashed: lists cannot.
        return hash((self.comp_id, self.query))

    @classmethod
    def from_json(cls, raw: bytes, *, comp_id: str, timestamp: float = 0.0) -> Computation:
        """Read a question.

        :param raw: the file's content. No strict prefix of a JSON object is one, so that what parses here is whole.
        :param comp_id: the id that counts: the file's name, never the field of that name.
        :param timestamp: Unix seconds to use where the question has none.
        :raises NotWholeError: the bytes are not one JSON object in UTF-8.
        :raises InvalidQuestionError: they are, and a field is missing or of the wrong type. Neither error quotes the content.
        """
        fields = {"timestamp": timestamp, "metadata": {}, "response_schema": "integer", **read_object(raw)}
        return cls(
            comp_id=comp_id,
            query=_text(fields, "query"),
            proposer=_text(fields, "proposer"),
            aggregators=_texts(fields, "aggregators"),
            targets=_texts(fields, "targets"),
            deadline=_number(fields, "deadline", above_zero=True),
            timestamp=_number(fields, "timestamp"),
            metadata=_typed(fields, "metadata", dict, "an object"),
            response_schema=_text(fields, "response_schema"),
        )

    def to_json(self) -> bytes:
        """Write it as a node would, in one line."""
        return _dump(
            {
                "comp_id": self.comp_id,
                "query": self.query,
                "proposer": self.proposer,
                "aggregators": self.aggregators,
                "targets": self.targets,
                "deadline": self.deadline,
                "timestamp": self.timestamp,
                "metadata": self.metadata,
                "response_schema": self.response_schema,
            },
        )


@dataclass(frozen=True, kw_only=True)
class ComputationResult:
    """One answer.

    :ivar comp_id: the question's id.
    :ivar status: ``"success"``, ``"error"`` or ``"timeout"``.
    :ivar value: the integer on success, else None. Private.
    :ivar error: for a person; None on success.
    :ivar execution_time: seconds that the handler's function ran, or None where it did not.
    :ivar claim: the token of the claim that this answers; only nectar knows it before the answer is published.
    """

    comp_id: str
    status: Status
    value: int | None = None
    error: str | None = None
    execution_time: float | None = None
    claim: str | None = None

    def __repr__(self) -> str:
        shown = {name: repr(value) for name, value in vars(self).items()} | ({} if self.value is None else {"value": "…"})
        return f"{type(self).__qualname__}({', '.join(f'{name}={value}' for name, value in shown.items())})"

    @classmethod
    def from_json(cls, raw: bytes) -> ComputationResult:
        """Read an answer.

        :raises NotWholeError: the bytes are not one JSON object in UTF-8.
        :raises InvalidQuestionError: they are, and it is no answer.
        """
        fields = read_object(raw)
        status = fields.get("status")
        result = fields.get("result")
        value = result.get("value") if isinstance(result, dict) else None
        if status not in ("success", "error", "timeout") or (status == "success") != (type(value) is int):
            raise InvalidQuestionError("it is not an answer")
        error, seconds, claim = fields.get("error"), fields.get("execution_time"), fields.get("claim")
        return cls(
            comp_id=_text(fields, "comp_id"),
            status=status,
            value=value,
            error=error if isinstance(error, str) else None,
            execution_time=seconds if isinstance(seconds, (int, float)) else None,
            claim=claim if isinstance(claim, str) else None,
        )

    def to_json(self) -> bytes:
        """Write it as the node reads it: five fields that always stand, and then ours."""
        return _dump(
            {
                "comp_id": self.comp_id,
                "status": self.status,
                "result": None if self.value is None else {"value": self.value},
                "error": self.error,
                "execution_time": self.execution_time,
                "claim": self.claim,
            },
        )


def read_object(raw: bytes) -> dict[str, Any]:
    """Parse bytes as one JSON object.

    :raises NotWholeError: they are not; the message says why and quotes nothing.
    """
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise NotWholeError(f"it is not UTF-8 (byte {error.start})") from None
    try:
        parsed = _parse(text)
    except json.JSONDecodeError as error:
        raise NotWholeError(f"it is not JSON ({error.msg}, line {error.lineno} column {error.colno})") from None
    except RecursionError:
        raise NotWholeError("it is nested too deeply") from None
    except ValueError as error:
        # An integer of thousands of digits (CPython's limit), or one of the constants below.
        raise NotWholeError(f"it has a number that cannot be read ({str(error).split(';')[0].split(':')[0]})") from None
    if not isinstance(parsed, dict):
        raise NotWholeError(f"it is not a JSON object but {_kind(parsed)}")
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Encoder(json.JSONEncoder):
    """With methods of its own, because a handler may replace those that the module ``json`` has."""

    encode = json.JSONEncoder.encode
    iterencode = json.JSONEncoder.iterencode


class Decoder(json.JSONDecoder):
    """The same."""

    decode = json.JSONDecoder.decode
    raw_decode = json.JSONDecoder.raw_decode


_parse = Decoder(parse_constant=_refuse_constant).decode
_encode = Encoder().encode


def _dump(fields: dict[str, Any]) -> bytes:
    return _encode(fields).encode() + b"\n"


def _typed(fields: dict[str, Any], name: str, kind: type[Any], called: str) -> Any:
    if name not in fields:
        raise InvalidQuestionError(f"it has no field {name!r}")
    value = fields[name]
    if not isinstance(value, kind):
        raise InvalidQuestionError(f"its field {name!r} is not {called} but {_kind(value)}")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value: str = _typed(fields, name, str, "a string")
    return value


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    values: list[str] = _typed(fields, name, list, "a list of strings")
    for value in values:
        if not isinstance(value, str):
            raise InvalidQuestionError(f"its field {name!r} is not a list of strings: there is {_kind(value)} in it")
    return values


def _number(fields: dict[str, Any], name: str, *, above_zero: bool = False) -> float:
    value = _typed(fields, name, (int, float), "a number")  # type: ignore[arg-type]
    if isinstance(value, bool):
        raise InvalidQuestionError(f"its field {name!r} is not a number but {_kind(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite or (above_zero and value <= 0):
        raise InvalidQuestionError(f"its field {name!r} is not a {'positive ' if above_zero else ''}number that can be used")
    number: float = value
    return number


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return kinds[type(value)]
