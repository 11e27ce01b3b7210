"""Those who ask others than nectar, in the way that each of them is asked."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asking import QUERY, Client
from floor import IN_CLOSE_WRITE

HERE = Path(__file__).parent
OWNER, ASKER = "bench@example.org", "node@example.org"


class SyftClient(Client):
    """Asks as syft-event is asked: a question is a message of its own kind, renamed into place, and its answer is written in place."""

    pending, complete = ".request", ".response"
    events = IN_CLOSE_WRITE

    def choose_name(self) -> str:
        return str(uuid.uuid4())

    def question(self, name: str, query: str | None = None, deadline: int = 30) -> bytes:
        now = datetime.now(tz=UTC)
        message = {
            "id": name,
            "sender": ASKER,
            "url": f"syft://{OWNER}/app_data/bench/rpc/analyze",
            "body": base64.b64encode(super().question(name, query, deadline)).decode(),
            "headers": {},
            "created": now.isoformat(),
            "expires": (now + timedelta(days=1)).isoformat(),
            "method": "GET",
        }
        return json.dumps(message).encode()

    def check(self, answer: bytes) -> None:
        fields = json.loads(answer)
        if fields["status_code"] != 200 or int(base64.b64decode(fields["body"])) != len(self.query):
            raise RuntimeError(f"This is no answer to the question: {answer!r}")

    def _write(self, number: int, name: str, content: bytes) -> None:
        place = f"{self._directories[number]}/{name}"
        with open(f"{place}.aside", "wb", buffering=0) as file:
            file.write(content)
        os.rename(f"{place}.aside", f"{place}{self.pending}")

    def _read(self, path: str) -> bytes:
        content = super()._read(path)
        os.unlink(path.removesuffix(self.complete) + self.pending)
        return content


class HueyClient(Client):
    """Asks by a process in huey's environment, since what it is asked are no files.

    :param directory: where an answer is written that :meth:`ask` returns the path of.
    """

    def __init__(self, directory: Path, python: str, variables: dict[str, str]) -> None:
        self.query = QUERY
        self._directory = directory
        self._process = subprocess.Popen(
            [python, str(HERE / "peers" / "ask_huey.py")],
            env={**variables, "BENCH_QUESTION": self.question("5eed1e55").decode()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pids = (self._process.pid,)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, query: str | None = None, *, deadline: int = 30) -> str:
        answer = str(self._directory / self.choose_name())
        self._say(f"one {answer}")
        return answer

    def check(self, answer: bytes) -> None:
        if int(answer) != len(self.query):
            raise RuntimeError(f"This is no answer to the question: {answer!r}")

    def ask_in_turn(self, count: int) -> list[float]:
        took: list[float] = self._hear(f"in-turn {count}")
        return took

    def ask_at_once(self, count: int) -> float:
        took: float = self._hear(f"at-once {count}")
        return took

    def collect(self) -> None:
        """It has taken the answers away itself."""

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def _hear(self, line: str) -> Any:
        assert self._process.stdout is not None
        self._say(line)
        return json.loads(self._process.stdout.readline())
