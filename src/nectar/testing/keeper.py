"""The process that launches handlers for tests, and removes all that came of it when the tests have ended, however they did.

::

    python -I -S keeper.py DATA_DIR COMMAND…

It says that it is there, an empty line, and is told what to run, a line of JSON each, on standard input; how that ended, it tells on
standard output, a line of JSON each. When its input closes, it ends what it runs, stops what it has launched, and removes the data dir, if no other keeper has that too. It is in a
session of its own, where no Ctrl-C of the terminal's reaches it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType

LOCK = "keepers.lock"
SECONDS = 15.0
"""For a command that is to end, and for each handler that is to stop."""


def main() -> None:
    """Keep the data dir that is the first argument."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    sys.path.append(str(Path(__file__).parents[2]))
    from nectar import locks

    lock = Path(sys.argv[1], LOCK)
    keeper = Keeper([*sys.argv[2:], "--data-dir", sys.argv[1]])
    try:
        with locks.hold(lock, shared=True):
            try:
                sys.stdout.write("\n")
                sys.stdout.flush()
                keeper.serve()
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                keeper.stop_all()
    finally:
        try:
            with locks.hold(lock, wait=False):
                shutil.rmtree(lock.parent, ignore_errors=True)
        except locks.Busy:  # who has it removes it
            pass


class Keeper:
    """:param command: how a command line begins."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._launched: set[str] = set()
        self._input = b""
        self._woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(waking)

    def serve(self) -> None:
        """Run what comes, until nobody is left who could say more."""
        while (request := self._next()) is not None:
            ended = self._run(request)
            if bool(ended["code"]) == (request["do"] == "launch"):  # a launch that failed, or a stop that did not
                self._launched.discard(request["handler"])
            sys.stdout.write(f"{json.dumps({'number': request['number'], **ended})}\n")
            sys.stdout.flush()

    def stop_all(self) -> None:
        for name in self._launched:
            try:
                subprocess.run(
                    [*self._command, "stop", name, "--timeout", "1"], check=False, timeout=SECONDS, **_streams(subprocess.DEVNULL)
                )
            except (OSError, subprocess.TimeoutExpired):
                continue

    def _next(self) -> dict[str, Any] | None:
        while b"\n" not in self._input:
            piece = os.read(0, 1 << 16)
            if not piece:
                return None
            self._input += piece
        line, _, self._input = self._input.partition(b"\n")
        request: dict[str, Any] = json.loads(line)
        return request

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one command to its end, or to that of whoever wants it."""
        self._launched.add(request["handler"])
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [*self._command, request["do"], *request["arguments"]],
                cwd=request["directory"],
                env=request["variables"],
                **_streams(output),
            )
            try:
                while process.poll() is None:
                    ready, _, _ = select.select([0, self._woken], [], [])
                    if self._woken in ready:
                        os.read(self._woken, 4096)
                    elif not self._listen():
                        sys.exit()
            finally:
                _end(process)
            output.seek(0)
            return {"code": process.returncode, "said": output.read().decode(errors="replace")}

    def _listen(self) -> bool:
        piece = os.read(0, 1 << 16)
        self._input += piece
        return bool(piece)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have a command end in order: what it has begun, it takes back."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _streams(output: Any) -> dict[str, Any]:
    return {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit()


if __name__ == "__main__":
    main()
