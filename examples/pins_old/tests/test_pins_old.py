from nectar.testing import ask
from pins_old import versions


def test_the_answer_tells_the_pinned_versions(computation) -> None:
    """With the fixture of nectar's own pytest plugin, which works with this old pytest too."""
    assert ask(versions, computation()).to_bytes(4, "big").hex(" ") == "71 0d 1a 21"
