"""``nectar up``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from nectar.cli import INTERRUPTED
from nectar.cli.render import show_line
from nectar.cli.session import Session
from nectar.cli.several import Tally, name_it
from nectar.manage import supervision, up

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.errors import NectarError
    from nectar.manage.up import Outcome


@click.command()
@click.option(
    "--keep", is_flag=True, help="Stay, and do it again whenever needed, until Ctrl-C or SIGTERM, which end all handlers."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def command(session: Session, *, keep: bool, dry_run: bool) -> int:
    """Start every handler that should run and does not: after a crash, or when the machine was started anew.

    What was stopped stays stopped. Several are started at a time.
    """
    home, output = session.home, session.output
    if keep and dry_run:
        raise click.UsageError("Give either --keep or --dry-run.")
    if keep:
        return _keep(session)
    down = up.find_down(home)
    if not down:
        output.talk("All handlers that should run do.")
        return 0
    if dry_run:
        for name in down:
            output.data(f"{name}: would be started")
        return 0
    tally = Tally(session, "started", len(down))
    for outcome in up.carry_out(home, up.make_calls(home, down, report=output.talk)):
        tally.take(outcome)
    tally.show()
    return tally.code


def _keep(session: Session) -> int:
    output = session.output
    output.talk("Keeping the handlers; Ctrl-C or SIGTERM ends them, and they should still run then.")
    received = supervision.keep(session.home, {}, Told(output))
    output.talk("All have ended.")
    return INTERRUPTED if received == signal.SIGINT else 0


class Told(supervision.Teller):
    """What ``up --keep`` shows: a line for each thing that happens."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def died(self, name: str, pause: float) -> None:
        self._output.warn(f"{name} ended without a stop; it is started again in {pause:g} s.")

    def came(self, outcome: Outcome, pause: float | None) -> None:
        if outcome.problem is None:
            if outcome.verb:
                show_line(self._output, outcome.name, outcome.verb, outcome.launched)
        elif pause is None:
            self._output.talk(name_it(outcome.name, outcome.problem.message))
        else:
            outcome.problem.message = name_it(outcome.name, outcome.problem.message) + f" It is tried again in {pause:g} s."
            self._output.error(outcome.problem)

    def ending(self, count: int) -> None:
        self._output.talk(f"Ending {count} handler(s).")

    def troubled(self, problem: NectarError) -> None:
        self._output.error(problem)

    def report(self, text: str) -> None:
        self._output.talk(text)
