"""Make a data dir as a version of nectar leaves it, by using that version and killing it, and record it beside this script.

::

    python -m tests.compat.make /path/to/that/nectar tests/compat/0.1.0.json

What is in it comes about as it would for an operator: nothing is written by this script but what nodes and authors write, and the
few things for which a process would have to die within microseconds (they are in :func:`_leave_by_hand`).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nectar import address
from nectar.testing.sample import sample
from tests.compat import recording
from tests.world import World, processes, until

ROUNDS = 60
"""Tries at most of what needs luck, or a while."""

COUNTER = '''
    # /// script
    # dependencies = []
    # [tool.nectar]
    # workers = 6
    # stop_timeout = 2
    # ///
    """Counts letters, with a module beside it. What begins with "wait" is answered once there is a file ``go`` here."""

    import time
    from pathlib import Path

    from nectar import Computation, handler
    from words import letters

    @handler
    def count(comp: Computation) -> int:
        if comp.query == "raise":
            raise ValueError("it was asked for")
        while comp.query.startswith("wait") and not Path(__file__).with_name("go").exists():
            time.sleep(0.02)
        return letters(comp.query)
'''
WORDS = """
    def letters(text):
        return sum(letter.isalpha() for letter in text)
"""
SECRETIVE = '''
    # /// script
    # dependencies = []
    # [tool.nectar]
    # pass_env = ["PASSED"]
    # ///
    """Adds up what it was given in confidence."""

    import os
    import time
    from pathlib import Path

    from nectar import Computation, handler

    @handler
    def add(comp: Computation) -> int:
        while comp.query.startswith("wait") and not Path(__file__).with_name("go").exists():
            time.sleep(0.02)
        return sum(int(os.environ[name]) for name in ("TOKEN", "FILED", "PASSED"))
'''
TALKER = '''
    """Answers at once, and says a lot where it is asked to."""

    import time

    from nectar import Computation, handler

    @handler
    def talk(comp: Computation) -> int:
        if comp.query == "talk":
            for _ in range(900):
                print("words " * 20)
            time.sleep(1)
        return len(comp.query)
'''
TWOFOLD = {
    "pyproject.toml": """
        [project]
        name = "twofold"
        version = "1.2"
        requires-python = ">=3.11"

        [project.entry-points."nectar.handlers"]
        double = "twofold:double"
        triple = "twofold:triple"

        [build-system]
        requires = ["uv_build>=0.9,<1"]
        build-backend = "uv_build"
    """,
    "src/twofold/__init__.py": """
        from nectar import handler

        @handler
        def double(comp):
            return len(comp.query) * 2

        @handler
        def triple(comp):
            return len(comp.query) * 3
    """,
}


class Before(World):
    """A world in which another nectar works.

    :param nectar: its command.
    """

    def __init__(self, directory: Path, nectar: Path) -> None:
        super().__init__(directory)
        self._nectar = nectar

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self._nectar), "--data-dir", str(self.home.data_dir), *map(str, arguments)]

    def claims(self, alias: str) -> Path:
        return self.home.computations(alias) / ".nectar"

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """What a daemon replies to a request, word for word."""
        with socket.socket(socket.AF_UNIX) as client:
            address.connect(client, self.home.socket(name))
            client.sendall(json.dumps({"schema": 1, **request}).encode() + b"\n")
            with client.makefile() as replies:
                reply: dict[str, Any] = json.loads(replies.readline())
                return reply

    def kill(self, name: str) -> None:
        """End a daemon as the kernel does when memory is short."""
        os.kill(json.loads(self.home.lock(name).read_bytes())["pid"], signal.SIGKILL)
        until(lambda: not any(self._marks(line) for line in processes(self.home.data_dir).values()), "its processes have ended")

    def taken(self, alias: str, *claims: str) -> None:
        """Wait until there is a claim of each of these beginnings."""
        until(lambda: all(list(self.claims(alias).glob(f"{claim}.*")) for claim in claims), f"{', '.join(claims)} is claimed")

    @staticmethod
    def _marks(line: str) -> bool:
        return "start.py" in line


def make(world: Before) -> dict[str, dict[str, Any]]:
    """Use a version and let it die.

    :returns: what its daemon replies, by request.
    """
    for alias in ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "nobody"):
        world.node(alias)
    _stop_a_package(world)
    replies = _stop_in_the_middle(world)
    _kill_while_it_serves(world)
    _kill_until_an_answer_is_half_done(world)
    _kill_with_claims(world)
    _kill_a_build(world)
    _leave_by_hand(world)
    return replies


def _stop_a_package(world: Before) -> None:
    """``greeter`` from the template, stopped in order; a question waits for it."""
    project = world.project("greeter")
    for path in (project / "noxfile.py", project / "tests"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text[: text.index("[dependency-groups]")] + text[text.index("[build-system]") :])
    world.run("launch", project, "--attach", "bob")
    world.put("unread", "hello", alias="bob")
    until((world.home.computations("bob") / "unread.complete").exists, "bob has an answer")
    world.run("stop", "greeter")
    world.put("waiting", "good morning", alias="bob")


def _stop_in_the_middle(world: Before) -> dict[str, dict[str, Any]]:
    """``secretive``, stopped in order while it runs a question."""
    world.file("secretive.py", SECRETIVE)
    world.file("secrets.env", "export FILED='200'\n")
    options = ("--env", "TOKEN=1000", "--env-file", "secrets.env", "--attach", "erin")
    world.run("launch", "secretive.py", *options, env={"PASSED": "30"})
    replies = {what: world.ask("secretive", {"do": what}) for what in ("status", "sync", "dance")}
    world.put("stopped", "wait", alias="erin")
    world.taken("erin", "stopped.1")
    replies["stop"] = world.ask("secretive", {"do": "stop", "timeout": 0.5})
    world.run("stop", "secretive", code=None)
    until(lambda: world.registry()["secretive"]["desired"] == "stopped", "it is stopped")
    return replies


def _kill_while_it_serves(world: Before) -> None:
    """``twofold``, killed, with two entry points and three nodes, of which one goes away."""
    for name, text in TWOFOLD.items():
        world.file(f"twofold/{name}", text)
    world.run("launch", "twofold", "--handler", "triple", "--attach", "carol", "--attach", "dave", "--workers", "2")
    world.run("attach", "twofold", "frank")
    world.put("unread", "one", alias="carol")
    until((world.home.computations("carol") / "unread.complete").exists, "carol has an answer")
    world.kill("twofold")
    shutil.rmtree(world.home.data_dir / "frank")
    world.put("waiting", "four", alias="dave")


def _kill_until_an_answer_is_half_done(world: Before) -> None:
    """``talker``, killed again and again, until an answer was written and not yet renamed onto its claim. Its log is rotated."""
    world.file("talker.py", TALKER)
    world.run("launch", "talker.py", "--attach", "grace")
    for number in range(ROUNDS):
        if world.home.log("talker").with_name("talker.log.1").exists():
            break
        world.put(f"talk{number}", "talk", alias="grace")
        world.answer(f"talk{number}", alias="grace")
    kills = 0
    while True:
        for number in range(300):
            world.put(f"half{number}", alias="grace")
        time.sleep(random.uniform(0.02, 0.2))
        world.kill("talker")
        kills += 1
        if list(world.claims("grace").glob("*.answer")):
            break
        world.run("start", "talker")
    print(f"an answer was half done after {kills} kills", file=sys.stderr)
    for file in world.home.computations("grace").glob("half*"):  # the node has given up
        file.unlink()


def _kill_a_build(world: Before) -> None:
    """A launch that is killed while it builds."""
    world.file("unborn.py", TALKER)
    for number in range(ROUNDS):
        world.file("unborn.py", TALKER + f"\n    # edit {number}\n")
        launching = world.begin("launch", "unborn.py")
        while launching.poll() is None:
            if list(world.home.envs.glob(".build-*/venv/pyvenv.cfg")):
                launching.kill()
                break
        launching.wait()
        if list(world.home.envs.glob(".build-*")):
            return
        world.run("remove", "--stop", "unborn")
    raise AssertionError("no build could be killed")


def _kill_with_claims(world: Before) -> None:
    """``counter``, killed with questions at each try, and with an answer that had no way out."""
    world.file("counter.py", COUNTER)
    world.file("words.py", WORDS)
    world.run("launch", "counter.py", "--attach", "alice")
    for comp_id, query in (("unread", "abc"), ("raised", "raise")):
        world.put(comp_id, query)
        until((world.home.computations("alice") / f"{comp_id}.complete").exists, "alice has an answer")
    world.put("third", "wait for the third")
    world.taken("alice", "third.1")
    for comp_id, taken in (("second", "third.2"), ("first", "second.2")):
        world.kill("counter")
        world.run("start", "counter")
        world.put(comp_id, f"wait for the {comp_id}")
        world.taken("alice", f"{comp_id}.1", taken)
    world.taken("alice", "third.3")
    world.put(".dotted", "wait for a dot")  # which later versions leave alone
    in_the_way = world.home.computations("alice") / "written.complete"
    in_the_way.mkdir()
    world.put("written", "it is written")
    until(lambda: any(b'"claim"' in claim.read_bytes() for claim in world.claims("alice").glob("written.*")), "it is written")
    world.kill("counter")
    in_the_way.rmdir()


def _leave_by_hand(world: Before) -> None:
    """What nodes leave, and for what a process must die within microseconds."""
    alice = world.home.computations("alice")
    world.put("waiting", "waiting since then")
    whole = sample("torn", comp_id="torn").to_json()
    (alice / "torn.pending").write_bytes(whole[: len(whole) // 2])
    (alice / "empty.pending").write_bytes(b"")
    (alice / "folder.pending").mkdir()
    variables = world.home.variables("secretive")
    shutil.copy2(variables, variables.with_name(f"{variables.name}.4321.new"))
    shutil.copy2(world.home.registry, world.home.registry.with_name("handlers.json.new"))


def main() -> None:
    nectar, target = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    root = Path(tempfile.mkdtemp(prefix="nectar-compat-"))
    os.environ["HOME"] = str(root / "home")
    world = Before(root / "world", nectar)
    world.directory.mkdir()
    replies = make(world)
    entries = recording.record(world.directory, nectar.parent.parent)
    target.write_text(json.dumps({"replies": replies, "entries": entries}, indent=1) + "\n")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
