"""What is said of a worker's end, to whoever waits for it: of a process, of a load, of an answer."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.job import Failure, Job, Outcome
from nectar.runtime.daemon.workers.ends import Cause, explain_no_answer, explain_no_load, explain_no_start
from nectar.runtime.frames import describe_status
from nectar.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings(start_timeout=2.5, memory_limit="1GiB")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "ended with exit code 0"),
        (255, "ended with exit code 255"),
        (111, "lost its channel to nectar, which its code closed or used,"),
        (-15, "was ended by SIGTERM"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
    ],
)
def test_how_a_process_ended(status: int, said: str) -> None:
    assert describe_status(status) == said


def test_why_there_is_no_process(tmp_path: Path) -> None:
    python = tmp_path / "python"
    error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "/bin/it")
    python.symlink_to(tmp_path / "3.11" / "python")
    assert explain_no_start(error, str(python)) == Failure(
        f"The Python of the handler's environment is not there any more: {tmp_path}/3.11/python.",
        hint="nectar restart takes one that is there.",
    )
    python.unlink()
    python.touch()
    assert explain_no_start(error, str(python)) == Failure("A worker cannot be started: Cannot allocate memory.", where="/bin/it")


@pytest.mark.parametrize(
    ("cause", "message", "hint"),
    [
        (Cause.ITSELF, "The worker was ended by SIGSEGV while it loaded the handler.", None),
        (Cause.CLOSED, "The worker was ended by SIGSEGV while it loaded the handler.", None),
        (
            Cause.SLOW,
            "The handler was not loaded within 2.5 s.",
            "Raise start_timeout under [tool.nectar], or load less at import.",
        ),
        (
            Cause.MEMORY,
            "The handler took too much memory while it was loaded (memory_limit is 1GiB).",
            "Raise memory_limit under [tool.nectar], or load less at import.",
        ),
        (Cause.FAULT, "A worker could not be used: nectar failed while it dealt with it.", "The log says how."),
    ],
)
def test_why_the_handler_is_not_loaded(cause: Cause, message: str, hint: str | None) -> None:
    assert explain_no_load(cause, -11, SETTINGS) == Failure(message, hint=hint)


@pytest.mark.parametrize(
    ("cause", "status", "error"),
    [
        (Cause.OVERDUE, "timeout", "The handler did not answer within 90 s."),
        (Cause.ITSELF, "error", "The worker ended with exit code 3 before it had an answer."),
        (Cause.MEMORY, "error", "The worker was ended: it took too much memory (memory_limit is 1GiB)."),
        (Cause.CLOSED, "error", "The worker was ended: it closed its channel to nectar."),
        (Cause.NONSENSE, "error", "The worker was ended: it wrote something else on its channel to nectar."),
    ],
)
def test_why_there_is_no_answer(cause: Cause, status: str, error: str) -> None:
    job = Job("alias", "a", b"{}", 0.0, 90.0, lambda _outcome: None)
    outcome = explain_no_answer(job, cause, 3, SETTINGS, 1.5)
    assert outcome == Outcome("timeout" if status == "timeout" else "error", error=error, seconds=1.5)
