from nectar.testing import ask
from pins_new import versions


def test_the_answer_tells_the_newest_versions(computation) -> None:
    click, pluggy, pydantic, watchdog = ask(versions, computation()).to_bytes(4, "big")
    assert click >= 0x82
    assert pluggy >= 0x16
    assert pydantic >= 0x2B
    assert watchdog >= 0x60
