"""The hooks that nectar calls, and the marker for who implements them.

Specifications are plain functions, read by `pluggy <https://pluggy.readthedocs.io>`_ (project name ``nectar``) in the process
that calls them. :func:`nectar.hookimpl` only sets the attribute that pluggy looks for, so that a handler's package can implement hooks
without having pluggy among its dependencies.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from typing import Any, TypeVar, overload

    from nectar.api.computation import Computation, ComputationResult

    _Function = TypeVar("_Function", bound="Callable[..., Any]")

PROJECT = "nectar"
SPEC_ATTRIBUTE = f"{PROJECT}_spec"
IMPL_ATTRIBUTE = f"{PROJECT}_impl"


def _hookspec(*, firstresult: bool = False) -> Callable[[_Function], _Function]:
    def mark(function: _Function) -> _Function:
        setattr(
            function,
            SPEC_ATTRIBUTE,
            {"firstresult": firstresult, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None},
        )
        return function

    return mark


if TYPE_CHECKING:

    @overload
    def hookimpl(function: _Function) -> _Function: ...
    @overload
    def hookimpl(
        function: None = None,
        *,
        wrapper: bool = ...,
        optionalhook: bool = ...,
        tryfirst: bool = ...,
        trylast: bool = ...,
        specname: str | None = ...,
    ) -> Callable[[_Function], _Function]: ...


def hookimpl(
    function: _Function | None = None,
    *,
    wrapper: bool = False,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> _Function | Callable[[_Function], _Function]:
    """Mark a function as the implementation of a hook.

    The options are those of pluggy's ``HookimplMarker``: a ``wrapper`` is a generator that yields once and returns the result,
    ``tryfirst`` and ``trylast`` order implementations, ``specname`` names the hook where the function's own name does not,
    ``optionalhook`` lets a hook be unknown to this version of nectar.
    """

    def mark(function: _Function) -> _Function:
        options = {
            "wrapper": wrapper,
            "hookwrapper": False,
            "optionalhook": optionalhook,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": specname,
        }
        setattr(function, IMPL_ATTRIBUTE, options)
        return function

    return mark if function is None else mark(function)


@_hookspec(firstresult=True)
def nectar_compute(computation: Computation) -> int | None:
    """Answer a computation: the first implementation that returns something other than None wins.

    Called in the worker, once for each question. The handler's own ``@handler`` function is the last implementation in the
    order. A ``wrapper`` runs around all of them: it sees the computation before and the answer after, and may replace it.
    """


@_hookspec()
def nectar_answered(computation: Computation, result: ComputationResult) -> None:
    """Called in the worker after an answer was sent, an error too, and before the next computation in its place.

    It delays no answer, and has five seconds: after that its worker is ended, and a new one takes its place. What it raises is a
    warning in the log. It is not called after a computation whose worker was ended, because it died or overstayed.
    """


@_hookspec()
def nectar_commands() -> Iterable[Any] | None:
    """Verbs for nectar's command line: objects of ``click.Command``, each with a name that none of nectar's own verbs has.

    Called in the operator's environment, for a plugin that is installed beside nectar, when there is a verb that nectar has not, or
    somebody asks which there are; in no handler's process, and in no daemon.
    """


@_hookspec(firstresult=True)
def nectar_executor() -> Executor | None:
    """What answers the handler's questions, or, with ``executor = "parts"``, what :func:`nectar.executor` gives to it for parts of them.

    Called once in each worker, before ``nectar_worker_started``; where whole questions go to it, that is called in the processes that answer
    them. None is a worker without one. One that raises, or returns something else, counts as a worker that could not be loaded; so does a
    second implementation. When the worker ends in good order, its executor is shut down after ``nectar_worker_stopping``, and within its time.
    """


@_hookspec()
def nectar_worker_started() -> None:
    """Called once in each worker after everything is loaded and before its first computation: open files, load models here.

    A worker whose start raises is not used: it counts as one that could not be loaded.
    """


@_hookspec()
def nectar_worker_stopping() -> None:
    """Called once in each worker that ends in good order, after its last computation. One that is killed gets no call."""
