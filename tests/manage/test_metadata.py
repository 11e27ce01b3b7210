"""Inline metadata is found as the specification's own expression finds it, and in a moment."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar.errors import EnvironmentFailedError, NectarError
from nectar.manage.source import inline_metadata
from nectar.manage.source.siblings import find

REFERENCE = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""As in PEP 723."""
SOON = 4
"""Seconds of this process's own time."""


def write(directory: Path, content: str | bytes) -> Path:
    file = directory / "mine.py"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@given(
    st.lists(
        st.sampled_from(["# /// script", "# /// other", "# ///", "#", "# a = 1", "#!x", "", "x = 1", " # ///", "# /// ", "#  "]),
        max_size=14,
    ),
    st.booleans(),
)
def test_blocks_are_the_reference_s(lines: list[str], ended: bool) -> None:
    if any(line == "# /// " for line in lines):  # more than the reference: blanks after a mark do not matter
        lines = [line.rstrip() for line in lines]
    text = "\n".join(lines) + ("\n" if ended else "")
    found = [(each.type, "".join(f"{line}\n" for line in each.content)) for each in inline_metadata.find_blocks(text.split("\n"))]
    assert found == [(each["type"], each["content"]) for each in REFERENCE.finditer(text)]


@pytest.mark.parametrize(
    "begin", ["", "\ufeff", "#!/usr/bin/env python\n", "\ufeff# -*- coding: utf-8 -*-\n", "# a comment\n# of two lines\n\n"]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_what_comes_before_it_does_not_matter(begin: str, ends: str, tmp_path: Path) -> None:
    text = begin + '# /// script\n# dependencies = ["a"]\n#\n# requires-python = ">=3.12"\n# ///\nx = "ä"\n'
    said = inline_metadata.read(write(tmp_path, text.replace("\n", ends)))
    assert (said.dependencies, said.requires_python) == (["a"], ">=3.12")


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("# /// script\n# a = [\n# ///\n", "line 3", None),
        ("\n\n# x\n\n# /// script\n# a = 1\n# b = é\n# ///\n", "line 7, column 7", None),
        ("\ufeff\r\n# /// script\r\n#\r\n# a = 1 1\r\n# ///\r\n", "line 4, column 9", None),
        ("x\n# /// script\n# a = 1\nx\n", "not closed", 2),
        ("# /// script\n# a = 1\n# ///\n\n\n# /// script\n# a = 1\n# ///\n", "two blocks", 6),
        ("# /// script\n# a = " + "[" * 5000 + "\n# ///\n", "nested too deeply", None),
        ("# /// script\n# " + "a." * 100_000 + "b = 1\n# ///\n", "too long", None),
        ("# /// script\n# a = " + "1" * 5000 + "\n# ///\n", "too many digits", None),
        ("# /// script\n# dependencies = 'a'\n# ///\n", "not a list", None),
        ("# /// script\n# dependencies = [['a']]\n# ///\n", "not a list", None),
        ("# /// script\n# requires-python = 3.12\n# ///\n", "not a string", None),
        ('x\n#/// script\n# dependencies = ["a"]\n# ///\n', "looks like the first", 2),
        ("# /// Script\n# a = 1\n# ///\n", "looks like the first", 1),
        ("# /// scirpt\n# a = 1\n# ///\n", "looks like the first", 1),
        ("# /// pyproject\n# [run]\n# ///\n", "looks like the first", 1),
        ("#/// script\n#dependencies = []\n#///\n", "looks like the first", 1),
        ("# /// script\n# dependencys = []\n# ///\n", "`dependencys` in the inline metadata is read by nobody", None),
        ("# /// script\n# requires_python = '3'\n# ///\n", "`requires_python` in the inline metadata", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_errors_name_the_line_of_the_file(text: str, said: str, line: int | None, tmp_path: Path) -> None:
    file = write(tmp_path, text)
    with pytest.raises(EnvironmentFailedError, match=said) as caught:
        inline_metadata.read(file)
    assert caught.value.where == (f"{file}, line {line}" if line else str(file))


@pytest.mark.parametrize(
    "text",
    [
        "# /// other\n# a = 1\n# ///\n",
        "# script\n",
        "# // script\n",
        "x = 1  # /// script\n",
        "# /// script\n# future = 1\n# ///\n",
        "# /// script\n# a = 1\n# ///\n\n#/// script\n",
    ],
)
def test_what_is_somebody_elses_is_none_of_ours(text: str, tmp_path: Path) -> None:
    said = inline_metadata.read(write(tmp_path, text))
    assert (said.dependencies, said.requires_python) == ([], None)


@pytest.mark.parametrize(
    "table", ["[tool]\nnectar = 3", "[tool.nectar]\nworkers = inf", "[tool.nectar]\nworkers = '" + "x" * 5000 + "'"]
)
def test_settings_that_are_none(table: str, tmp_path: Path) -> None:
    said = inline_metadata.read(
        write(tmp_path, "# /// script\n" + "".join(f"# {line}\n" for line in table.split("\n")) + "# ///\n")
    )
    with pytest.raises(NectarError) as caught:
        _ = said.settings
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "content",
    [
        "# /// a\n" * 60_000,
        "# /// script\n" * 60_000,
        "# ///\n" * 60_000,
        "#\n" * 500_000,
        "# /// a\n#\n" * 60_000 + "x\n",
        "# /// a\n# b\n# ///\n\n" * 30_000,
        "#" * 1_000_000,
        "f'" + "{a}" * 80_000 + "'",
        "@a\n" * 80_000,
        "(" * 100_000,
        "import " + " " * 1_000_000,
        "import " + ",".join(f"a{number}" for number in range(20_000)),
        "import " + "a" * 5000,
        "x = '\\d'\nimport a\0b\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe4'\n",
        b"\xff\xfe# /// script\n",
        b"\0" * 100_000,
    ],
    ids=lambda value: repr(value[:20]),
)
def test_whatever_a_file_holds_it_is_read_soon(content: str | bytes, tmp_path: Path) -> None:
    file = write(tmp_path, content)
    began = time.process_time()
    try:
        inline_metadata.read(file)
    except EnvironmentFailedError as error:
        assert "not closed" in error.message
    assert find(file, lambda _: True) == []
    assert time.process_time() - began < SOON


def test_code_may_have_another_encoding_and_metadata_may_not(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_bytes("# coding: latin-1\nimport other  # ä\n".encode("latin-1"))
    (tmp_path / "other.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    block = "# coding: latin-1\n# /// script\n# a = 'x'\n# ///\nimport helper  # ä\n"
    file = write(tmp_path, block.encode("latin-1"))
    assert inline_metadata.read(file).table == {"a": "x"}
    assert [each.name for each in find(file, lambda _: True)] == ["helper", "other"]
    with pytest.raises(EnvironmentFailedError, match="not UTF-8"):
        inline_metadata.read(write(tmp_path, block.replace("x", "ä").encode("latin-1")))
