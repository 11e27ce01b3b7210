"""Asking as a node would: a question is put into an alias's directory, and its answer is awaited there."""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nectar.api.computation import Computation, ComputationResult, InvalidQuestionError, NotWholeError
from nectar.errors import NectarError, UnresponsiveError
from nectar.home import CLAIMS
from nectar.manage.waits import uninterrupted, wait
from nectar.spool.approach import enter
from nectar.spool.entries import COMPLETE, MAX_ANSWER, PENDING, NotAQuestionError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nectar.home import Home
    from nectar.spool.entries import Content

_POLL = 0.01
_GRACE = 2.0
"""Seconds beyond its deadline for the answer to a question that somebody has taken."""


def ask(
    home: Home, alias: str, query: str, *, deadline: int, metadata: dict[str, Any], report: Callable[[str], None]
) -> ComputationResult:
    """Ask a question and wait for the answer, which is removed once it has been read.

    :param deadline: seconds.
    :param report: is told what becomes of the question when the wait is interrupted.
    :raises NotFoundError: the alias does not exist.
    :raises ConflictError: its path leads through a link that is not to be followed.
    :raises UnresponsiveError: there was no answer in time. A question that nobody has begun to answer is taken back.
    """
    path = home.require_alias(alias)
    with _entered(path) as directory:
        comp_id = None
        try:
            with uninterrupted():  # else one that comes as soon as the question is there would leave it there
                comp_id = _put(directory, path, alias, query, deadline=deadline, metadata=metadata)
            complete = path / f"{comp_id}{COMPLETE}"
            with wait(f"Waiting for the answer to {comp_id}", seconds=deadline):
                content = _await(complete, directory, comp_id, deadline=deadline)
        except BaseException as why:
            if comp_id is None:  # there is no question
                raise
            became = f"is being answered: what comes of it will be in {path / f'{comp_id}{COMPLETE}'}"
            with suppress(FileNotFoundError):
                os.unlink(f"{comp_id}{PENDING}", dir_fd=directory)
                became = "was taken back"
            if isinstance(why, KeyboardInterrupt):
                report(f"The question {comp_id} {became}.")
            raise
        answer = _understood(content, complete, comp_id)
        with suppress(OSError):  # it has been read
            os.unlink(complete.name, dir_fd=directory)
    return answer


def put(home: Home, alias: str, query: str, *, deadline: int, metadata: dict[str, Any]) -> str:
    """Ask a question without waiting.

    :returns: its id.
    """
    path = home.require_alias(alias)
    with _entered(path) as directory:
        return _put(directory, path, alias, query, deadline=deadline, metadata=metadata)


@contextmanager
def _entered(path: Path) -> Iterator[int]:
    try:
        directory = enter(path)
    except OSError as error:
        raise NectarError(f"The node's directory cannot be used: {error.strerror}.", where=str(path)) from None
    try:
        yield directory
    finally:
        os.close(directory)


def _put(directory: int, path: Path, alias: str, query: str, *, deadline: int, metadata: dict[str, Any]) -> str:
    """Write a question that its writer and the handler can read, and nobody else; the answer gets the same mode."""
    comp_id = secrets.token_hex(4)
    question = Computation(
        comp_id=comp_id,
        query=query,
        proposer=alias,
        aggregators=[alias],
        targets=[alias],
        deadline=deadline,
        timestamp=time.time(),
        metadata=metadata,
    )
    aside = f".{comp_id}.asking"
    # A directory that gives its group to what is made in it is shared by that group: its node and its handler are two users.
    mode = 0o660 if os.fstat(directory).st_mode & stat.S_ISGID else 0o600
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        with open(descriptor, "wb") as stream:
            stream.write(question.to_json())
            with suppress(OSError):  # not every file system can
                os.fchmod(descriptor, mode)
        os.rename(aside, f"{comp_id}{PENDING}", src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        with suppress(OSError):
            os.unlink(aside, dir_fd=directory)
        raise NectarError(f"The question cannot be written: {error.strerror}.", where=str(path)) from None
    return comp_id


def _await(complete: Path, directory: int, comp_id: str, *, deadline: int) -> Content:
    """:raises UnresponsiveError: there was no answer in time."""
    end = time.monotonic() + deadline
    while (content := _look(complete.name, directory)) is None or isinstance(content, str):
        late = time.monotonic() - end
        # What runs has its deadline from when it was begun; that it is over it is an answer, too.
        if late > _GRACE or (late > 0 and _exists(f"{comp_id}{PENDING}", directory)):
            waits = "Nobody took the question: nectar view shows who answers for whom."
            taken = "It is being worked on." if content is None else f"What lies there is no answer: {content}."
            raise UnresponsiveError(
                f"There was no answer within {deadline} seconds.",
                where=str(complete),
                hint=waits if _exists(f"{comp_id}{PENDING}", directory) else taken,
            )
        time.sleep(_POLL)
    return content


def _look(name: str, directory: int) -> Content | str | None:
    """The answer, None where there is none, or why what has its name is none, which may yet be replaced by it."""
    try:
        content = read(name, directory, MAX_ANSWER)
    except FileNotFoundError:
        return None
    except NotAQuestionError as error:
        return str(error)
    except OSError as error:  # as where its owner has a lease on it
        return f"it cannot be opened ({error.strerror})"
    owner = content.status.st_uid
    try:
        answering = os.stat(CLAIMS, dir_fd=directory, follow_symlinks=False).st_uid
    except FileNotFoundError:  # it is no nectar that answers here
        return content
    return content if owner in (answering, os.geteuid(), 0) else f"it belongs to user {owner}, and user {answering} answers here"


def _understood(content: Content, complete: Path, comp_id: str) -> ComputationResult:
    """:raises NectarError: it is no answer, or one to another question; it stays where it is."""
    problem = f"it is larger than {MAX_ANSWER} bytes" if content.too_large else content.closed
    try:
        if problem is not None:
            raise InvalidQuestionError(problem)
        answer = ComputationResult.from_json(content.raw)
    except (NotWholeError, InvalidQuestionError) as error:
        raise NectarError(f"The answer cannot be read: {error}.", where=str(complete)) from None
    if answer.comp_id != comp_id:
        raise NectarError(f"The answer is to another question, {answer.comp_id!r}.", where=str(complete))
    return answer


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
