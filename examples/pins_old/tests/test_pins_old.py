from nectar.testing import ask
from pins_old import versions

PINNED = "71 0d 1a 21"


def test_the_answer_tells_the_pinned_versions(computation) -> None:
    """With the fixture of nectar's own pytest plugin, which works with this old pytest too."""
    assert ask(versions, computation()).to_bytes(4, "big").hex(" ") == PINNED


def test_hooks_would_be_called_by_a_pluggy_of_nectars_own(worker) -> None:
    assert worker.ask().to_bytes(4, "big").hex(" ") == PINNED
