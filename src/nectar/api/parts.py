"""Which executor runs the parts of a question: the one of the handler's hook, or threads of this process."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from concurrent.futures import Executor


class Parts:
    """Of one process.

    :ivar given: what the hook ``nectar_executor`` gave to it.
    """

    def __init__(self) -> None:
        self.given: Executor | None = None
        self._local: Executor | None = None
        # Of a parent's pool a child has no thread, and of an engine's no connection: who waited for either would wait for ever.
        os.register_at_fork(after_in_child=self._forget)

    def find(self) -> Executor:
        if self.given is not None:
            return self.given
        if self._local is None:
            from nectar.api.threads import Threads

            self._local = Threads()  # made twice by two threads at once, it is two pools, and both are good
        return self._local

    def _forget(self) -> None:
        self.given = self._local = None


PARTS = Parts()


def executor() -> Executor:
    """What runs the parts of a question: ``nectar.executor().map(score, documents)``, or ``submit``.

    It is a Dask cluster, or what the handler's hook :func:`nectar_executor <nectar.api.hookspecs.nectar_executor>` gave to this worker, with
    ``executor = "parts"`` under ``[tool.nectar]``. Else, and in a process of an engine's, it is a pool of threads, in which
    :data:`nectar.comp_id` is that of the computation that has handed
    the part in. All computations of a worker share it: who uses it does not shut it down, by ``with`` neither.
    """
    return PARTS.find()
