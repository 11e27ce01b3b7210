"""One handler, ``h``, that is being started and is held at a phase of that, while somebody says something else."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nectar import namelock
from nectar.locks import hold
from nectar.manage.handlers import registry, turns
from nectar.protocol import ask
from tests import needs
from tests.world import PATIENCE, processes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

GATED = """
    import pathlib, time
    from nectar import handler

    here = pathlib.Path(__file__).with_name("gate")
    while (here / "closed").exists():
        (here / "loading").touch()
        time.sleep(0.02)
    (here / "loaded").touch()

    @handler
    def h(comp):
        return len(comp.query) * 2
"""
SECRET = "hush-hush"
STARTERS = ("launch", "start", "restart")
PHASES = ("building", "loading", "loaded", "taken")
GRANTED = ("--allow", "write=gate") if needs.WALLED else ()
WORDS: dict[str, signal.Signals | tuple[str, ...]] = {
    "stop": ("stop", "h"),
    "remove": ("remove", "--stop", "h"),
    "detach": ("detach", "h", "alice"),
    "attach": ("attach", "h", "bob"),
    "launch": ("launch", "h.py", "h", "--attach", "bob", *GRANTED),
    "start": ("start", "h"),
    "restart": ("restart", "h"),
    "SIGINT": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "SIGKILL": signal.SIGKILL,
}
LONG = 300.0
"""Seconds after which a command that has not ended never will, however loaded the machine is."""
LAUNCH = ("launch", "h.py", "h", "--attach", "alice", "--env", f"TOKEN={SECRET}", *GRANTED)


class Said:
    """A command that has been begun: it is forked, because how it is started is not what is tried here.

    :ivar returncode: None until it is known to have ended.
    :ivar printed: what it had said on standard output by then.
    """

    def __init__(self, world: World, *arguments: str) -> None:
        self.returncode: int | None = None
        self.printed = ""
        (output, stdout), (errors, stderr) = os.pipe(), os.pipe()
        self._command = world.fork(*arguments, stdout=stdout, stderr=stderr)
        os.close(stdout)
        os.close(stderr)
        self._output, self._errors = (os.fdopen(reading, encoding="utf-8") for reading in (output, errors))
        self._answer = ""

    @property
    def pid(self) -> int:
        return self._command.pid

    def wait(self, seconds: float) -> int:
        """:raises TimeoutError: it has not ended by then."""
        if self.returncode is None:
            self.returncode = self._command.wait(seconds)
            with self._output as output, self._errors as errors:
                self.printed, self._answer = output.read(), errors.read()
        return self.returncode

    def answer(self) -> str:
        """Wait for its end, and return what it said on standard error."""
        self.wait(LONG)
        return self._answer

    def has_ended(self, seconds: float = 0) -> bool:
        """Whether it ends within a while."""
        try:
            self.wait(seconds)
        except TimeoutError:
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended, which is not told yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Words:
    """At first ``h`` runs, and answers for alice.

    :ivar key: of the environment that it runs in.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.home = world.home
        world.file("h.py", GATED)
        (world.directory / "gate").mkdir()
        for alias in ("alice", "bob"):
            world.node(alias)
        world.run(*LAUNCH)
        self.key: str = world.registry()["h"]["environment"]

    def begin(self, starter: str) -> Said:
        return Said(self.world, *(LAUNCH if starter == "launch" else (starter, "h")))

    def prepare(self, starter: str) -> dict[str, Any] | None:
        """Have what the command finds, and return the record."""
        record = self.record()
        # What is there already, as a launch leaves it, is not made again.
        launched = record is not None and record["attached_aliases"] == ["alice"] and self.pid() is not None
        if starter == "launch" or not launched:
            self.world.run("remove", "--stop", "h", code=None)
        for alias in ("alice", "bob"):
            for path in self.home.computations(alias).glob("q.*"):
                path.unlink()
        if starter == "launch":
            return None
        if not launched:
            self.world.run(*LAUNCH)
        if starter == "start":
            self.world.run("stop", "h")
        return self.record()

    @contextmanager
    def at(self, phase: str, starter: str) -> Iterator[Said]:
        """A command that starts ``h`` and stays at a phase until the block ends."""
        directory = self.world.directory / "gate"
        for name in ("loading", "loaded"):
            (directory / name).unlink(missing_ok=True)
        match phase:
            case "building":
                with hold(self.home.env_locks / f"{self.key}.use"):
                    process = self.begin(starter)
                    until(lambda: turns.is_being_started(self.home, "h"), "it begins")
                    yield process
            case "loading":
                (directory / "closed").touch()
                try:
                    process = self.begin(starter)
                    until((directory / "loading").exists, "it is loading")
                    yield process
                finally:
                    (directory / "closed").unlink()
            case "loaded":
                with hold(self.home.turn("h")):
                    process = self.begin(starter)
                    until((directory / "loaded").exists, "it has loaded")
                    yield process
            case "taken":
                before = self.pid()
                with registry.change(self.home):
                    process = self.begin(starter)
                    until(lambda: self.pid() not in (None, before), "the new daemon has the name")
                    yield process

    def meet(self, starter: str, phase: str, word: str) -> str:
        """Say a word at a phase of a command that starts ``h``, and see that all agrees with the later one.

        :returns: what has become of ``h``.
        """
        before = self.prepare(starter)
        with self.at(phase, starter) as first:
            second = self.say(word, first)
            in_time = second is not None and second.has_ended()  # else it may have come only when the first had ended
        said, answer = first.answer(), "" if second is None else second.answer()
        began, ended = first.returncode, None if second is None else second.returncode
        codes = f"{began} {said} {ended} {answer}"
        done: dict[str, Any] = {"running": True, "desired": "running", "aliases": ("alice",)}
        known = before is not None
        match word:
            case "stop":
                assert (ended, began in (0, 4)) == (0, True), codes
                recorded = known or began == 0
                self.require(running=False, desired="stopped" if recorded else None, aliases=("alice",))
                return "stopped"
            case "remove":
                assert (ended, began in (0, 4)) == (0, True), codes
                self.require(running=False, desired=None, aliases=())
                return "gone"
            case "detach":
                assert began == 0, codes
                assert ended == 0 if known else ended == 3 or (ended == 0 and not in_time), codes
                self.require(**done | {"aliases": () if ended == 0 else ("alice",)})
            case "attach":
                refused = {"launch": 3, "start": 4, "restart": 0}[starter]
                assert (began, ended == refused or (ended == 0 and not in_time)) == (0, True), codes
                self.require(**done | {"aliases": ("alice", "bob") if ended == 0 else ("alice",)})
            case "launch" | "start" | "restart":
                runs = 0 if word == "restart" else 4
                assert began == 0, codes
                assert ended == runs if known or word == "launch" else ended == 3 or (ended == runs and not in_time), codes
                self.require(**done)
            case _:
                assert began == {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9}[word], codes
                if phase == "taken" and word == "SIGKILL":  # the new daemon ends when it notices that nobody waits for it
                    until(lambda: not namelock.is_running(self.home, "h"), "the new daemon has ended")
                if phase == "taken" and word != "SIGKILL":  # that takes a moment, and is not cut off
                    self.require(**done)
                elif before is None:
                    self.require(running=False, desired=None, aliases=())
                    return "gone"
                else:
                    running = before["desired"] == "running" and phase != "taken"
                    self.require(running=running, desired=before["desired"], aliases=("alice",))
                    return "running" if running else "stopped"
        return "running"

    def say(self, word: str, to: Said) -> Said | None:
        """Say a later word, and give it a while: it may be done, or have to wait until the phase is over."""
        said = WORDS[word]
        if isinstance(said, signal.Signals):
            to.send_signal(said)
            return None
        second = self.begin_word(word)
        second.has_ended(1)
        return second

    def begin_word(self, word: str) -> Said:
        said = WORDS[word]
        assert not isinstance(said, signal.Signals)
        return Said(self.world, *said)

    def record(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.world.registry().get("h")
        return found

    def pid(self) -> int | None:
        holder = namelock.find_holder(self.home, "h")
        return None if holder is None else holder.pid

    def require(self, *, running: bool, desired: str | None, aliases: tuple[str, ...]) -> None:
        """See that registry, lock, processes, secrets and answers agree.

        :param desired: None where there is to be no record.
        """
        self.world.run("view")
        files = sorted(path.name for path in self.home.handlers.glob("*.env*"))
        assert files == ([] if desired is None else ["h.env"])
        record = self.record()
        if desired is None:
            assert record is None
        else:
            assert record is not None
            assert SECRET in self.home.variables("h").read_text()
            assert (record["desired"], record["status"]) == (desired, "running" if running else "stopped")
            assert tuple(record["attached_aliases"]) == aliases
            assert record["pid"] == self.pid()
        assert namelock.is_running(self.home, "h") == running
        until(lambda: len(self.daemons()) == running, "no daemon in standby is left")
        if not running:
            until(lambda: not processes(self.home.data_dir), "no process is left")
            assert not self.home.socket("h").exists()
            return
        served = ask(self.home.socket("h"), {"do": "status"}, timeout=PATIENCE)["aliases"]
        assert set(served) == set(aliases)
        pending = [self.world.put("q", "four", alias=alias) for alias in ("alice", "bob")]
        for alias in aliases:
            assert self.world.answer("q", alias=alias)["result"] == {"value": 8}
        assert [path.exists() for path in pending] == [alias not in aliases for alias in ("alice", "bob")]

    def require_last(self, word: str, code: int) -> None:
        """See that all agrees, whatever it is, and with the last word, where that was taken."""
        record = self.record()
        aliases = () if record is None else tuple(record["attached_aliases"])
        running = namelock.is_running(self.home, "h")
        if code == 0:
            assert word not in ("start", "restart", "launch", "attach") or running, "it does not run"
            assert word not in ("stop", "remove") or not running, "it runs"
            assert (record is None) == (word == "remove"), f"the record is {record}"
            assert word != "detach" or "alice" not in aliases, aliases
            assert word != "attach" or "bob" in aliases, aliases
        until(lambda: len(self.daemons()) == running, "no daemon in standby is left")
        self.world.run("view")
        record = self.record()
        assert running == (record is not None and record["status"] == "running"), f"running: {running}, the record: {record}"
        left = [path.name for path in self.home.handlers.glob("*.env*") if record is None or path.name != "h.env"]
        assert left == [], left
        if running:
            served = ask(self.home.socket("h"), {"do": "status"}, timeout=PATIENCE)["aliases"]
            assert set(served) == set(aliases), f"{served} and not {aliases}"
        else:
            until(lambda: not processes(self.home.data_dir), "no process is left")

    def daemons(self) -> list[int]:
        return [pid for pid, line in processes(self.world.directory).items() if line.rstrip().endswith("start.py daemon")]
