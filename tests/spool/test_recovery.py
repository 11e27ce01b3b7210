"""What a process that comes after a dead one makes of what it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nectar.api.computation import ComputationResult
from nectar.spool.claims import Claim, Question
from nectar.spool.spool import MAX_TRIES, Spool
from tests.spool.conftest import MAX_BYTES, died, names, put, whole

if TYPE_CHECKING:
    from pathlib import Path


def reopened(spool: Spool, directory: Path) -> Spool:
    died(spool)
    return Spool.open(directory, max_bytes=MAX_BYTES)


def resumed(spool: Spool) -> list[Question]:
    found = [spool.resume(claim, 0.0) for claim in whole(spool.abandoned())]
    return [question for question in found if isinstance(question, Question)]


def test_a_question_that_was_claimed_runs_again_as_the_next_try(directory: Path, spool: Spool) -> None:
    put(directory, "a1", "abc")
    spool.claim("a1", 0.0)
    for attempt in range(2, MAX_TRIES + 1):
        spool = reopened(spool, directory)
        (question,) = resumed(spool)
        assert question.claim.attempt == attempt
        assert question.computation is not None
        assert names(directory) == [f".nectar/{question.claim.name}"]
    spool = reopened(spool, directory)
    (question,) = resumed(spool)
    assert question.computation is None
    assert question.problem is not None
    assert f"tried {MAX_TRIES} times" in question.problem
    spool.close()


def test_only_what_a_dead_process_left_is_the_next_try(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    question = spool.claim("a1", 0.0)
    assert isinstance(question, Question)
    for _ in range(MAX_TRIES + 1):
        again = spool.resume(question.claim, 0.0)
        assert isinstance(again, Question)
        assert again.claim == question.claim
        spool.leave(question.claim)
        assert whole(spool.abandoned()) == [question.claim]
    spool = reopened(spool, directory)
    (second,) = resumed(spool)
    again = spool.resume(second.claim, 0.0)
    assert isinstance(again, Question)
    assert again.claim == second.claim
    assert again.computation is not None
    spool.close()


def test_an_answer_that_was_written_is_published_and_not_run(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    question = spool.claim("a1", 0.0)
    assert isinstance(question, Question)
    (directory / "a1.complete").mkdir()  # so that it cannot be published yet
    spool.answer(question, "success", value=9)
    assert len(spool.settle().problems) == 1
    (directory / "a1.complete").rmdir()
    put(directory, "a1").rename(directory / ".nectar" / f"{0:016x}.answer")  # its question, where the two have changed places
    spool = reopened(spool, directory)
    assert resumed(spool) == []
    assert spool.settle().problems == []
    assert json.loads((directory / "a1.complete").read_bytes())["result"] == {"value": 9}
    assert names(directory) == ["a1.complete"]
    spool.close()


def test_what_looks_like_an_answer_is_a_question_without_the_token(directory: Path, spool: Spool) -> None:
    forged = ComputationResult(comp_id="a1", status="success", value=1, claim="f" * 16)
    claim = Claim("a1", 1, "0" * 16)
    (directory / ".nectar" / claim.name).write_bytes(forged.to_json())
    (question,) = resumed(spool)
    assert question.problem == "it has no field 'query'"


def test_a_claim_whose_name_begins_with_a_dot_is_answered(directory: Path, spool: Spool) -> None:
    """Such names counted as questions once."""
    put(directory, ".j1").rename(directory / ".nectar" / Claim(".j1", 1, "0" * 16).name)
    (question,) = resumed(spool)
    spool.answer(question, "success", value=3)
    assert spool.settle().problems == []
    assert json.loads((directory / ".j1.complete").read_bytes())["result"] == {"value": 3}


def test_foreign_files_stay_and_unfinished_answers_go(directory: Path, spool: Spool) -> None:
    claims = directory / ".nectar"
    for foreign in ("notes.txt", "a1.0.0123456789abcdef", "a1.1.0123", "x.answer", ".nfs00000000000a11b500000001"):
        (claims / foreign).write_text("mine")
    (claims / "a1.1.0123456789abcdef").mkdir()
    (claims / "0123456789abcdef.answer").write_text('{"comp')
    assert whole(spool.abandoned()) == []
    left = [".nfs00000000000a11b500000001", "a1.0.0123456789abcdef", "a1.1.0123", "notes.txt", "x.answer"]
    assert names(directory) == [f".nectar/{name}" for name in left]


def test_a_claim_that_somebody_removes_is_let_go_of(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    question = spool.claim("a1", 0.0)
    assert isinstance(question, Question)
    (directory / ".nectar" / question.claim.name).unlink()
    spool.answer(question, "success", value=1)
    assert [str(error) for error in spool.settle().problems] == ["[Errno 2] its claim was removed"]
    assert spool.settle().lost == [(question.claim, "its claim was removed")]
    assert not spool.busy
    assert names(directory) == []


DYING = """
# Forks, for each number that it reads, what ends before so many operations, and says with which code it ended.
import os, sys
from pathlib import Path
from nectar import features
from nectar.api.computation import ComputationResult
from nectar.spool.spool import Spool
from tests.spool.conftest import whole

directory, fatal, made = Path(sys.argv[1]), 0, 0
for line in sys.stdin:
    if (dying := os.fork()) == 0:
        fatal = int(line)
        break
    print(os.waitstatus_to_exitcode(os.waitpid(dying, 0)[1]), flush=True)
else:
    sys.exit()

def before(event, arguments):
    global made
    if event in {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.chown", "os.scandir"}:
        made += 1
        if made == fatal:
            os._exit(9)

def exchange(*arguments, exchange=features.exchange):
    before("os.rename", arguments)
    exchange(*arguments)

sys.addaudithook(before)
features.exchange = exchange
features.replaces_slowly = lambda _: sys.argv[2] == "exchanges"
spool = Spool.open(directory, max_bytes=4096)
for claim in whole(spool.abandoned()):
    spool.resume(claim, 0.0)
question = spool.claim("a1", 0.0)
spool.answer(question, "success", value=6)
spool.settle()
os._exit(0)
"""


@pytest.mark.parametrize("way", ["renames", "exchanges"])
def test_ending_before_any_file_operation_leaves_exactly_one_answer_to_come(directory: Path, way: str) -> None:
    """A process ends before its n-th file operation, for every n; the next one must come to one right answer, and leave nothing."""
    command = [sys.executable, "-c", DYING, str(directory), way]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        for fatal in range(1, 100):
            put(directory, "a1", "abc")
            print(fatal, file=parent.stdin, flush=True)
            ended = int(parent.stdout.readline())
            assert ended in (0, 9)
            spool = Spool.open(directory, max_bytes=MAX_BYTES)
            questions = resumed(spool)
            fresh = spool.claim("a1", 0.0)
            if isinstance(fresh, Question):
                questions.append(fresh)
            assert len(questions) <= 1
            for question in questions:
                spool.answer(question, "success", value=6)
            assert spool.settle().problems == []
            spool.close()
            assert json.loads((directory / "a1.complete").read_bytes())["result"] == {"value": 6}
            assert names(directory) == ["a1.complete"]
            (directory / "a1.complete").unlink()
            if ended == 0:
                break
    assert fatal > 8, "it ended before few operations only: is anything still counted?"
