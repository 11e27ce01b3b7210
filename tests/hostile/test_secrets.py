"""Secrets that the author's code neither prints nor raises are nowhere but in the file that is there for them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hostile.stage import Asker

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

DISCREET = """
import os
from nectar import handler

print("loaded")

@handler
def discreet(comp):
    print("asked")
    if comp.metadata.get("how") == "raise":
        raise ValueError("it went wrong")
    if comp.metadata.get("how") == "die":
        os._exit(3)
    if comp.metadata.get("how") == "hang":
        while True:
            pass
    return int(comp.metadata.get("value", len(os.environ["GIVEN_1"])))
"""


def test_twenty_secrets(stage: Stage, row: Row) -> None:
    secrets = [f"hush{number:02d}{os.urandom(8).hex()}" for number in range(20)]
    values = [987_654_321_000 + number for number in range(2)]
    given, filed, passed, shell, queries, metadata, index = (
        secrets[0:3],
        secrets[3:6],
        secrets[6:8],
        secrets[8:11],
        secrets[11:16],
        secrets[16:18],
        secrets[18:20],
    )
    world = stage.world
    variables = world.file("variables", "\n".join(f"FILED_{number}={secret}" for number, secret in enumerate(filed)) + "\n")
    environment = {f"SHELL_{number}": secret for number, secret in enumerate(shell)}
    environment |= {f"PASSED_{number}": secret for number, secret in enumerate(passed)}
    environment["UV_INDEX"] = f"https://user:{index[0]}@nowhere.invalid/simple https://{index[1]}@nowhere.invalid/other"
    lines: list[str] = []
    watching = threading.Event()
    watcher = threading.Thread(target=_command_lines, args=(lines, watching), daemon=True)
    watcher.start()
    stage.write(text=DISCREET, settings={"pass_env": ["PASSED_0", "PASSED_1"]})
    by_flag = {f"GIVEN_{number}": secret for number, secret in enumerate(given)}
    if stage.walled:  # where pass_env passes nothing by itself
        by_flag |= {f"PASSED_{number}": secret for number, secret in enumerate(passed)}
    options = [part for name, secret in by_flag.items() for part in ("--env", f"{name}={secret}")]
    printed = []

    def run(*arguments: str | Path, code: int | None = 0) -> None:
        ended = world.run(*arguments, code=code, env=environment)
        printed.append(ended.stdout + ended.stderr)

    # The command line of `launch` itself shows what its caller typed: that is the caller's.
    run("launch", stage.file, stage.name, *options, "--env-file", variables)
    asker = Asker(world.node("alice"))
    run("attach", stage.name, "alice")
    answers = []
    for number, query in enumerate(queries):
        how = ("", "raise", "die", "hang", "")[number]
        pending = asker.directory / f"s{number}.pending"
        value = values[number % 2]
        text = f'{{"query": "{query}", "proposer": "bob", "aggregators": [], "targets": [], "deadline": 1, "metadata": {{"how": "{how}", "value": {value}, "x": "{metadata[number % 2]}"}}}}'
        pending.write_text(text)
        answers.append(asker.take(f"s{number}").fields)
    (asker.directory / "torn.pending").write_text(f'{{"query": "{queries[0]}"')
    answers.append(asker.take("torn").fields)
    (asker.directory / "typed.pending").write_text(f'{{"query": ["{queries[1]}"], "proposer": "{queries[2]}"}}')
    answers.append(asker.take("typed").fields)
    for arguments in (
        ("view",),
        ("view", stage.name),
        ("view", "--json"),
        ("view", stage.name, "--json"),
        ("logs", stage.name, "--no-follow", "-n", "1000"),
    ):
        run(*arguments)
    run("stop", stage.name)
    run("start", stage.name)
    run("launch", stage.file, stage.name, code=4)
    watching.set()
    watcher.join(60)
    known = {
        secret: kind
        for kind, several in (("variable", given + filed + passed + shell + index), ("question", queries + metadata))
        for secret in several
    }
    in_answers = [secret for secret in known if any(secret in str(answer) for answer in answers)]
    in_print = [secret for secret in [*known, *map(str, values)] if any(secret in text for text in printed)]
    own = stage.home.variables(stage.name)
    in_files = []
    for path in stage.home.data_dir.rglob("*"):
        if path == own or path.is_symlink() or not path.is_file():
            continue
        raw = path.read_bytes()
        in_files += [f"{path}: {kind}" for secret, kind in known.items() if secret.encode() in raw]
        in_files += [f"{path}: value" for value in values if str(value).encode() in raw]
    in_lines = [line[:200] for line in lines for secret in known if secret in line and " launch " not in line.replace("\0", " ")]
    row(
        "of 20 secrets, none is outside the 0600 file that is there for them",
        planted=len(secrets),
        in_answers=len(in_answers),
        printed=len(in_print),
        in_files=len(in_files),
        on_command_lines=len(in_lines),
        commands=len(printed),
        looks_at_command_lines=len(lines),
    )
    assert in_answers == []
    assert in_print == []
    assert in_files == []
    assert in_lines == []
    assert own.stat().st_mode & 0o777 == 0o600
    assert all(secret in own.read_text() for secret in given + passed)


def _command_lines(found: list[str], enough: threading.Event) -> None:
    while not enough.wait(0.05):
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                found.append(Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
