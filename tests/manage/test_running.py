"""What runs, for gc: as the kernel tells, or ``ps``; where neither does, nothing is removed."""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest

from nectar import features
from nectar.errors import NectarError
from nectar.home import Home
from nectar.manage import doctor, gc
from tests import needs
from tests.world import until

if TYPE_CHECKING:
    from pathlib import Path

NAME = secrets.token_hex(10)
"""Of an environment, and here alone: whoever names one by a path that leads nowhere uses all of that name, in whichever test."""
PS = """#!/bin/sh
[ "$*" = "-Eaxww -o command=" ] || exit 2
echo "{line}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With an environment that no record names."""
    made = Home(tmp_path)
    made.create()
    (made.envs / NAME).mkdir()
    return made


@pytest.fixture
def ps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that does not tell of processes, and the place of a ``ps`` that may."""
    monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin")
    return tmp_path / "bin" / "ps"


def say(ps: Path, line: str) -> None:
    ps.write_text(PS.format(line=line))
    ps.chmod(0o755)


@needs.proc
def test_the_kernel_tells_what_runs_from_an_environment(home: Home) -> None:
    assert [each.path.name for each in gc.find_unused(home)] == [NAME]
    place = home.envs / NAME / "bin"
    place.mkdir()
    (place / "sleep").symlink_to("/bin/sleep")
    with subprocess.Popen([place / "sleep", "900"]) as process:
        try:
            until(lambda: gc.find_unused(home) == [], "it is seen")
        finally:
            process.kill()


@needs.proc
@pytest.mark.parametrize(
    ("spelled", "used"),
    [
        pytest.param("{tmp}/other/envs/{name}/bin/x", False, id="another data dir's of the same content"),
        pytest.param("PATH={tmp}/other/envs/{name}/bin:/bin", False, id="another's, in a path"),
        pytest.param("{tmp}/link/nectar/envs/{name}/bin/x", True, id="by a link"),
        pytest.param("PATH=/bin:{tmp}/link/nectar/envs/{name}/bin", True, id="by a link, in a path"),
        pytest.param("{tmp}/gone/envs/{name}/bin/x", True, id="as another namespace may have it"),
        pytest.param("envs/{name}/bin/x", True, id="a part of a path"),
    ],
)
def test_one_of_the_same_name_elsewhere_is_another(home: Home, tmp_path: Path, spelled: str, used: bool) -> None:
    (tmp_path / "other" / "envs" / NAME).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    with subprocess.Popen(
        ["/bin/sh", "-c", "echo; read line", spelled.format(tmp=tmp_path, name=NAME)], stdin=-1, stdout=-1
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert (gc.find_unused(home) == []) is used
        process.communicate(b"\n", timeout=60)


def test_where_it_does_not_ps_tells(home: Home, ps: Path) -> None:
    say(ps, "/usr/sbin/cron")
    assert [each.path.name for each in gc.find_unused(home)] == [NAME]
    say(ps, f"{home.envs}/{NAME}/bin/python start.py")
    assert gc.find_unused(home) == []


@pytest.mark.parametrize("there", [True, False])
def test_where_neither_does_nothing_is_removed_and_doctor_says_so(home: Home, ps: Path, *, there: bool) -> None:
    ps.write_text("#!/bin/sh\nexit 1\n")
    ps.chmod(0o755 if there else 0o644)
    with pytest.raises(NectarError, match="nobody here tells what runs"):
        gc.collect(home)
    assert (home.envs / NAME).is_dir()
    assert [found.what for found in doctor.examine(home) if "nobody here tells" in found.what]
