"""Whom the pool tells what happens to its workers."""

from __future__ import annotations

from nectar.frozen import Protocol

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from nectar.runtime.daemon.job import Failure, Job


class Listener(Protocol):
    """Who made the pool: the daemon, or what runs questions without one."""

    def ready(self, warnings: list[str]) -> None:
        """A worker has loaded the handler.

        :param warnings: what it says of that, in sentences: a few, of bounded length.
        """

    def failed(self, failure: Failure) -> None:
        """No worker could be made ready. It is tried again after a pause, unless the pool is stopped in this call."""

    def printed(self, lines: list[str], whose: str = "") -> None:
        """The handler's code has printed lines, which come without their ends.

        :param whose: the job that has, as the log calls it; empty where that is not known.
        """

    def warn(self, text: str, job: Job | None = None) -> None:
        """Something is not as it should be that costs nobody an answer: a sentence for the log.

        :param job: to which it happened, where it was one.
        """

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        """A hook did not do what it is for, which costs nobody an answer.

        :param what: which one, and how.
        :param detail: the author's traceback, where it is known, and was not printed.
        :param job: after whose answer it was called, where it was.
        """
