"""The executor that a handler's hook gives: asked for when a worker loads, and shut down when it ends."""

from __future__ import annotations

from concurrent.futures import Executor

from nectar.api.answers import called
from nectar.api.parts import PARTS
from nectar.errors import NectarError
from nectar.runtime.worker.hooks import place

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any

    from nectar.runtime.worker.loader import Handler


class Engine:
    """Its life, around the hooks of a worker's beginning and end, in whose place it is called.

    :param call: the hooks.
    :param whole: whether it is for the handler's own calls, and not for parts of them: then those hooks are called where these are made.
    :raises NectarError: several implement ``nectar_executor``.
    """

    def __init__(self, call: Any, handler: Handler, *, whole: bool) -> None:
        self._call = call
        self._handler = handler
        self._whole = whole
        found = call.nectar_executor.get_hookimpls()
        places = [place(getattr(one.function, "__wrapped__", one.function)) for one in found]  # an async one is wrapped
        self._place = places[0]
        if len(found) > 1:
            names = " and in ".join(one.plugin_name for one in found)
            raise NectarError(
                f"nectar_executor is implemented {len(found)} times: in {names}.",
                where=", and ".join(filter(None, places)),
                hint="A worker has one executor: leave the hook in one of them.",
            )
        handler.started, handler.stopping = self.started, self.stopping

    def started(self) -> None:
        """Ask for it, and call ``nectar_worker_started``, which may use it.

        :raises NectarError: what was given is none.
        :raises Exception: what either hook raised.
        """
        given = self._call.nectar_executor()
        if given is not None and not isinstance(given, Executor):
            what = f"the class {given.__name__}" if isinstance(given, type) else f"an object of the type {called(type(given))}"
            raise NectarError(
                f"nectar_executor returned {what}, and no concurrent.futures.Executor.",
                where=self._place,
                hint="Return an object of one, or None for threads of the worker itself.",
            )
        if self._whole and given is not None:
            self._handler.given = given
            return
        PARTS.given = given
        try:
            self._call.nectar_worker_started()
        except BaseException:
            self._shut_down()
            raise

    def stopping(self) -> None:
        """Call ``nectar_worker_stopping``, which may use it, and shut it down: nothing is begun any more, and what runs is waited for."""
        try:
            if self._handler.given is None:
                self._call.nectar_worker_stopping()
        finally:
            self._shut_down()

    def _shut_down(self) -> None:
        given, PARTS.given = self._handler.given or PARTS.given, None
        if given is not None:
            shut_down(given)


def shut_down(executor: Executor) -> None:
    """Have nothing more begun by an executor that a hook gave, and wait for what it runs."""
    try:
        try:
            executor.shutdown(wait=True, cancel_futures=True)
        except TypeError:  # it is from before Python 3.9, as loky's
            executor.shutdown()
    except Exception as error:
        error.add_note("This is the shutdown of what nectar_executor gave.")
        raise
