"""One event of a handler's log, as its two files have it: lines of text in ``{name}.log``, one of JSON in ``{name}.jsonl``.

In the text, time, level, alias and computation stand before each line, a further one of the same event has ``| `` before it, and a
dash stands where there is no alias, or no computation::

    2026-11-25T10:12:47.123+00:00 ERROR   alice 3f2a91c0: error (0.002 s): ValueError: no such word
    2026-11-25T10:12:47.123+00:00 ERROR   alice 3f2a91c0: | Traceback (most recent call last):

As JSON: ``time`` (Unix seconds), ``level``, ``alias`` and ``computation`` (null where there is none), and ``text``.
"""

from __future__ import annotations

import json
import time

from nectar.frozen import NamedTuple

INFO, PRINTED, WARNING, ERROR = "INFO", "PRINT", "WARNING", "ERROR"
"""Of which kind an event is; what the handler's own code printed is one."""
LEVELS = (INFO, PRINTED, WARNING, ERROR)
"""From what matters least."""
FURTHER = "| "
NONE = "-"


class Event(NamedTuple):
    """:ivar time: Unix seconds; 0 where nobody knows it.
    :ivar alias: as it is shown, and so is ``computation``; empty where there is none.
    """

    time: float
    level: str
    alias: str
    computation: str
    text: str


def visible(text: str) -> str:
    """The text with each character that is not printable as its escape, tabs aside."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def as_word(name: str) -> str:
    """An alias or an id as a log shows it: visible, and one word."""
    return visible(name).replace(" ", "\\x20").replace("\t", "\\t")


def split_time(second: int) -> tuple[str, str]:
    """How the local time begins and ends, around the milliseconds.

    :param second: whole Unix seconds.
    """
    local = time.localtime(second)
    zone = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{zone[:3]}:{zone[3:]}"


def write_text(when: str, level: str, alias: str, computation: str, text: str) -> str:
    """Its lines, with control characters shown and not sent.

    :param when: as it stands before each.
    """
    begin = f"{when} {level:<7} {alias or NONE} {computation or NONE}: "
    return begin + f"\n{begin}{FURTHER}".join(map(visible, text.split("\n"))) + "\n"


def write_json(when: str, level: str, alias: str, computation: str, text: str) -> str:
    """Its line.

    :param when: Unix seconds.
    """
    whose = f'"alias": {json.dumps(alias or None)}, "computation": {json.dumps(computation or None)}'
    return f'{{"time": {when}, "level": {json.dumps(level)}, {whose}, "text": {json.dumps(text)}}}\n'


def show(event: Event) -> str:
    """As it stands in the text, without its last newline."""
    if not event.time:
        return event.text
    milliseconds = round(event.time * 1000)
    begin, end = split_time(milliseconds // 1000)
    when = f"{begin}.{milliseconds % 1000:03}{end}"
    return write_text(when, event.level, event.alias, event.computation, event.text).rstrip("\n")
