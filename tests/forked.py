"""The real command as a process of its own, forked from an interpreter that has imported it already.

Starting an interpreter and importing click and nectar takes ten times as long as most commands do. What is forked is otherwise as
if it had been started: its arguments, environment, directory, umask and descriptors are its own, and the same ``main`` runs in it.
What an interpreter does only at its start (``PYTHON…``, locale, time zone) wants a real one: :meth:`Forks.can` tells.
A shell has such commands, too: ``in_a_shell.py`` asks for them.

This file is also the program from which commands are forked: ``python forked.py DESCRIPTOR``.
"""

from __future__ import annotations

import marshal
import os
import select
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

AT_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
"""How the variables begin that an interpreter looks at when it starts."""
LENGTH = 4
"""Bytes of an order's length, which comes before it, with the descriptors."""


class Forks:
    """Where commands are forked from: one process, started when it is first needed and ended with this one."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            # It outlives the test that needs it first: what names that one's files would count as a process that it left.
            environment = {name: value for name, value in os.environ.items() if name.startswith((*AT_THE_START, "HOME", "PATH"))}
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._socket = ours
        self._owner = os.getpid()
        self._turn = threading.Lock()

    def can(self, environment: dict[str, str]) -> bool:
        """Whether a command with this environment would be the same if it were started anew."""
        names = {name for name in (*environment, *self._environment) if name.startswith(AT_THE_START)}
        return os.getpid() == self._owner and all(environment.get(name) == self._environment.get(name) for name in names)

    def run(
        self, arguments: list[str], environment: dict[str, str], directory: str, given: bytes, seconds: float
    ) -> tuple[int, bytes, bytes]:
        """Run ``nectar`` and return its exit code, and what it said on standard output and on standard error.

        :param given: its standard input.
        :param seconds: for all of it.
        :raises TimeoutError: it takes longer, or holds an output open.
        """
        ours, theirs = [], []
        for number in range(3):
            reading, writing = os.pipe()
            ours.append(writing if number == 0 else reading)
            theirs.append(reading if number == 0 else writing)
        try:
            command = self.start(arguments, environment, directory, theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        end = time.monotonic() + seconds
        output, errors = _talk(ours[0], given, ours[1:], end)
        return command.wait(end - time.monotonic()), output, errors

    def start(self, arguments: list[str], environment: dict[str, str], directory: str, streams: list[int]) -> Forked:
        """Start ``nectar``.

        :param streams: the descriptors that it has as 0, 1 and 2.
        """
        mask = os.umask(0)
        os.umask(mask)
        order = marshal.dumps([arguments, environment, directory, mask])
        status, writing = os.pipe()
        try:
            with self._turn:
                socket.send_fds(self._socket, [len(order).to_bytes(LENGTH, "big"), order], [*streams, writing])
        finally:
            os.close(writing)
        return Forked(status)

    def in_a_shell(self) -> tuple[str, int]:
        """A function of a shell that is the command ``nectar``, and the descriptor that the shell must have."""
        program = [sys.executable, "-I", "-S", os.path.join(os.path.dirname(__file__), "in_a_shell.py"), str(self._socket.fileno())]
        return f'nectar() {{ {shlex.join(program)} "$@"; }}', self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


class Forked:
    """A command that was forked.

    :param status: a descriptor, from which its PID can be read, and when it has ended its exit code.
    """

    def __init__(self, status: int) -> None:
        self._status = status
        self.pid = int.from_bytes(os.read(status, 4), "big")
        self._code: int | None = None

    def wait(self, seconds: float) -> int:
        """:raises TimeoutError: it has not ended by then."""
        if self._code is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            if not poll.poll(max(0.0, seconds) * 1000):
                raise TimeoutError(f"process {self.pid} has not ended")
            self._code = int(os.read(self._status, 16))
            os.close(self._status)
        return self._code

    def kill(self) -> None:
        """To be called before its end was waited for: its PID may be anybody's afterwards."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _talk(writing: int, given: bytes, reading: list[int], end: float) -> list[bytes]:
    """Write what is given, and read all to their ends."""
    said = dict.fromkeys(reading, b"")
    left = memoryview(given)
    try:
        with selectors.DefaultSelector() as selector:
            for descriptor in reading:
                selector.register(descriptor, selectors.EVENT_READ)
            if left:
                os.set_blocking(writing, False)
                selector.register(writing, selectors.EVENT_WRITE)
            else:
                os.close(writing)
            while selector.get_map():
                if time.monotonic() > end:
                    raise TimeoutError(said)
                for key, _ in selector.select(1):
                    if key.fd in said:
                        piece = os.read(key.fd, 65536)
                        said[key.fd] += piece
                        finished = not piece
                    else:
                        try:
                            left = left[os.write(writing, left) :]
                        except BrokenPipeError:
                            left = left[:0]
                        finished = not left
                        if finished:
                            os.close(writing)
                    if finished:
                        selector.unregister(key.fd)
    finally:
        for descriptor in reading:
            os.close(descriptor)
    return list(said.values())


def serve(control: socket.socket) -> None:
    """Fork a command for each order, until nobody is left who gives one; then return in a command's process only."""
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select()]
            if woken in ready:
                os.read(woken, 4096)
                _tell_of_ended(running)
            if control.fileno() not in ready:
                continue
            head, descriptors, _, _ = socket.recv_fds(control, LENGTH, 4)
            if not head:
                os._exit(0)
            order = control.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            arguments, environment, directory, mask = marshal.loads(order)
            if (command := _fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                selector.close()
                control.close()
                for descriptor in (woken, waking, *running.values()):
                    os.close(descriptor)
                _become(arguments, environment, directory, mask, descriptors)
                return
            *streams, running[command] = descriptors
            for descriptor in streams:
                os.close(descriptor)
            _tell(running[command], command.to_bytes(4, "big"))


def _fork() -> int:
    """As :func:`os.fork`, also where the system has too many processes for a moment: all tests after this one need this process."""
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            time.sleep(0.1)


def _tell_of_ended(running: dict[int, int]) -> None:
    """Tell the exit codes of commands that have ended.

    :param running: the descriptor of each, to which it is written, by its PID.
    """
    while running:
        command, status = os.waitpid(-1, os.WNOHANG)
        if command == 0:
            return
        descriptor = running.pop(command)
        _tell(descriptor, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(descriptor)


def _tell(descriptor: int, what: bytes) -> None:
    try:
        os.write(descriptor, what)
    except BrokenPipeError:  # nobody wants to know any more
        pass


def _become(arguments: list[str], environment: dict[str, str], directory: str, mask: int, descriptors: list[int]) -> None:
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.umask(mask)
    os.chdir(directory)
    sys.argv = ["nectar", *arguments]


if __name__ == "__main__":
    del sys.path[0]  # this file's directory
    import gc
    import importlib

    from nectar import cli
    from nectar.cli.app import app
    from nectar.cli.verbs import VERBS

    for module in ("nectar.inherited", "nectar.cli.boundary"):
        importlib.import_module(module)
    for module in ("nectar.manage.environment.build", "csv", "email.message", "email.parser", "encodings.utf_8_sig", "uv"):
        importlib.import_module(module)  # what a command imports only when it needs it
    for verb in VERBS:
        # Code that has run once is written to less: a command then copies a tenth less of the pages that it shares with others.
        app.make_context("nectar", [], resilient_parsing=True)
        importlib.import_module(f"nectar.cli.commands.{verb}").command.make_context(verb, [], resilient_parsing=True)
    gc.freeze()  # or each collection in a command would copy all of it
    serve(socket.socket(fileno=int(sys.argv[1])))
    cli.main()
