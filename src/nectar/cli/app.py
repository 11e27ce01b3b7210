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
    from nectar.manage.plugins import Plugin

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
    "up": "Start all handlers that should run and do not.",
    "restart": "Run handlers as their code is now.",
    "remove": "Forget stopped handlers.",
    "submit": "Ask as a node would, and wait for the answer.",
    "exec": "A command in a handler's environment.",
    "gc": "Remove environments that nothing uses.",
    "doctor": "What could go wrong on this machine.",
    "plugins": "What is installed beside nectar and adds verbs.",
    "demo": "The whole thing in a temporary data dir, in front of your eyes.",
}


class Verbs(click.Group):
    """A group that knows its commands by name and imports one only to run it.

    Plugins are looked for where somebody asks for them: for help, for themselves, and for a verb that is none of nectar's.

    :ivar at_work: whose code the command is that runs now, where it is a plugin's.
    """

    at_work: str | None = None
    _plugins: list[Plugin] | None = None

    def plugins(self) -> list[Plugin]:
        """Those that are installed, once they are loaded."""
        if self._plugins is None:
            from nectar.manage import plugins

            self._plugins = plugins.load(VERBS, click.Command)
        return self._plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS, *(verb for plugin in self.plugins() for verb in plugin.verbs)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return self._plugged(cmd_name)
        command: click.Command = importlib.import_module(f"nectar.cli.commands.{cmd_name}").command
        command.name, command.short_help = cmd_name, VERBS[cmd_name]
        return command

    def _plugged(self, name: str) -> click.Command | None:
        for plugin in self.plugins():
            if name in plugin.verbs:
                self.at_work = str(plugin)
                found: click.Command = plugin.verbs[name]
                return found
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-") and args[0] not in self._told_commands(ctx):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "nectar --help shows the commands."
            raise UsageError(f"There is no command {args[0]!r}.", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))
        self._told_commands(ctx)
        added = [(verb, command) for plugin in self.plugins() for verb, command in plugin.verbs.items() if not command.hidden]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(verb, command.get_short_help_str()) for verb, command in added])

    def _told_commands(self, ctx: click.Context) -> list[str]:
        """All, after a word for each thing that is wrong with a plugin."""
        output: Output = ctx.find_root().obj
        for plugin in self.plugins():
            for trouble in plugin.troubles:
                output.warn(f"{plugin}: {trouble.what}.")
        return self.list_commands(ctx)


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
