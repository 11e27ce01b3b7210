"""``nectar submit``."""

from __future__ import annotations

import click

from nectar.cli.arguments import complete, json_option
from nectar.cli.session import Session
from nectar.cli.values import Number
from nectar.errors import NectarError
from nectar.home import check_alias
from nectar.manage import submit


@click.command()
@click.argument("alias", type=check_alias, shell_complete=complete("aliases"))
@click.argument("query")
@click.option(
    "--deadline", type=Number(1, 10**9), default=30, metavar="S", help="Seconds to wait, 1 to 1,000,000,000. [default: 30]"
)
@click.option("--metadata", "pairs", multiple=True, metavar="K=V", help="An entry of the question's metadata; may be repeated.")
@click.option("--no-wait", is_flag=True, help="Print the question's id, and do not wait.")
@json_option
@click.pass_obj
def command(
    session: Session, *, alias: str, query: str, deadline: int, pairs: tuple[str, ...], no_wait: bool, as_json: bool
) -> int | None:
    """Ask the node ALIAS a question as a node of the network would, and print the answer: the whole path without a network."""
    home, output = session.home, session.output
    metadata = dict(_pair(pair) for pair in pairs)
    if no_wait:
        comp_id = submit.put(home, alias, query, deadline=deadline, metadata=metadata)
        if as_json:
            output.json({"comp_id": comp_id})
        else:
            output.data(comp_id)
        return None
    answer = submit.ask(home, alias, query, deadline=deadline, metadata=metadata, report=output.talk)
    succeeded = answer.status == "success"
    if as_json:
        value = {"value": answer.value} if succeeded else None
        fields = {"comp_id": answer.comp_id, "status": answer.status, "result": value}
        output.json({**fields, "error": _failure(answer.status, answer.error), "execution_time": answer.execution_time})
        return None if succeeded else NectarError.exit_code
    if not succeeded:
        what = (
            "The handler ran out of time: the answer is a timeout"
            if answer.status == "timeout"
            else f"The answer is {answer.status!r}"
        )
        raise NectarError(f"{what}: {answer.error or 'no reason was given'}")
    output.data(str(answer.value))
    return None


def _failure(status: str, error: str | None) -> dict[str, str | None] | None:
    """What went wrong, in the shape of every error that ``--json`` prints."""
    return None if status == "success" else {"kind": status, "message": error, "hint": None}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not of the form K=V.", param_hint="--metadata")
    return key, value
