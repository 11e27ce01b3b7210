"""A question's way through a spool: claimed, answered, published; one file at any moment."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nectar.spool.claims import Later, Question
from nectar.spool.entries import NotAQuestionError
from nectar.spool.place import SpoolBusyError, SpoolUnusableError
from nectar.spool.spool import Spool
from tests.spool.conftest import MAX_BYTES, listed, names, put

NOBODY = 65534


def claimed(spool: Spool, comp_id: str, now: float = 0.0) -> Question:
    found = spool.claim(comp_id, now)
    assert isinstance(found, Question)
    return found


def test_a_question_is_one_file_at_each_step(directory: Path, spool: Spool) -> None:
    put(directory, "a1", "abc")
    assert listed(spool) == (["a1"], [])
    question = claimed(spool, "a1")
    assert names(directory) == [f".nectar/{question.claim.name}"]
    assert question.computation is not None
    assert (question.computation.query, question.claim.attempt) == ("abc", 1)
    spool.answer(question, "success", value=6, seconds=0.5)
    assert spool.busy
    assert spool.settle().problems == []
    assert not spool.busy
    assert names(directory) == ["a1.complete"]
    answer = json.loads((directory / "a1.complete").read_bytes())
    expected = {"comp_id": "a1", "status": "success", "result": {"value": 6}, "error": None, "execution_time": 0.5}
    assert answer == {**expected, "claim": question.claim.token}


def test_the_oldest_come_first_and_no_more_than_asked_for(directory: Path, spool: Spool) -> None:
    for age, comp_id in enumerate(("young", "middle", "old")):
        os.utime(put(directory, comp_id), (1000 - age, 1000 - age))
    (directory / "old.complete").write_text("{}")
    assert listed(spool, 2) == (["old", "middle"], [])


def test_the_file_name_is_the_id_and_not_the_field(directory: Path, spool: Spool) -> None:
    put(directory, "field").rename(directory / "name.pending")
    question = claimed(spool, "name")
    assert question.computation is not None
    assert question.computation.comp_id == "name"


def test_a_second_question_of_an_id_waits_for_the_first(directory: Path, spool: Spool) -> None:
    put(directory, "a1", "first")
    question = claimed(spool, "a1")
    put(directory, "a1", "second")
    assert listed(spool) == ([], [])
    assert spool.claim("a1", 0.0) is None
    spool.answer(question, "success", value=1)
    spool.settle()
    second = claimed(spool, "a1")
    assert second.computation is not None
    assert second.computation.query == "second"
    spool.answer(second, "success", value=2)
    spool.settle()
    assert json.loads((directory / "a1.complete").read_bytes())["result"] == {"value": 2}, "an unread answer is replaced"


def test_one_process_holds_a_spool(directory: Path, spool: Spool) -> None:
    with pytest.raises(SpoolBusyError):
        Spool.open(directory, max_bytes=MAX_BYTES)
    spool.close()
    Spool.open(directory, max_bytes=MAX_BYTES).close()


def test_a_half_written_question_is_never_taken(directory: Path, spool: Spool) -> None:
    path = put(directory, "a1", "é" * 50)
    whole = path.read_bytes()
    for size in range(len(whole.rstrip())):
        path.write_bytes(whole[:size])
        assert isinstance(spool.claim("a1", 0.0), Later), f"{size} bytes of it"
    path.write_bytes(whole)
    assert claimed(spool, "a1").computation is not None


def test_what_stays_half_written_is_bad_after_two_seconds_and_not_before(directory: Path, spool: Spool) -> None:
    path = directory / "a1.pending"
    path.write_text('{"query": ')
    assert isinstance(spool.claim("a1", 100.0), Later)
    path.write_text('{"query": "wh')
    assert isinstance(spool.claim("a1", 101.5), Later), "it was touched a moment ago"
    assert isinstance(spool.claim("a1", 103.4), Later)
    question = claimed(spool, "a1", 103.6)
    assert question.computation is None
    assert question.problem is not None
    assert "not JSON" in question.problem


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[1]", "not a JSON object but a list"),
        (b"\xff{}", "not UTF-8"),
        (b"", "not JSON"),
        (b'{"a": NaN}', "a number that cannot be read"),
    ],
)
def test_what_is_no_object_is_bad_with_a_reason(directory: Path, spool: Spool, content: bytes, why: str) -> None:
    (directory / "a1.pending").write_bytes(content)
    assert isinstance(spool.claim("a1", 0.0), Later)
    question = claimed(spool, "a1", 2.0)
    assert question.problem is not None
    assert why in question.problem


def test_an_object_that_is_no_question_is_bad_at_once(directory: Path, spool: Spool) -> None:
    (directory / "a1.pending").write_text('{"query": 7}')
    assert claimed(spool, "a1").problem == "its field 'query' is not a string but a number"


def test_a_question_that_is_too_large_is_not_read(directory: Path, spool: Spool) -> None:
    put(directory, "a1", "x" * MAX_BYTES)
    question = claimed(spool, "a1")
    assert question.problem == f"it is larger than {MAX_BYTES} bytes"
    assert question.raw == b""


@pytest.mark.parametrize(
    "kind", ["link", "directory", "fifo", "hard link", "long", "nameless", "dot", "dot of a Mac", "lock of an editor"]
)
def test_what_is_no_question_is_left_alone(directory: Path, spool: Spool, tmp_path: Path, kind: str) -> None:
    path = directory / "odd.pending"
    secret = tmp_path / "secret"
    secret.write_bytes(b"{}")
    match kind:
        case "link":
            path.symlink_to(secret)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "hard link":
            os.link(secret, path)
        case "long":
            path = directory / ("x" * 240 + ".pending")
            path.write_bytes(b"{}")
        case "nameless":
            path = directory / ".pending"
            path.write_bytes(b"{}")
        case "dot":
            path = put(directory, ".j1")
        case "dot of a Mac":
            path = put(directory, "._j1")
        case "lock of an editor":
            path = directory / ".#j1.pending"
            path.symlink_to("somebody@somewhere.1")
    found, odd = listed(spool)
    assert found == []
    assert [name for name, _ in odd] == [path.name]
    with pytest.raises(NotAQuestionError):
        spool.claim(path.name.removesuffix(".pending"), 0.0)
    assert path.lstat()


@pytest.mark.parametrize(
    "comp_id", ["a b", "ü", "a\nb", "x" * 230, "a.1.0123456789abcdef", b"\xff".decode(errors="surrogateescape")]
)
def test_odd_names_are_ids(directory: Path, spool: Spool, comp_id: str) -> None:
    put(directory, comp_id)
    assert listed(spool)[0] == [comp_id]
    spool.answer(claimed(spool, comp_id), "success", value=1)
    assert spool.settle().problems == []
    assert names(directory) == [f"{comp_id}.complete"]


def test_an_answer_that_cannot_be_published_is_owed(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    spool.answer(claimed(spool, "a1"), "success", value=3)
    (directory / "a1.complete").mkdir()
    assert len(spool.settle().problems) == 1
    assert len(spool.settle().problems) == 1
    assert spool.busy
    (directory / "a1.complete").rmdir()
    assert spool.settle().problems == []
    assert names(directory) == ["a1.complete"]


def test_an_answer_replaces_a_link_and_writes_through_none(directory: Path, spool: Spool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (directory / "a1.complete").symlink_to(secret)
    put(directory, "a1")
    spool.answer(claimed(spool, "a1"), "success", value=3)
    assert spool.settle().problems == []
    assert secret.read_text() == "mine"
    assert not (directory / "a1.complete").is_symlink()


def test_an_answer_has_the_mode_of_its_question(directory: Path, spool: Spool) -> None:
    for comp_id, mode, expected in (("a", 0o640, 0o640), ("b", 0o600, 0o600), ("c", 0o4775, 0o664)):
        put(directory, comp_id).chmod(mode)
        spool.answer(claimed(spool, comp_id), "success", value=1)
        spool.settle()
        assert stat.S_IMODE((directory / f"{comp_id}.complete").stat().st_mode) == expected


def test_an_answer_whose_group_cannot_be_given_is_published(directory: Path) -> None:
    """In a user namespace that does not know the question's group."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to a group that it is not in")
    os.chown(put(directory, "a"), -1, 4321)
    code = """
import sys
from pathlib import Path
from nectar.api.computation import ComputationResult
from nectar.spool.spool import Spool
spool = Spool.open(Path(sys.argv[1]), max_bytes=4096)
question = spool.claim("a", 0.0)
spool.answer(question, "success", value=1)
print(spool.settle().problems)
"""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code, str(directory)]
    if not shutil.which("unshare") or subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode:
        pytest.skip("there are no user namespaces here")
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "[]\n", ended.stderr
    assert names(directory) == ["a.complete"]


def test_a_directory_of_claims_that_others_can_write_is_refused(directory: Path) -> None:
    (directory / ".nectar").mkdir()
    (directory / ".nectar").chmod(0o777)
    with pytest.raises(SpoolUnusableError, match="somebody else"):
        Spool.open(directory, max_bytes=MAX_BYTES)


def test_a_directory_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnusableError, match="No such file"):
        Spool.open(tmp_path / "nowhere", max_bytes=MAX_BYTES)


def test_a_question_that_stays_closed_to_us_gets_an_error_that_says_so() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else for a while")
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        directory.chmod(0o755)
        os.chown(directory, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            spool = Spool.open(directory, max_bytes=MAX_BYTES)
            put(directory, "a1").chmod(0)
            assert isinstance(spool.claim("a1", 0.0), Later)
            put(directory, "a2")
            assert claimed(spool, "a2").computation is not None
            question = claimed(spool, "a1", 10.0)
            assert question.computation is None
            assert question.problem == "it cannot be opened (Permission denied)"
            spool.answer(question, "error", error=question.problem)
            assert spool.settle().problems == []
            spool.close()
        finally:
            os.seteuid(0)
        assert (directory / "a1.complete").exists()
