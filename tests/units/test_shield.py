"""A worker's shield: what it puts back, and what it makes of exceptions that were made to break it."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.frames import MAX_DETAIL, MAX_ERROR
from nectar.runtime.worker.shield import describe, flush, keep_builtins, trace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def whole() -> Iterator[dict[str, object]]:
    before = dict(vars(builtins))
    yield before
    for name in vars(builtins).keys() - before.keys():
        delattr(builtins, name)
    assert dict(vars(builtins)) == before


# --- builtins


def test_all_builtins_are_put_back_without_one_of_them(whole: dict[str, object]) -> None:
    mend, break_all = keep_builtins(), vars(builtins).update
    nothing = dict.fromkeys(whole)
    break_all(nothing)
    mend()
    assert dict(vars(builtins)) == whole


def test_one_that_was_deleted_is_put_back_and_a_new_one_is_left_alone(whole: dict[str, object]) -> None:
    mend = keep_builtins()
    del builtins.len
    builtins.added = 1  # type: ignore[attr-defined]
    mend()
    assert vars(builtins) == {**whole, "added": 1}


def test_they_are_put_back_as_they_were_when_they_were_kept(whole: dict[str, object]) -> None:
    original, builtins.print = builtins.print, repr  # type: ignore[assignment]
    mend = keep_builtins()
    builtins.print = len  # type: ignore[assignment]
    mend()
    kept, builtins.print = builtins.print, original
    assert kept is repr  # type: ignore[comparison-overlap]


# --- exceptions


class RudeError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Sly(str):
    __slots__ = ()

    def __format__(self, _spec: str) -> str:
        raise ValueError

    def __getitem__(self, _key: object) -> Sly:
        return self


class LyingError(Exception):
    def __str__(self) -> str:
        return Sly("sly")


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (ValueError("a message"), "ValueError: a message"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 10_000), "ValueError: " + "x" * (MAX_ERROR - 12)),
        (type("E" * 10_000, (Exception,), {})("x"), "E" * MAX_ERROR),
        (RudeError(), "An exception whose message cannot be shown"),
        (LyingError(), "LyingError: sly"),
        (SystemExit(0), "SystemExit: 0"),
    ],
)
def test_an_exception_is_described_in_one_bounded_sentence(error: BaseException, described: str) -> None:
    assert describe(error) == described
    assert type(describe(error)) is str


def caught(code: str, name: str = "/authors/file.py") -> BaseException:
    try:
        exec(compile(code, name, "exec"), {"trace": trace, "describe": describe})
    except BaseException as error:
        return error
    raise AssertionError


def test_a_traceback_begins_with_the_authors_lines() -> None:
    text = trace(caught("def f():\n    raise ValueError('x')\nf()"))
    assert text is not None
    assert 'File "/authors/file.py", line 3, in <module>' in text
    assert text.endswith("ValueError: x\n")


def test_lines_of_nectar_and_of_the_import_system_are_left_out() -> None:
    text = trace(caught("import json.no_such_module_there_is"))
    assert text is not None
    assert "importlib" not in text
    assert caught("describe()").__traceback__ is not None
    nested = trace(caught("try:\n    trace()\nexcept TypeError as error:\n    raise ValueError from error"))
    assert nested is not None
    assert nested.count("File ") == nested.count("/authors/file.py") + nested.count(__file__)


def test_where_there_is_no_line_of_the_authors_there_is_no_traceback_but_for_a_line_that_is_none() -> None:
    assert trace(ValueError("never raised")) is None
    text = trace(SyntaxError("no", ("/authors/file.py", 3, 1, "x = = 1", 3, 2)))
    assert text is not None
    assert "x = = 1" in text


def test_a_traceback_keeps_its_last_characters() -> None:
    text = trace(caught(f"raise ValueError('a' * {MAX_DETAIL} + 'the end')"))
    assert text is not None
    assert len(text) == MAX_DETAIL
    assert text.endswith("the end\n")


def test_one_that_cannot_be_shown_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    error = caught("raise ValueError")
    monkeypatch.setattr("traceback.StackSummary.from_list", lambda _list: 1 // 0)
    assert trace(error) is None


def test_streams_that_are_gone_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    flush()
