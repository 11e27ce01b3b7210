"""The inline metadata of a single file (PEP 723)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nectar.errors import EnvironmentFailedError
from nectar.manage.project import list_of_text, section
from nectar.settings import Settings

_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)[ \t]*$\s(?P<content>(^#(| .*)$\s)+)^# ///[ \t]*$")


@dataclass(frozen=True)
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
        return Settings.from_mapping(section(self.table, "tool", "nectar"), where=f"[tool.nectar] in {self.file}")

    @property
    def uv(self) -> dict[str, Any]:
        return section(self.table, "tool", "uv")


def read(file: Path) -> Metadata:
    """Read the metadata of a file; one without a block has none.

    :raises EnvironmentFailedError: the file cannot be read; it has two blocks; a block is not TOML or does not say what it should.
    """
    try:
        text = file.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n")
    except OSError as error:
        raise EnvironmentFailedError(f"The file cannot be read: {error.strerror}.", where=str(file)) from None
    blocks = [found for found in _BLOCK.finditer(text if text.endswith("\n") else text + "\n") if found["type"] == "script"]
    if len(blocks) > 1:
        raise EnvironmentFailedError(
            "The file has two blocks of inline metadata.", where=str(file), hint="Leave one `# /// script`."
        )
    if not blocks:
        if re.search(r"^# /// script[ \t]*$", text, re.MULTILINE):
            raise EnvironmentFailedError(
                "The file's inline metadata is not closed.",
                where=str(file),
                hint="Every line of it begins with `# `, and the last one is `# ///`.",
            )
        return Metadata(file)
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in blocks[0]["content"].splitlines())
    try:
        table = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailedError(f"The file's inline metadata cannot be parsed: {error}.", where=str(file)) from None
    dependencies = table.get("dependencies", [])
    if not isinstance(dependencies, list) or len(list_of_text(dependencies)) != len(dependencies):
        raise EnvironmentFailedError("`dependencies` in the inline metadata is not a list of strings.", where=str(file))
    return Metadata(file, table)
