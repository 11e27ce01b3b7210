"""What a question costs at the spool, counted by the system itself."""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nectar.spool.claims import make_token
from tests.spool.conftest import MAX_BYTES, put

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = 20
CLAIM, SETTLE = 8, 9
"""Four times what there is (is it a file, which one was opened, are its claims where they were, is what was claimed what was read),
open, read, close, rename; and three times what there is (are its claims where they were, which group has the answer, is the claim
there), open, write, its mode, close, and two renames. On ext4 a removal takes the place of the look whether the claim is there."""

PROGRAM = f"""
import os, sys
from pathlib import Path
from nectar.api.computation import ComputationResult
from nectar.spool.spool import Spool

spool = Spool.open(Path(sys.argv[1]), max_bytes={MAX_BYTES})
for number in range(-1, {QUESTIONS}):
    if number == 0:
        os.chdir("/")
    question = spool.claim(f"q{{number}}", 0.0)
    spool.answer(question, "success", value=7)
    assert spool.settle(question.claim).published
os.chdir("/")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_a_question_is_claimed_and_answered_with_few_system_calls(directory: Path, tmp_path: Path) -> None:
    for number in range(-1, QUESTIONS):
        put(directory, f"q{number}")
    output = tmp_path / "calls"
    command = ["strace", "-o", str(output), sys.executable, "-c", PROGRAM, str(directory)]
    traced = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in traced.stderr:
        pytest.skip(f"strace cannot be used here: {traced.stderr.strip()}")
    assert traced.returncode == 0, traced.stderr
    between = output.read_text().split("chdir(")[1]
    calls = collections.Counter(re.findall(r"^(\w+)\(", between, re.MULTILINE))
    # Memory, and what is random, is asked for once for many.
    often = {name: count for name, count in calls.items() if count >= QUESTIONS}
    assert calls.total() - sum(often.values()) < QUESTIONS
    assert sum(often.values()) <= QUESTIONS * (CLAIM + SETTLE), often


def test_no_token_is_another_s_nor_that_of_a_child() -> None:
    assert len({make_token() for _ in range(1000)}) == 1000
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, make_token().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != make_token()
    for descriptor in (reading, writing):
        os.close(descriptor)
