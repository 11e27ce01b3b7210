"""The command itself: its global options, and the verbs, each imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import signal
from typing import TYPE_CHECKING

import click

from nectar.cli.globals import Context, add_global_options, dress, global_options, set_help_option
from nectar.cli.verbs import EXIT_CODES, GROUPS, SYNONYMS, VARIABLES, VERBS, find_meant
from nectar.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from nectar.manage.plugins import Plugin


class Verbs(click.Group):
    """A group that knows its commands by name and imports one only to run it.

    Plugins are looked for where somebody asks for them: for help, for themselves, and for a verb that is none of nectar's.

    :ivar at_work: whose code the command is that runs now, where it is a plugin's.
    """

    context_class = Context
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
        if command.context_class is not Context:
            dress(command, cmd_name)
        return command

    def _plugged(self, name: str) -> click.Command | None:
        for plugin in self.plugins():
            if name in plugin.verbs:
                self.at_work = str(plugin)
                found: click.Command = plugin.verbs[name]
                add_global_options(found)
                return found
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.resilient_parsing:  # a shell asks how a word could go on
            return super().resolve_command(ctx, args)
        if args and args[0] not in VERBS and not args[0].startswith("-") and args[0] not in self._told_commands(ctx):
            raise _explain_verb(args[0], args[1:], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))
        self._told_commands(ctx)
        added = [(verb, command) for plugin in self.plugins() for verb, command in plugin.verbs.items() if not command.hidden]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(verb, command.get_short_help_str()) for verb, command in added])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
        with formatter.section("Variables"):
            formatter.write_dl(list(VARIABLES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click has it, without an import of every verb for its text."""
        from click.shell_completion import CompletionItem

        texts = {verb: command.get_short_help_str() for plugin in self.plugins() for verb, command in plugin.verbs.items()} | VERBS
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(verb, help=text) for verb, text in texts.items() if verb.startswith(incomplete)), *options]

    def _told_commands(self, ctx: click.Context) -> list[str]:
        """All, after a word for each thing that is wrong with a plugin."""
        output = ctx.find_root().obj.output
        for plugin in self.plugins():
            for trouble in plugin.troubles:
                output.warn(f"{plugin}: {trouble.what}.")
        return self.list_commands(ctx)


def _explain_verb(word: str, rest: list[str], known: list[str]) -> UsageError:
    """A verb that there is not: what is called so elsewhere, or what is written almost so."""
    from nectar.cli.leads import find_near

    near = word if word in SYNONYMS else find_near(word, [*known, *SYNONYMS])
    meant = find_meant(near or word, rest)
    hint = "nectar --help shows the commands."
    if meant is not None:
        hint = f"In nectar it is: {meant}"
    elif near is not None:
        hint = f"Did you mean {near!r}?"
    elif word.endswith((".py", ".whl", ".tar.gz")) or "/" in word:
        import shlex

        hint = f"To try it: nectar test {shlex.quote(word)}. To run it: nectar launch {shlex.quote(word)}"
    return UsageError(f"There is no command {word!r}.", hint=hint)


@click.group(
    cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.pass_context
def app(context: click.Context) -> None:
    """Computation handlers for bee-hive nodes, each in an environment of its own."""
    gc.freeze()  # the verb is imported
    gc.enable()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # from here on an interrupt takes back what was begun
        signal.signal(signal.SIGINT, signal.default_int_handler)
    context.obj.output.show_waits()
    if context.invoked_subcommand is None:
        raise UsageError("There is no command to carry out.", hint="nectar --help shows the commands.")


app.params[:0] = global_options()
set_help_option(app)
