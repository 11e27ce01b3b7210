"""Odd contents and odd files: each has the answer that it should, or is left alone; honest questions do not wait for any."""

from __future__ import annotations

import json
import os
import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.testing.sample import sample
from tests.soak.ground import LATE, need_root
from tests.world import until

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

GOOD = json.loads(sample("number 7", comp_id="x").to_json())


def _with(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def _raw(field: str, text: str) -> bytes:
    return json.dumps({**GOOD, field: "@@"}).replace('"@@"', text).encode()


CONTENTS = {
    b"": "not JSON",
    b"not json": "not JSON",
    b"\xff\xfe\x00": "not UTF-8",
    json.dumps(GOOD).encode("utf-16"): "not UTF-8",
    b"\xef\xbb\xbf" + json.dumps(GOOD).encode(): 7,
    json.dumps(GOOD).encode()[:-1]: "not JSON",
    json.dumps(GOOD).encode() * 2: "not JSON",
    b"null": "not a JSON object but null",
    b"[]": "not a JSON object but a list",
    b'"{}"': "not a JSON object but a string",
    b"{}": "no field 'query'",
    b"[" * 10_000: "nested too deeply",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000: "nested too deeply",
    _raw("metadata", '{"a":' * 10_000 + "1" + "}" * 10_000): "nested too deeply",
    _raw("timestamp", "NaN"): "NaN",
    _raw("deadline", "Infinity"): "Infinity",
    _raw("deadline", "-Infinity"): "-Infinity",
    _raw("deadline", "9" * 5000): "number",
    _raw("metadata", '{"a": ' + "9" * 5000 + "}"): "number",
    _raw("deadline", "1e999"): "'deadline' is not a positive number",
    _raw("deadline", "-1"): "'deadline' is not a positive number",
    _with(deadline=0): "'deadline' is not a positive number",
    _with(deadline="30"): "'deadline' is not a number",
    _with(deadline=True): "'deadline' is not a number",
    _with(deadline=1e300): 7,
    _with(timestamp=10**400): "'timestamp'",
    _with(query=None): "'query' is not a string",
    _with(query=["number 7"]): "'query' is not a string",
    _with(aggregators="abc"): "'aggregators' is not a list",
    _with(targets=[1]): "'targets' is not a list of strings",
    _with(metadata=[]): "'metadata' is not an object",
    _with(metadata={"a": [None] * 1000}): 7,
    _raw("query", '"number 7", "query": "number 8"'): 8,
    _raw("query", '"number 7", "proposer": "\\ud800"'): 7,
    _raw("proposer", '"\\ud83d"'): 7,
    _with(comp_id="../../../../escape"): 7,
    _with(comp_id="/etc/passwd"): 7,
    _with(comp_id=5): 7,
    _with(claim="0123456789abcdef", status="success", result={"value": 666}): 7,
    b" " * 1000 + json.dumps(GOOD).encode() + b"\n" * 1000: 7,
    json.dumps(GOOD).encode() + b"\0": "not JSON",
    b"x" * (2 * 1024 * 1024 + 1): "larger than",
}
NAMES = (
    "with spaces",
    "new\nline",
    "-rf",
    "\x1b[31m",
    "ümläut",
    "a" * 235,
    "q.1.0123456789abcdef",
    "a.hidden",
    "%s%n",
    "$(id)",
    "\x9b",
    "*",
    "null",
)


def test_odd_contents(stage: Stage, row: Row) -> None:
    asker = stage.play()
    worker = stage.status()["workers"][0]["pid"]
    for number, raw in enumerate(CONTENTS):
        (asker.directory / f"odd{number}.pending").write_bytes(raw)
    with open(asker.directory / "huge.pending", "wb") as file:
        file.truncate(1 << 30)
    begun = time.monotonic()
    assert asker.ask("number 1").value == 1
    honest = time.monotonic() - begun
    wrong = []
    for number, wanted in enumerate(CONTENTS.values()):
        answer = asker.take(f"odd{number}")
        right = answer.value == wanted if isinstance(wanted, int) else answer.status == "error" and str(wanted) in answer.error
        if not right:
            wrong.append((number, answer.fields, wanted))
    if "larger than" not in (huge := asker.take("huge")).error:
        wrong.append((-1, huge.fields, "larger than"))
    row(
        "what is not JSON, too large, too deep or of wrong types is answered so, and honest ones meanwhile",
        contents=len(CONTENTS) + 1,
        answers_wrong=len(wrong),
        honest_ms=round(1000 * honest),
        workers_lost=int(stage.status()["workers"][0]["pid"] != worker),
    )
    assert not wrong, wrong
    assert stage.status()["workers"][0]["pid"] == worker
    assert os.listdir(asker.directory) == [".nectar"]
    assert not (stage.world.directory / "escape").exists()


def test_odd_files(stage: Stage, row: Row) -> None:
    asker = stage.play()
    here = asker.directory
    secret = stage.world.directory / "secret"
    secret.write_bytes(sample("number 666", comp_id="x").to_json())
    (here / "directory.pending").mkdir()
    (here / "link.pending").symlink_to(secret)
    (here / "loop.pending").symlink_to("loop.pending")
    (here / "nowhere.pending").symlink_to("/nowhere")
    os.link(secret, here / "hard.pending")
    os.mkfifo(here / "fifo.pending")
    with socket.socket(socket.AF_UNIX) as bound:
        at = os.open(here, os.O_PATH)
        bound.bind(f"/proc/self/fd/{at}/socket.pending")
        os.close(at)
    (here / ("b" * 247 + ".pending")).write_bytes(secret.read_bytes())
    (here / ".pending").write_bytes(secret.read_bytes())
    for name in ("..", "...", ".hidden", "._hidden"):
        (here / f"{name}.pending").write_bytes(secret.read_bytes())
    if os.geteuid() == 0:
        os.mknod(here / "device.pending", 0o20600, os.makedev(1, 5))
    odd = set(os.listdir(here)) - {".nectar"}
    begun = time.monotonic()
    assert asker.ask("number 2").value == 2
    honest = time.monotonic() - begun
    for number, name in enumerate(NAMES):
        (here / f"{name}.pending").write_bytes(sample(f"number {number}", comp_id="x").to_json())
    wrong = [name for number, name in enumerate(NAMES) if asker.take(name).value != number]
    until(lambda: stage.log().count("is left alone") >= len(odd), "each is told once", seconds=LATE)
    after = set(os.listdir(here)) - {".nectar"}
    row(
        "links, FIFOs, devices and names that look like paths or begin with a dot: left alone and said once, or answered as they are",
        left_alone=len(after),
        names_answered=len(NAMES),
        wrong=len(wrong),
        honest_ms=round(1000 * honest),
    )
    assert after == odd
    assert not wrong
    assert stage.log().count("is left alone") == len(odd)
    assert stage.forged() == []
    assert b"\x1b" not in stage.home.log(stage.name).read_bytes()


def test_what_is_in_the_way_of_an_answer(stage: Stage, row: Row) -> None:
    asker = stage.play()
    here = asker.directory
    secret = stage.world.directory / "secret"
    secret.write_text("precious")
    (here / "file.complete").write_text("old")
    (here / "link.complete").symlink_to(secret)
    os.link(secret, here / "hard.complete")
    os.mkfifo(here / "fifo.complete")
    (here / "directory.complete").mkdir()
    for name in ("file", "link", "hard", "fifo", "directory"):
        (here / f"{name}.pending").write_bytes(sample("number 3", comp_id=name).to_json())
    assert asker.ask("number 4").value == 4

    def answered(name: str) -> bool:
        path = here / f"{name}.complete"
        return path.is_file() and not path.is_symlink() and b'"value": 3' in path.read_bytes()

    for name in ("file", "link", "hard", "fifo"):
        until(partial(answered, name), f"{name} is replaced", seconds=LATE)
    (here / "directory.complete").rmdir()
    until(lambda: answered("directory"), "the answer that a directory kept waiting is there", seconds=LATE)
    row("an answer replaces what has its name, and writes through no link", kinds=5, answered=5)
    assert secret.read_text() == "precious"


def test_a_claims_directory_that_a_stranger_made(stage: Stage, row: Row) -> None:
    need_root()
    asker = stage.play()
    node = stage.world.node("taken")
    (node / ".nectar").mkdir(mode=0o700)
    os.chown(node / ".nectar", 65534, 65534)
    wide = stage.world.node("wide")
    (wide / ".nectar").mkdir()
    (wide / ".nectar").chmod(0o777)
    codes = [stage.world.run("attach", stage.name, alias, code=None) for alias in ("taken", "wide")]
    row(
        "a .nectar/ that somebody else made, or can write, is not used",
        tried=2,
        attached=sum(ended.returncode == 0 for ended in codes),
    )
    assert [ended.returncode for ended in codes] == [4, 4]
    assert all("somebody else" in ended.stderr for ended in codes)
    assert asker.ask("number 5").value == 5
    assert Path(node / ".nectar").stat().st_uid == 65534
