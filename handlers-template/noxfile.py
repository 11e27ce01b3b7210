"""``uv run nox`` runs what is checked: the tests, and one question in the environment that nectar would launch."""

import shutil

import nox

nox.options.default_venv_backend = "none"


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, in this project's own environment. Needs `nectar dev` once."""
    session.run("pytest", *session.posargs)


@nox.session
def handler(session: nox.Session) -> None:
    """What nectar makes of it: an environment of its own, and one question in it."""
    if shutil.which("nectar") is None:
        session.skip("nectar is not on PATH")
    session.run("nectar", "test", ".", *session.posargs)
