"""A single file becomes an environment like a project's, with what it imports from beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError, UsageError
from nectar.manage.daemon.assignment import choose_entry
from nectar.manage.source import siblings
from nectar.runtime.origins import find_origins
from tests.environments.workbench import Bench, installed, run, snapshot, uv, write

PLAIN = "from nectar import handler\n\n@handler\ndef analyze(comp):\n    return 1\n"
SCRIPT = """\
# /// script
# requires-python = ">=3.11"
# dependencies = ["click==7.1.2"]
# [tool.nectar]
# workers = 2
# ///
"""


def modules(found: object) -> dict[str, str]:
    snapshot = found.snapshot  # type: ignore[attr-defined]
    return {name: each["origin"] for name, each in json.loads(snapshot.read_text())["modules"].items()}


@pytest.mark.uv
def test_a_file_with_metadata(bench: Bench) -> None:
    file = bench.file("files/my-handler.py", SCRIPT + PLAIN)
    opened = bench.open(file)
    assert (opened.name, opened.settings.workers) == ("my-handler", 2)
    before = snapshot(file.parent)
    found = bench.provide(file)
    assert installed(found) == {"click": "7.1.2", "my-handler-file": "0"}
    assert found.marker.entries == (("my_handler", "my_handler"),)
    assert choose_entry(found, None) == ("my_handler", "my_handler")
    assert choose_entry(found, "analyze") == ("analyze", "my_handler:analyze")
    with pytest.raises(UsageError):
        choose_entry(found, "no way")
    assert modules(found) == {"my_handler": "my-handler.py"}
    assert snapshot(file.parent) == before
    assert bench.find(file) == found


@pytest.mark.uv
def test_a_file_that_no_longer_parses_is_wrapped_all_the_same(bench: Bench) -> None:
    bench.file("helper.py", "x = 1\n")
    file = bench.file("broken.py", "import os, helper as h\nfrom json import (\n    loads\n)\ndef f(:\n")
    assert set(modules(bench.provide(file))) == {"broken", "helper"}


@pytest.mark.uv
@pytest.mark.once
def test_where_a_file_lies_is_no_part_of_its_content(bench: Bench) -> None:
    """Nor is it where what it imports lies, behind a link."""
    for place in ("a", "b"):
        bench.file(f"{place}/package/__init__.py", "x = 1\n")
        bench.file(f"{place}/same.py", "import package\n" + PLAIN)
    (bench.directory / "c").mkdir()
    (bench.directory / "c" / "same.py").symlink_to("../b/same.py")
    one = bench.provide(bench.directory / "a" / "same.py")
    assert modules(one) == {"same": "same.py", "package": "package/__init__.py"}
    assert [bench.find(bench.directory / place / "same.py") for place in "bc"] == [one, one]
    fields = json.loads(one.snapshot.read_text() if one.snapshot else "")
    for directory, beside in (("a", "a"), ("b", "b"), ("c", "b")):
        assert find_origins(fields, str(bench.directory / directory)) == {
            "same": str(bench.directory / directory / "same.py"),
            "package": str(bench.directory / beside / "package" / "__init__.py"),
        }


@pytest.mark.uv
@pytest.mark.once
def test_a_sibling_s_change_is_a_change(bench: Bench) -> None:
    helper = bench.file("helper.py", "x = 1\n")
    file = bench.file("mine.py", "import helper\n" + PLAIN)
    first = bench.provide(file)
    write(helper, "x = 2\n")
    assert bench.find(file) is None
    assert bench.provide(file).key != first.key


@pytest.mark.uv
def test_a_relative_path_source(bench: Bench) -> None:
    bench.project("beside", at="libraries/beside", handler=False, code="VALUE = 5\n")
    file = bench.file(
        "scripts/mine.py",
        '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["beside"]\n'
        '# [tool.uv.sources]\n# beside = { path = "../libraries/beside" }\n# ///\n' + PLAIN,
    )
    with pytest.raises(EnvironmentFailedError, match="no lock") as refused:
        bench.provide(file)
    assert refused.value.hint == f"uv lock --script {file}"
    uv("lock", "--script", file)
    first = bench.provide(file)
    assert run(first, "import beside; print(beside.VALUE)") == "5"
    write(bench.directory / "libraries" / "beside" / "src" / "beside" / "__init__.py", "VALUE = 6\n")
    assert run(bench.provide(file), "import beside; print(beside.VALUE)") == "6"


@pytest.mark.uv
def test_a_script_lock_counts(bench: Bench) -> None:
    file = bench.file("mine.py", SCRIPT.replace("click==7.1.2", "click") + PLAIN)
    uv("lock", "--script", file, "--exclude-newer", "2021-06-01T00:00:00Z")
    lock = file.with_name("mine.py.lock")
    text = lock.read_text()
    write(lock, text.replace('exclude-newer = "2021-06-01T00:00:00Z"', "").replace("[options]\n", ""))
    found = bench.provide(file)
    assert installed(found) == {"click": "8.0.1", "mine-file": "0"}
    assert not any("no lock" in line for line in bench.said)
    write(file, file.read_text().replace('"click"', '"click", "six"'))
    with pytest.raises(EnvironmentFailedError, match="does not match the file's inline metadata") as refused:
        bench.provide(file)
    assert refused.value.hint == f"uv lock --script {file}"


@pytest.mark.uv
def test_a_wrong_hash_in_a_script_lock(bench: Bench) -> None:
    file = bench.file("mine.py", SCRIPT + PLAIN)
    uv("lock", "--script", file)
    lock = file.with_name("mine.py.lock")
    write(lock, lock.read_text().replace("sha256:dacca89f", "sha256:00000000"))
    with pytest.raises(EnvironmentFailedError) as refused:
        bench.provide(file)
    assert "Hash mismatch" in (refused.value.detail or "")


@pytest.mark.uv
def test_the_settings_of_uv_in_the_metadata(bench: Bench) -> None:
    file = bench.file(
        "mine.py",
        '# /// script\n# dependencies = ["click"]\n# [tool.uv]\n# exclude-newer = "2020-06-01T00:00:00Z"\n# ///\n' + PLAIN,
    )
    assert installed(bench.provide(file))["click"] == "7.1.2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# /// script\n# dependencies = [\n# ///\n", "cannot be parsed"),
        ("# /// script\n# dependencies = []\n# ///\n\n# /// script\n# dependencies = []\n# ///\n", "two blocks"),
        ("# /// script\n# dependencies = []\n\nimport x\n", "not closed"),
        ('# /// script\n# dependencies = "click"\n# ///\n', "not a list"),
    ],
)
def test_metadata_that_cannot_be_read(bench: Bench, text: str, message: str) -> None:
    with pytest.raises(EnvironmentFailedError, match=message):
        bench.open(bench.file("mine.py", text))


def test_what_is_taken_from_beside_a_file(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.py",
        """
        import json, queue, helper.deep
        from namespace.inner import thing
        import nectar, not_there
        def later():
            import lazy
        if False:
            import mine
        """,
    )
    for name in (
        "json.py",
        "queue.py",
        "nectar.py",
        "unrelated.py",
        "lazy.py",
        "namespace/inner.py",
        "namespace/more.py",
        "empty/readme.txt",
    ):
        write(tmp_path / name, "")
    write(tmp_path / "helper/__init__.py", "from . import deep\n")
    write(tmp_path / "helper/deep.py", "import third\n")
    write(tmp_path / "helper/__pycache__/x.py", "")
    write(tmp_path / "third.py", "import empty, mine\n")
    found = {each.name: each for each in siblings.find(file, lambda _: True)}
    assert sorted(found) == ["helper", "helper.deep", "lazy", "namespace", "namespace.inner", "namespace.more", "third"]
    assert found["helper"].package
    assert found["namespace"].package
    assert found["namespace"].read() == b""
    assert not found["third"].package
