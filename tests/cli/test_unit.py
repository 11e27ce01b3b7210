"""``nectar enable``: a unit that systemd takes, and that has handlers run; where there is no systemd, what it could be given."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nectar.home import Home
from nectar.manage import unit
from nectar.manage.supervision import MARGIN
from tests.soak.ground import need_root
from tests.world import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

ODD = 'o %h ${HOME} "d" \\n ü'
STOP_TIMEOUT = 100
MANAGER = r"""
mount -t tmpfs tmpfs /run/systemd && mkdir -p /run/systemd/system || exit 77
systemd=$(command -v systemd || echo /lib/systemd/systemd)
$systemd --user --log-target=null > /dev/null 2>&1 &
manager=$!
for i in $(seq 200); do systemctl --user show-environment > /dev/null 2>&1 && break; sleep 0.05; done
systemctl --user show-environment > /dev/null 2>&1 || exit 77
"""
"""A systemd of the user's in a mount namespace, which takes the machine for one that systemd has booted; 77 where none can be had."""


@pytest.fixture
def odd(tmp_path: Path) -> Home:
    """A data dir whose path means something to systemd, and one handler that takes long to end."""
    home = Home(tmp_path / ODD)
    home.create()
    home.registry.write_text(json.dumps({"h": {"effective": {"stop_timeout": STOP_TIMEOUT}}}))
    return home


def test_the_unit_is_one(world: World, odd: Home) -> None:
    text = world.run("enable", "--print", "--data-dir", str(odd.data_dir)).stdout
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) > STOP_TIMEOUT + MARGIN
    assert "\nKillMode=mixed\n" in text and ' "up" "--keep"\n' in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = odd.data_dir / unit.name_unit(odd)
    path.write_text(text)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(odd.data_dir)}
    ended = subprocess.run(
        ["systemd-analyze", "--user", "verify", path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (ended.returncode, [line for line in ended.stderr.splitlines() if path.name in line]) == (0, [])


def test_the_agent_for_launchd_says_the_same(odd: Home) -> None:
    agent = plistlib.loads(unit.compose_agent(odd).encode())
    assert agent["ProgramArguments"][-4:] == ["--data-dir", str(odd.data_dir), "up", "--keep"]
    assert agent["ExitTimeOut"] > STOP_TIMEOUT + MARGIN
    assert agent["RunAtLoad"] is True


def test_without_a_systemd_nothing_is_written(world: World, odd: Home) -> None:
    nothing = {"PATH": "/nowhere", "XDG_CONFIG_HOME": str(world.directory / "config")}
    for verb in ("enable", "disable"):
        assert "nectar enable --print" in world.run(verb, env=nothing, code=1).stderr
    assert not (world.directory / "config").exists()
    assert world.run("disable", "--print").stdout == f"systemctl --user disable {unit.name_unit(world.home)}\n"
    assert unit.name_unit(odd) != unit.name_unit(world.home)
    assert unit.name_unit(Home.at(None)) == "nectar.service"


@pytest.mark.uv
@pytest.mark.once
def test_systemd_has_handlers_run_and_disable_stops_nothing(world: World, odd: Home) -> None:
    need_root()
    if shutil.which("systemctl") is None or shutil.which("unshare") is None:
        pytest.skip("systemd is not installed")
    world.run("launch", world.file("h.py"))
    run = world.directory / "run"
    run.mkdir(mode=0o700)
    nectar = " ".join(world.command())
    name = unit.name_unit(world.home)
    script = f"""
        {MANAGER}
        kill -9 {world.registry()["h"]["pid"]}
        {nectar} up --keep > /dev/null 2>&1 & other=$!
        for i in $(seq 200); do [ -s '{world.home.keeper}' ] && break; sleep 0.05; done
        {nectar} enable
        kill $other; wait $other; echo "other: $?"
        for i in $(seq 300); do {nectar} view h | grep running && break; sleep 0.1; done
        {world.command()[0]} -m nectar --data-dir '{odd.data_dir}' enable > /dev/null
        for i in $(seq 200); do [ -e '{odd.keeper}' ] && echo odd && break; sleep 0.05; done
        {nectar} disable
        systemctl --user is-enabled {name}
        systemctl --user is-active {name}
        echo; {nectar} view h | grep running
        systemctl --user stop {name}
        {nectar} view h | grep dead
        kill $manager; wait $manager
    """
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(run), "XDG_CONFIG_HOME": str(world.directory / "config")}
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=world.directory,
        timeout=PATIENCE,
    )
    if ended.returncode == 77:
        pytest.skip("no systemd can be started here")
    assert f"✅ Enabled: {name} ({world.directory}/config/systemd/user/{name})\n" in ended.stdout, ended.stderr
    assert "loginctl enable-linger" in ended.stderr
    assert "Another nectar up --keep (PID" in ended.stderr
    assert "other: 0\n" in ended.stdout
    enabled, _, disabled = ended.stdout.partition(f"✅ Disabled: {name}\n")
    assert "🟢 running" in enabled, "it was ended with who kept it, and runs again"
    assert enabled.endswith("odd\n"), "whatever the data dir's path holds"
    stopped = f"   Nothing was stopped: handlers that run go on.\n   So does nectar up --keep; to end it, and all handlers with it: systemctl --user stop {name}\n"
    assert disabled.startswith(f"{stopped}disabled\nactive\n\n")
    assert "🟢 running" in disabled
    assert "dead, and should run" in disabled.rpartition("🟢")[2], "all have ended, as at a shutdown"
