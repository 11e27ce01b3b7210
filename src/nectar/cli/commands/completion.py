"""``nectar completion``."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from nectar.cli.app import app
from nectar.cli.session import Session

_VARIABLE = "_NECTAR_COMPLETE"
# An @ divides words in bash, and that of @ALIAS would be cut off.
_MORE = {"bash": "COMP_WORDBREAKS=${COMP_WORDBREAKS//@}\n"}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def command(session: Session, *, shell: str) -> None:
    """Print the script that has SHELL complete verbs, options, and the names of handlers and nodes.

    In ~/.bashrc or ~/.zshrc the line below, with the shell's name, has it read at each start; fish reads what it finds in
    ~/.config/fish/completions/nectar.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = ShellComplete.source(kind(app, {}, "nectar", _VARIABLE))  # that of bash would start a bash, to ask for its version
    session.output.data(f"{script.strip()}\n{_MORE.get(shell, '')}".rstrip())
