"""Plugins of the command line: distributions beside nectar, in the operator's environment, that add verbs to it.

A daemon and its workers know nothing of them: what is installed here is in no handler's environment.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from importlib.metadata import EntryPoint

GROUP = "nectar.plugins"
"""The group of entry points that name one: a module, a class or an object with hooks."""
DISABLED = "NECTAR_DISABLE_PLUGINS"
"""The variable that keeps all of them out, whatever it is set to."""


class Trouble(NamedTuple):
    """What is wrong with a plugin.

    :ivar detail: the traceback of its author's, where there is one.
    """

    what: str
    detail: str | None = None


class Plugin:
    """One entry point.

    :ivar value: what it names.
    :ivar hooks: that it implements; none where it could not be loaded.
    :ivar verbs: what it adds, by name.
    """

    def __init__(self, name: str, value: str, distribution: str, version: str) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution
        self.version = version
        self.hooks: list[str] = []
        self.verbs: dict[str, Any] = {}
        self.troubles: list[Trouble] = []

    def __str__(self) -> str:
        return f"Plugin {self.name!r} of {self.distribution} {self.version}"


def are_disabled() -> bool:
    return bool(os.environ.get(DISABLED))


def load(verbs: Collection[str], kind: type) -> list[Plugin]:
    """All that are installed, with what they add; none of them stops another.

    :param verbs: names that are nectar's own, and cannot be another's.
    :param kind: what a verb must be.
    """
    loaded: list[Plugin] = []
    if not _may_be_some():
        return loaded
    owners = dict.fromkeys(verbs, "nectar")
    for plugin, entry in _find():
        loaded.append(plugin)
        if are_disabled():
            continue
        # What it prints is no data of a command's.
        with contextlib.redirect_stdout(sys.stderr):
            for command in _commands(plugin, entry):
                name = getattr(command, "name", None)
                if not isinstance(command, kind) or not isinstance(name, str):
                    plugin.troubles.append(Trouble(f"among its verbs is a {type(command).__name__}, which is no click command"))
                elif name in owners:
                    plugin.troubles.append(Trouble(f"its verb {name!r} is not used: it is {owners[name]}'s"))
                else:
                    owners[name] = plugin.distribution
                    plugin.verbs[name] = command
    return loaded


def _may_be_some() -> bool:
    """Whether a distribution names the group: where none does, what would find them is not imported, which takes half as long as a verb."""
    for place in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(place or "."):
                if name.endswith((".dist-info", ".egg-info")):
                    with contextlib.suppress(OSError), open(os.path.join(place, name, "entry_points.txt"), "rb") as file:
                        if GROUP.encode() in file.read():
                            return True
    return False


def _find() -> Iterator[tuple[Plugin, EntryPoint]]:
    from importlib.metadata import entry_points

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.dist.name if entry.dist else "", entry.name)):
        distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
        yield Plugin(entry.name, entry.value, distribution, version), entry


def _commands(plugin: Plugin, entry: EntryPoint) -> list[Any]:
    """What its hook gives; what goes wrong is written down with it."""
    import pluggy

    from nectar.api import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)  # one for each, so that what is wrong with one is no other's
    manager.add_hookspecs(hookspecs)
    doing = "it cannot be loaded"
    try:
        target = entry.load()
        target = target() if isinstance(target, type) else target
        doing = "its hooks cannot be used"
        manager.register(target, entry.name)
        manager.check_pending()
        plugin.hooks += sorted(caller.name for caller in manager.get_hookcallers(target) or ())
        if hasattr(target, "nectar_commands") and "nectar_commands" not in plugin.hooks:
            plugin.troubles.append(Trouble("its nectar_commands is not called: it has no @nectar.hookimpl on it"))
        doing = "its nectar_commands failed"
        return [command for commands in manager.hook.nectar_commands() for command in commands]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        import traceback

        words = " ".join(f"{type(error).__name__}: {error}".split())
        plugin.troubles.append(Trouble(f"{doing}: {words}", "".join(traceback.format_exception(error))))
        return []
