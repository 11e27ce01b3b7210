"""`[tool.nectar]`: what is known, what is refused, and with what words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar.errors import UsageError
from nectar.settings import Settings

names = st.text(st.characters(codec="utf-8", exclude_characters="=\0"), min_size=1)
tables = st.fixed_dictionaries(
    {},
    optional={
        "workers": st.integers(1, 256),
        "overlap": st.booleans(),
        "concurrency": st.integers(1, 1024),
        "deadline": st.floats(0.001, 1e6) | st.integers(1, 1000),
        "expired": st.sampled_from(["run", "skip"]),
        "start_timeout": st.floats(0.1, 86400),
        "stop_timeout": st.floats(0, 86400),
        "recycle_after": st.integers(1, 10**9),
        "memory_limit": st.integers(2**24, 2**50) | st.sampled_from(["16MiB", "1 GB", "512mib", "20000000"]),
        "max_question_bytes": st.integers(1024, 2**30),
        "keep_answers": st.floats(1, 1e6),
        "env": st.dictionaries(names, st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
        "pass_env": st.lists(names),
        "needs": st.lists(st.sampled_from(["network", "gpu"]) | names.map("read={}".format) | names.map("write={}".format)),
        "sandbox_tmp": st.integers(2**24, 2**50) | st.sampled_from(["16MiB", "1 GB"]),
        "sandbox_processes": st.integers(16, 65536),
    },
)


@given(tables)
def test_what_was_written_is_read_back(table: dict[str, Any]) -> None:
    settings = Settings.from_mapping(table)
    assert Settings.from_mapping(json.loads(json.dumps(settings.to_mapping()))) == settings


def test_only_what_differs_is_written() -> None:
    assert Settings().to_mapping() == {}
    assert Settings.from_mapping({"workers": 2, "expired": "run"}).to_mapping() == {"workers": 2}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("workers", 0, "a whole number from 1 to 256"),
        ("workers", True, "a whole number"),
        ("overlap", 1, "true or false"),
        ("concurrency", 1025, "a whole number from 1 to 1024"),
        ("workers", 1.0, "a whole number"),
        ("deadline", 0, "seconds from 0.001"),
        ("deadline", "30", "seconds"),
        ("deadline", float("nan"), "seconds"),
        ("deadline", float("inf"), "seconds"),
        ("start_timeout", False, "seconds"),
        ("expired", "drop", '"run" or "skip"'),
        ("max_question_bytes", 10, "a whole number from 1024"),
        ("recycle_after", 0, "a whole number from 1"),
        ("memory_limit", 1024, "a number of bytes"),
        ("memory_limit", "512 MiBytes", "a number of bytes"),
        ("memory_limit", "-512MiB", "a number of bytes"),
        ("memory_limit", True, "a number of bytes"),
        ("memory_limit", 1e9, "a number of bytes"),
        ("env", {"A": 1}, "a table of names and strings"),
        ("env", {"A=B": "x"}, "a table of names and strings"),
        ("env", ["A"], "a table"),
        ("pass_env", "PATH", "a list of names"),
        ("pass_env", [1], "a list of names"),
        ("needs", "network", "a list of network, gpu, read=PATH, write=PATH"),
        ("needs", [1], "a list of network"),
        ("sandbox_tmp", 1024, "a number of bytes"),
        ("sandbox_processes", 2, "a whole number from 16"),
    ],
)
def test_a_wrong_value_is_told_with_what_fits(key: str, value: object, wanted: str) -> None:
    with pytest.raises(UsageError) as raised:
        Settings.from_mapping({key: value}, where="pyproject.toml")
    assert f"{key!r} must be {wanted}" in raised.value.message
    assert raised.value.where == "pyproject.toml"


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        Settings.from_mapping({"worker": 2})
    assert raised.value.hint == "Did you mean 'workers'?"


def test_a_key_that_is_near_none_names_all() -> None:
    with pytest.raises(UsageError) as raised:
        Settings.from_mapping({"zzz": 2})
    assert "stop_timeout" in (raised.value.hint or "")


@pytest.mark.parametrize(("given", "each"), [({}, False), ({"log_each": True}, True), ({"log_answers": True}, True)])
def test_answers_in_the_log_are_a_line_each(given: dict[str, bool], each: bool) -> None:
    assert Settings.from_mapping(given).logs_each is each
    assert Settings.from_mapping(given).to_mapping() == given


def test_a_size_is_a_number_or_a_text() -> None:
    sizes = {"512MiB": 2**29, "1 gib": 2**30, "2GB": 2 * 10**9, "33554432": 2**25, 2**25: 2**25}
    for given_size, wanted in sizes.items():
        assert Settings.from_mapping({"memory_limit": given_size}).memory_bytes == wanted
    assert Settings().memory_bytes is None


def test_a_wrong_table_of_variables_is_not_quoted() -> None:
    with pytest.raises(UsageError) as raised:
        Settings.from_mapping({"env": {"TOKEN": "hush", "A": 1}})
    assert "hush" not in raised.value.message


@pytest.mark.parametrize(
    ("need", "meant"),
    [
        ("netwrok", "Did you mean 'network'?"),
        ("Network", "Did you mean 'network'?"),
        ("network=1", "Did you mean 'network'?"),
        ("reed=./corpus", "Did you mean 'read=PATH'?"),
        ("read", "Did you mean 'read=PATH'?"),
        ("write=", "Did you mean 'write=PATH'?"),
        ("read=a\0b", "Did you mean 'read=PATH'?"),
        ("./corpus", "There are network, gpu, read=PATH, write=PATH."),
        ("", "There are network"),
    ],
)
def test_a_need_that_is_none_is_told_with_the_nearest(need: str, meant: str) -> None:
    with pytest.raises(UsageError) as raised:
        Settings.from_mapping({"needs": ["gpu", need]}, where="[tool.nectar] in pyproject.toml")
    assert raised.value.message == f"{need!r} is nothing that can be granted."
    assert raised.value.where == "needs in [tool.nectar] in pyproject.toml"
    assert meant in str(raised.value.hint)
