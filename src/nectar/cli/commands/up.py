"""``nectar up``."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nectar.cli import INTERRUPTED
from nectar.cli.arguments import shared_option
from nectar.cli.render import show_line
from nectar.cli.session import Session
from nectar.cli.several import Tally, add, name_it
from nectar.manage import hive, supervision, up
from nectar.manage.daemon import hosts

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.errors import NectarError
    from nectar.manage.up import Call, Outcome


@click.command()
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Bring up what a hive.toml names, instead, and as it says; what it does not name stays as it is.",
)
@click.option(
    "--keep", is_flag=True, help="Stay, and do it again whenever needed, until Ctrl-C or SIGTERM, which end all handlers."
)
@shared_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def command(session: Session, *, file: Path | None, keep: bool, shared: bool, dry_run: bool) -> int:
    """Start every handler that should run and does not: after a crash, or when the machine was started anew.

    What was stopped stays stopped. Several are started at a time. With -f, all that the file names runs afterwards, as it says there,
    also what was stopped.
    """
    if keep and dry_run:
        raise click.UsageError("Give either --keep or --dry-run.")
    steps, calls = _find(session) if file is None else _read(session, file)
    if dry_run:
        for step in steps:
            reason = f": {'; '.join(step.why)}" if step.why else ""
            session.output.data(f"{step.name}: would be {step.verb}{reason}")
    if not steps and not keep:
        session.output.talk("All handlers that should run do." if file is None else "All is as the file says.")
    if dry_run or not (steps or keep):
        return 0
    session.home_to_make.create()
    if shared:
        hosts.enter_anyway(session.home_to_make)
    if keep:
        return _keep(session, calls if file is not None else {})
    tally = Tally(session, "started" if file is None else "brought up", len(steps))
    for outcome in up.carry_out(session.home, calls):
        tally.take(outcome)
    tally.show()
    return tally.code


def _find(session: Session) -> tuple[list[hive.Step], dict[str, Call]]:
    """What is to be done because of what should run."""
    down = up.find_down(session.home)
    return [hive.Step(name, "started") for name in down], up.make_calls(session.home, down, report=session.output.talk)


def _read(session: Session, file: Path) -> tuple[list[hive.Step], dict[str, Call]]:
    """What is to be done because of what a file says."""
    home, output = session.home_to_make, session.output
    orders = hive.read(file)
    steps = [step for name, order in orders.items() if (step := hive.plan(home, name, order)).verb]
    if unnamed := hive.find_unnamed(home, orders):
        output.talk(f"Not in {file.name}, and left as it is: {', '.join(unnamed)}.")
    return steps, {step.name: partial(hive.carry_out, home, step.name, orders[step.name], output.talk) for step in steps}


def _keep(session: Session, wanted: dict[str, Call]) -> int:
    output = session.output
    output.talk("Keeping the handlers; Ctrl-C or SIGTERM ends them, and they should still run then.")
    received = supervision.keep(session.home_to_make, wanted, Told(output))
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
            outcome.problem.message = add(name_it(outcome.name, outcome.problem.message), f"It is tried again in {pause:g} s.")
            self._output.error(outcome.problem)

    def ending(self, count: int) -> None:
        self._output.talk(f"Ending {count} handler(s).")

    def troubled(self, problem: NectarError) -> None:
        self._output.error(problem)

    def report(self, text: str) -> None:
        self._output.talk(text)
