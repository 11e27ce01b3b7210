"""Stands in for a daemon of a version before: it holds what that held, and replies what that replied.

::

    python standin.py DATA_DIR NAME REPLIES

``REPLIES`` is JSON, what a daemon of that version replied to each request. It answers no questions, and has one worker, which
outlives it. Nothing of nectar is imported: it is the other side.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Daemon:
    def __init__(self, data_dir: Path, name: str, replies: dict[str, dict[str, Any]]) -> None:
        self._data_dir = data_dir
        self._name = name
        self._replies = replies
        self._started = time.time()
        self._spools: dict[str, int] = {}
        handlers = data_dir / "nectar" / "handlers"
        self._lock = os.open(handlers / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._lock, 0)
        os.write(self._lock, json.dumps({"pid": os.getpid(), "started": self._started, "version": "0.1.0"}).encode() + b"\n")
        self._path = handlers / f"{name}.sock"
        self._path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        directory = os.open(handlers, os.O_PATH | os.O_DIRECTORY)
        self._listening.bind(f"/proc/self/fd/{directory}/{name}.sock")
        self._path.chmod(0o600)
        self._listening.listen()

    def serve(self) -> None:
        worker = subprocess.Popen(["sleep", "600"], env={**os.environ, "NECTAR_WORKER": self._token()}, start_new_session=True)
        self._sync()
        print(worker.pid, flush=True)
        while True:
            client, _ = self._listening.accept()
            with client, client.makefile("rwb") as lines:
                line = lines.readline()
                request = json.loads(line)["do"] if line else ""
                if request == "sync":
                    self._sync()
                lines.write(json.dumps(self._reply(request)).encode() + b"\n")
                lines.flush()
            if request == "stop":
                self.end()

    def end(self, *_: object) -> None:
        self._path.unlink()
        os._exit(0)

    def _reply(self, request: str) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "status": {
                "pid": os.getpid(),
                "started": self._started,
                "aliases": {alias: {"problem": None, "waiting": 0} for alias in self._spools},
            },
            "sync": {"attached": list(self._spools)},
            "stop": {"pid": os.getpid()},
        }
        return {**self._replies.get(request, self._replies["dance"]), **own.get(request, {})}

    def _sync(self) -> None:
        """Hold the aliases that the registry names."""
        records = json.loads((self._data_dir / "nectar" / "handlers.json").read_bytes())
        wanted = records[self._name]["attached_aliases"]
        for alias in set(self._spools) - set(wanted):
            os.close(self._spools.pop(alias))
        for alias in wanted:
            directory = self._data_dir / alias / "data" / "computation"
            if alias not in self._spools and directory.is_dir():
                claims = directory / ".nectar"
                claims.mkdir(mode=0o700, exist_ok=True)
                self._spools[alias] = os.open(claims, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._spools[alias], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _token(self) -> str:
        mark = hashlib.sha256(os.fsencode(self._data_dir) + b"\0" + self._name.encode()).hexdigest()[:16]
        start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        return f"{mark}/{os.getpid()}-{start}/0123456789abcdef"


if __name__ == "__main__":
    daemon = Daemon(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
    signal.signal(signal.SIGTERM, daemon.end)
    daemon.serve()
