"""The command itself: its global options, and the verbs, each imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import signal
from typing import TYPE_CHECKING

import click

from nectar import __version__
from nectar.cli.session import Session
from nectar.errors import UsageError

if TYPE_CHECKING:
    from nectar.cli.output import Color, Output

VERBS = {
    "new": "A handler project, ready to run.",
    "dev": "A project's own .venv, with nectar's API on its path.",
    "test": "Ask a handler once, without a network.",
    "launch": "Run a handler as a daemon, in an environment of its own.",
    "attach": "Let a handler answer for nodes.",
    "detach": "Let it answer for them no longer.",
    "view": "What handlers there are, and how they do.",
    "logs": "A handler's log, as it grows.",
    "stop": "Stop handlers.",
    "start": "Start stopped handlers again.",
    "restart": "Run handlers as their code is now.",
    "remove": "Forget stopped handlers.",
    "submit": "Ask as a node would, and wait for the answer.",
    "exec": "A command in a handler's environment.",
    "gc": "Remove environments that nothing uses.",
    "doctor": "What could go wrong on this machine.",
    "demo": "The whole thing in a temporary data dir, in front of your eyes.",
}


class Verbs(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"nectar.cli.commands.{cmd_name}").command
        command.name, command.short_help = cmd_name, VERBS[cmd_name]
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "nectar --help shows the commands."
            raise UsageError(f"There is no command {args[0]!r}.", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option(
    "--data-dir",
    envvar="NECTAR_DATA_DIR",
    metavar="DIR",
    help="The world to work in; launch, test, new and dev make it. [default: ~/.bee-hive]",
)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to colour. [default: auto]")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.version_option(__version__, message="nectar %(version)s")
@click.pass_context
def app(context: click.Context, *, data_dir: str | None, color: Color, quiet: bool, verbose: bool) -> None:
    """Computation handlers for bee-hive nodes, each in an environment of its own."""
    gc.freeze()  # the verb is imported
    gc.enable()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # from here on an interrupt takes back what was begun
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if context.invoked_subcommand is None:
        raise UsageError("There is no command to carry out.", hint="nectar --help shows the commands.")
    output: Output = context.obj
    output.set(color=color, quiet=quiet, verbose=verbose)
    context.obj = Session(data_dir=data_dir, output=output)
