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


class Engine:
    """Its life, around the hooks of a worker's beginning and end.

    :param call: the hooks.
    :raises NectarError: several implement ``nectar_executor``.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
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
        PARTS.given = given
        try:
            self._call.nectar_worker_started()
        except BaseException:
            self._shut_down()
            raise

    def stopping(self) -> None:
        """Call ``nectar_worker_stopping``, which may use it, and shut it down: nothing is begun any more, and what runs is waited for."""
        try:
            self._call.nectar_worker_stopping()
        finally:
            self._shut_down()

    def _shut_down(self) -> None:
        given, PARTS.given = PARTS.given, None
        if given is None:
            return
        try:
            try:
                given.shutdown(wait=True, cancel_futures=True)
            except TypeError:  # it is from before Python 3.9, as loky's
                given.shutdown()
        except Exception as error:
            error.add_note("This is the shutdown of what nectar_executor gave.")
            raise
