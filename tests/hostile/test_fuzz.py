"""Questions that nobody honest would send: each is answered once, and nothing else happens."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.questions import broken, made, verdict
from tests.hostile.stage import resident
from tests.soak.ground import LONG
from tests.soak.table import portion

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

BATCH = 2500
LENGTH = "from nectar import handler\n\n@handler\ndef length(comp):\n    return len(comp.query)\n"


@pytest.mark.usefixtures("in_memory")
def test_fuzzed_questions(stage: Stage, row: Row) -> None:
    """Hypothesis and a byte-level mutator. The answers are what our own reader of the bytes says they must be.

    Those of ``test_nothing_leaks`` are as many.
    """
    asker = stage.play(text=LENGTH)
    daemon, worker = stage.daemon, stage.status()["workers"][0]["pid"]
    whole = portion(100_000, shared=True)
    contents = made(whole // 50, 1)
    contents += broken(whole - len(contents), 2, contents[:])
    outside = _files(stage)
    statuses = Counter[str]()
    wrong, slowest = [], 0.0
    before: dict[int, int] = {}
    for start in range(0, whole, BATCH):
        batch = {f"f{start + number}": raw for number, raw in enumerate(contents[start : start + BATCH])}
        begun = time.monotonic()
        for comp_id, raw in batch.items():
            (asker.directory / f"{comp_id}.pending").write_bytes(raw)
        for comp_id, raw in batch.items():
            answer = _take(asker.directory / f"{comp_id}.complete")
            statuses[answer["status"]] += 1
            wanted = verdict(raw)
            given = answer["result"]["value"] if answer["status"] == "success" else answer["error"]
            if answer["comp_id"] != comp_id or (answer["status"] != "timeout" and given != wanted):
                wrong.append((raw[:200], answer, wanted))
        slowest = max(slowest, time.monotonic() - begun)
        if not before:  # the first batch is what it takes to get warm
            before = {pid: resident(pid) for pid in (daemon, worker)}
    same = stage.daemon == daemon and stage.status()["workers"][0]["pid"] == worker
    grown = {pid: (resident(pid) - had) / 1024 for pid, had in before.items()} if same else {}
    faults = stage.home.log(stage.name).read_text().count("Traceback")
    touched = sorted(_files(stage) ^ outside)
    row(
        "100,000 fuzzed questions: no crash, no hang, at most 50 MB that stay, no file but the spool's, valid answers",
        questions=whole,
        **statuses,
        answers_wrong=len(wrong),
        crashes=int(not same),
        MB_grown=" + ".join(f"{size:.1f}" for size in grown.values()),
        files_touched=len(touched),
        slowest_batch_s=slowest,
        faults=faults,
    )
    assert faults == 0
    assert not wrong, wrong[:3]
    assert same
    assert max(grown.values()) < 50
    assert touched == []
    assert os.listdir(asker.directory) == [".nectar"]
    assert os.listdir(asker.directory / ".nectar") == []
    assert stage.forged() == []


def _take(path: Path) -> dict[str, Any]:
    end = time.monotonic() + LONG
    while True:
        try:
            raw = path.read_bytes()
            break
        except FileNotFoundError:
            assert time.monotonic() < end, f"{path.name} never came"
            time.sleep(0.02)
    path.unlink()
    fields: dict[str, Any] = json.loads(raw, parse_constant=_refuse)
    return fields


def _refuse(name: str) -> None:
    raise AssertionError(f"an answer has {name} in it, which is not JSON")


def _files(stage: Stage) -> set[str]:
    """What lies in the world, spool and log aside."""
    spool = stage.home.computations(f"{stage.name}-node0")
    return {
        str(path)
        for path in stage.world.directory.rglob("*")
        if spool not in path.parents and stage.home.nectar not in path.parents
    }
