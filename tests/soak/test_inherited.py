"""Each thing that whoever starts nectar may leave to it, one by one; several at once are in ``tests/runtime``."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import runtime
from tests.runtime.conftest import Node, Running
from tests.runtime.test_inherited import NO_RIGHT_OF_ROOT, REMOVED, call, lives, shell
from tests.soak.ground import LONG
from tests.soak.table import portion
from tests.world import reap

if TYPE_CHECKING:
    from tests.soak.table import Row
    from tests.world import World

SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def odd_things() -> dict[str, list[str]]:
    """A command to be run inside of, for each."""
    found: dict[str, list[str]] = {"no directory": REMOVED, "no hang-up": ["nohup"]}
    for number in SIGNALS:
        found[f"signal {number} blocked"] = ["env", f"--block-signal={number}"]
        found[f"signal {number} ignored"] = ["env", f"--ignore-signal={number}"]
    for count in (1, 2, 3):
        for closed in itertools.combinations(("<&-", ">&-", "2>&-"), count):
            found[f"closed {closed}"] = ["sh", "-c", f'exec "$@" {" ".join(closed)}', "sh"]
    for name in ("PATH", "HOME", "LANG", "TMPDIR"):
        found[f"no {name}"] = ["env", "-u", name]
        found[f"odd {name}"] = ["env", f"{name}=/nowhere/ü"]
        found[f"empty {name}"] = ["env", f"{name}="]
    for mask in ("000", "077", "777"):
        rights = NO_RIGHT_OF_ROOT if os.geteuid() == 0 else []
        found[f"umask {mask}"] = [*rights, *shell(f"umask {mask}")]
    # Descriptors, the size of a file and of a process, a core file, a stack, seconds of a processor.
    for limit in ("-n 64", "-Sn 20", "-Sf 100", "-Sv 600000", "-Sd 300000", "-c 0", "-Ss 256", "-St 1", "-l 0"):
        found[f"ulimit {limit}"] = shell(f"ulimit {limit}")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it is done with GNU's env")
def test_whatever_is_inherited_one_by_one(world: World, row: Row) -> None:
    """Started so, a handler answers, a worker that dies is replaced, and a stop is a stop. Some are tried by ``tests/runtime``, too."""
    source = world.directory / "chameleon.py"
    shutil.copy(Path(runtime.__file__).with_name("chameleon.py"), source)
    running, node = Running(world, source), Node("alice", world.node("alice"))
    things = odd_things()
    verbs: dict[str, list[str | Path]] = {
        "launch": ["launch", source, "--attach", "alice"],
        "start": ["start", "chameleon"],
        "restart": ["restart", "chameleon"],
    }
    world.run(*verbs["launch"])
    tried: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for number, name in enumerate(random.sample(sorted(things), portion(len(things), least=8, shared=True))):
        verb = list(verbs)[number % len(verbs)]
        try:
            if verb != "restart":
                call(world, things[name], *(["stop"] if verb == "start" else ["remove", "--stop"]), "chameleon")
                assert reap(world.directory, seconds=LONG) == []
            call(world, things[name], *verbs[verb])
            lives(running, node)
        except AssertionError as error:
            wrong[f"{verb}: {name}"] = str(error)
            world.run("stop", "--all", code=None)
            world.run(*verbs["start"], code=None)
        tried[verb] += 1
    row(
        "whatever signals, limits, streams and variables a command has from its caller: questions are answered, a dead worker is"
        " replaced, a stop is a stop",
        **{f"{verb}_so": count for verb, count in tried.items()},
        wrong=len(wrong),
    )
    assert not wrong, wrong
