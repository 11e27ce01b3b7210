"""What a handler behind a wall could be after: secrets, somebody who listens, a daemon; and what it says of its tries to get there."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import uuid
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nectar import namelock
from tests.hostile.escapes import TRIES
from tests.world import pids, until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.world import World

SOURCE = Path(__file__).with_name("escapes.py")
MADE = "made by a handler"
MAKES = {
    "make a file beside its source": "directory",
    "make a file in the home": "home",
    "make a file in the machine's `/tmp`": "temporary_directory",
    "make a file in the machine's `/dev/shm`": "shared_directory",
    "make a file in uv's cache": "uv",
}
"""Tries that leave a file: in which place."""
STAYS = "go on after the stop"


class Ground:
    """A data dir with two nodes and two handlers, of which one tries to get out; use it in a ``with`` block.

    :ivar mark: in the names of all that lies elsewhere.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.mark = f"nectar-{uuid.uuid4().hex}"
        self._stack = ExitStack()
        self._open = True
        self._listeners: list[socket.socket] = []

    def __enter__(self) -> Self:
        world, home = self.world, self.world.home
        # In a working copy of git, of which the file beside it that is a link leads to what is nobody's to see.
        source = world.directory / "repository" / "proj" / "escapes.py"
        (source.parent / "granted").mkdir(parents=True)
        shutil.copy(SOURCE, source)
        world.file("repository/proj/beside", "secret")
        world.file("repository/secret.py", "KEY = 1\n")
        world.file("repository/.gitignore", "secret.py\n")
        (source.parent / "leak.py").symlink_to("../secret.py")
        subprocess.run(["git", "-C", str(source.parent.parent), "init", "-q"], check=True, timeout=60)
        other = world.file("other/other.py")
        for node in ("alice", "bob"):
            world.node(node)
        world.run("launch", other, "--env", "TOKEN=secret", "--attach", "bob")
        world.run("stop", "other")
        world.put("asked", "a secret", alias="bob")
        user, temporary, shared = Path.home(), Path("/tmp") / self.mark, Path("/dev/shm") / self.mark
        for directory in (user / ".ssh", temporary, shared):
            directory.mkdir(mode=0o700, exist_ok=True)
        for file in (user / "note", user / ".ssh" / "id_ed25519", temporary / "secret", shared / "secret"):
            file.write_text("secret")
        self._stack.callback(shutil.rmtree, temporary)
        self._stack.callback(shutil.rmtree, shared)
        self._stack.callback(shutil.rmtree, user / ".ssh")
        self._stack.callback((user / "note").unlink)
        self.places: dict[str, Any] = {
            "note": user / "note",
            "key": user / ".ssh" / "id_ed25519",
            "home": user,
            "beside": source.parent / "beside",
            "directory": source.parent,
            "source": source,
            "granted": source.parent / "granted",
            "other_source": other,
            "question": home.computations("bob") / "asked.pending",
            "node": home.computations("bob"),
            "own": home.computations("alice"),
            "registry": home.registry,
            "variables": home.variables("other"),
            "logs": home.logs,
            "environments": home.envs,
            "uv": os.environ["UV_CACHE_DIR"],
            "secret": temporary / "secret",
            "temporary": temporary / "secret",
            "temporary_directory": temporary,
            "shared": shared / "secret",
            "shared_directory": shared,
            "host": os.uname().nodename,
            "mark": self.mark,
            "segment": self._share_memory(),
            "tcp": self._listen(("127.0.0.1", 0)),
            "udp": self._listen(("127.0.0.1", 0), kind=socket.SOCK_DGRAM),
            "abstract": self._listen(f"\0{self.mark}", socket.AF_UNIX).replace("\0", "@"),
            "socket": self._listen(str(temporary / "socket"), socket.AF_UNIX),
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._open = False
        self._stack.close()

    def try_all(self, name: str, *options: str) -> dict[str, str]:
        """Launch it under a name, and have it try everything, what ends its daemon last.

        :returns: what came of each try: ``done``, or why not.
        """
        world, last = self.world, [*TRIES][-1]
        world.run("launch", self.places["source"], name, "--attach", "alice", *options)
        outcomes = self._ask(name, [*TRIES][:-1])
        for each, place in MAKES.items():
            made = Path(self.places[place]) / MADE
            if outcomes[each] == "done" and not made.exists():
                outcomes[each] = "its own"
            made.unlink(missing_ok=True)
        world.run("stop", name)
        if outcomes[STAYS] == "done" and not self._end("stays"):
            outcomes[STAYS] = "ended"
        world.run("start", name)
        outcomes |= self._ask(name, [last])
        world.run("stop", name)
        if self._end("free"):
            outcomes[last] = "done"
        world.run("detach", name, "alice")
        return outcomes

    def _ask(self, name: str, tries: list[str]) -> dict[str, str]:
        world, home = self.world, self.world.home
        daemon = world.registry()[name]["pid"]
        places = {**self.places, "daemon": daemon, "log": home.log(name), "control": home.socket(name)}
        outcomes = {}
        for number, each in enumerate(tries):
            world.put(f"{number:03d}", json.dumps({"try": each, **places}, default=str))
        for number, each in enumerate(tries):
            complete = home.computations("alice") / f"{number:03d}.complete"
            until(partial(self._is_over, name, complete), f"{each}: an answer")
            if complete.exists():
                fields = world.answer(complete.stem)
                outcomes[each] = "done" if fields["status"] == "success" else _shorten(fields["error"])
        return outcomes

    def _is_over(self, name: str, complete: Path) -> bool:
        """Whether there is an answer, or nobody who could give one."""
        return complete.exists() or not namelock.is_running(self.world.home, name)

    def _end(self, how: str) -> bool:
        """End a process that should not be there any more.

        :returns: whether there was one.
        """
        found = False
        for name in pids():
            with suppress(OSError):
                if Path("/proc", name, "cmdline").read_bytes().endswith(f"\0{self.mark}-{how}\0".encode()):
                    os.kill(int(name), signal.SIGKILL)
                    found = True
        return found

    def _share_memory(self) -> int:
        """:returns: the key of a segment of System V's."""
        libc = ctypes.CDLL(None)
        key = int.from_bytes(os.urandom(3)) + 1
        segment = libc.shmget(key, 4096, 0o1600)
        assert segment >= 0
        self._stack.callback(libc.shmctl, segment, 0, None)
        return key

    def _listen(self, address: Any, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> Any:
        """Listen there, and say a word to everybody.

        :returns: the address that it has.
        """
        listener = socket.socket(family, kind)
        self._stack.callback(listener.close)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        threading.Thread(target=self._greet, args=(listener, kind), daemon=True).start()
        name = listener.getsockname()
        return name.decode() if isinstance(name, bytes) else name

    def _greet(self, listener: socket.socket, kind: int) -> None:
        try:
            while self._open:
                if kind == socket.SOCK_DGRAM:
                    _, who = listener.recvfrom(4096)
                    listener.sendto(b"x", who)
                else:
                    talk, _ = listener.accept()
                    with talk:
                        talk.sendall(b"x")
        except OSError:  # it was closed
            pass


def _shorten(error: str) -> str:
    return "ended" if error.startswith("The worker was ended: it had too many processes") else error.removeprefix("Denied: ")
