"""The inline metadata of a single file (PEP 723)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.frozen import dataclass, field
from nectar.manage.files import authored
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.source.pyproject import read_settings
from nectar.settings import Settings

_MARK = "# ///"
_OPENING = re.compile(r"# /// ([a-zA-Z0-9-]+)[ \t]*")
_NEARLY_OPENING = re.compile(r"\s*#+\s*///\s*([a-zA-Z0-9_-]+)\s*")
_DRAFTED = ("pyproject",)
"""What a draft of the specification called it."""
_FIELDS = ("dependencies", "requires-python", "tool")
_CLOSING = re.compile(r"# ///[ \t]*")
_POSITION = r"line (\d+), column (\d+)"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file says of itself."""

    file: Path
    table: dict[str, Any] = field(default_factory=dict)

    @property
    def dependencies(self) -> list[str]:
        return list_of_text(self.table.get("dependencies"))

    @property
    def requires_python(self) -> str | None:
        requires = self.table.get("requires-python")
        return requires if isinstance(requires, str) else None

    @property
    def settings(self) -> Settings:
        return read_settings(self.table, self.file)

    @property
    def uv(self) -> dict[str, Any]:
        return section(self.table, "tool", "uv")


def read(file: Path) -> Metadata:
    """Read the metadata of a file; one without a block has none.

    :raises EnvironmentFailedError: the file cannot be read; it has two blocks; a block is not TOML or does not say what it should.
    """
    with authored.name_failure(file):
        content = authored.read_bytes(file, authored.CODE)
    # The code's encoding may be another; what is said here is UTF-8, as the specification has it.
    lines = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = [block for block in find_blocks(lines) if block.type == "script"]
    if len(found) > 1:
        raise EnvironmentFailedError(
            "The file has two blocks of inline metadata.",
            where=f"{file}, line {found[1].line}",
            hint="Leave one `# /// script`.",
        )
    if not found:
        opened = next((number for number, line in enumerate(lines, 1) if _type(line) == "script"), None)
        if opened is not None:
            raise EnvironmentFailedError(
                "The file's inline metadata is not closed.",
                where=f"{file}, line {opened}",
                hint="Every line of it begins with `# `, and the last one is `# ///`.",
            )
        _refuse_misspelt(file, lines)
        return Metadata(file=file)
    return Metadata(file=file, table=_table(file, found[0]))


def _refuse_misspelt(file: Path, lines: list[str]) -> None:
    """Nothing else would say that dependencies were never read.

    :raises EnvironmentFailedError: a line all but opens a block.
    """
    for number, line in enumerate(lines, 1):
        found = _NEARLY_OPENING.fullmatch(line) if "///" in line else None
        if found and (found[1] in _DRAFTED or _nearest(found[1].lower(), ["script"])):
            raise EnvironmentFailedError(
                f"This line looks like the first of the file's inline metadata, and is not: {line.strip()}",
                where=f"{file}, line {number}",
                hint="Write it as `# /// script`.",
            )


def _nearest(name: str, names: Iterable[str]) -> str | None:
    import difflib  # only where something is wrong

    found = difflib.get_close_matches(name, names, 1, 0.8)
    return found[0] if found else None


class Block(NamedTuple):
    """:ivar line: the number of its first line in the file."""

    type: str
    line: int
    content: list[str]


def find_blocks(lines: list[str]) -> Iterator[Block]:
    """The blocks of any type: each from a line that opens one to the last of the comment that closes one."""
    opened, closed = None, 0
    for number, line in enumerate([*lines, ""]):
        if line == "#" or line.startswith("# "):
            if opened is None and _type(line) is not None:
                opened, closed = number, 0
            elif opened is not None and number > opened + 1 and line.startswith(_MARK) and _CLOSING.fullmatch(line):
                closed = number
        else:
            if opened is not None and closed:
                yield Block(_type(lines[opened]) or "", opened + 1, lines[opened + 1 : closed])
            opened = None


def _type(line: str) -> str | None:
    found = _OPENING.fullmatch(line) if line.startswith(_MARK) else None  # a file may have a million lines
    return found[1] if found else None


def _table(file: Path, block: Block) -> dict[str, Any]:
    """What a block says.

    :raises EnvironmentFailedError: it is not TOML, or does not say what it should.
    """
    if any("\N{REPLACEMENT CHARACTER}" in line for line in block.content):
        raise EnvironmentFailedError("The file's inline metadata is not UTF-8.", where=str(file))
    try:
        table = authored.parse_toml("\n".join(line[2:] for line in block.content))
    except ValueError as error:
        said = re.sub(_POSITION, lambda found: f"line {int(found[1]) + block.line}, column {int(found[2]) + len('# ')}", str(error))
        said = said.replace("end of document", f"its end, line {block.line + len(block.content) + 1}")
        raise EnvironmentFailedError(f"The file's inline metadata cannot be parsed: {said}.", where=str(file)) from None
    for name in sorted(table.keys() - {*_FIELDS}):
        if near := _nearest(name.lower().replace("_", "-"), _FIELDS):
            raise EnvironmentFailedError(
                f"`{name}` in the inline metadata is read by nobody.", where=str(file), hint=f"Did you mean `{near}`?"
            )
    dependencies = table.get("dependencies", [])
    if not isinstance(dependencies, list) or len(list_of_text(dependencies)) != len(dependencies):
        raise EnvironmentFailedError("`dependencies` in the inline metadata is not a list of strings.", where=str(file))
    if not isinstance(table.get("requires-python", ""), str):
        raise EnvironmentFailedError("`requires-python` in the inline metadata is not a string.", where=str(file))
    return table


def write(table: dict[str, Any]) -> str:
    """A file that says this of itself, and nothing else."""
    lines = (f"# {line}".rstrip() for line in tomli_w.dumps(table).splitlines())
    return "\n".join(["# /// script", *lines, "# ///", ""])
