"""What happens around the handler, in each worker."""

from collections.abc import Generator

from nectar import Computation, hookimpl
from warm_model.model import MODEL

HIGHEST = 2**32 - 1


@hookimpl
def nectar_worker_started() -> None:
    """Load the model before the first question, once."""
    MODEL.load()
    print(f"the model knows {len(MODEL.weights)} words")  # it goes into the handler's log


@hookimpl(wrapper=True)
def nectar_compute(computation: Computation) -> Generator[None, int, int]:
    """Keep the answer in the range that the network can add up: nothing below zero."""
    answer = yield
    return min(max(answer, 0), computation.metadata.get("highest", HIGHEST))


@hookimpl
def nectar_worker_stopping() -> None:
    """Let the model go."""
    MODEL.unload()
