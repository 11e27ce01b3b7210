"""Git is asked what belongs to a project, and nothing that a repository names is run for it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from hashlib import sha1
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.tree import git, trees
from tests.environments.workbench import STRANGER, Bench, as_root, installed, snapshot, write
from tests.world import World

BY_GIT = '[build-system]\nrequires = ["setuptools", "setuptools-scm>=8"]\nbuild-backend = "setuptools.build_meta"\n[tool.setuptools_scm]\n'
pytestmark = pytest.mark.once


def call(directory: Path, *arguments: str, check: bool = True) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(directory), *arguments]
    return subprocess.run(command, check=check, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(bench: Bench) -> Path:
    """A project whose version comes from git, with one commit, an ignored secret, and a file that git has to look at."""
    place = bench.project(build=BY_GIT)
    text = (place / "pyproject.toml").read_text()
    write(place / "pyproject.toml", text.replace('version = "1.0"\n', 'dynamic = ["version"]\n'))
    write(place / ".gitignore", ".env\n")
    write(place / ".gitattributes", "*.py filter=planted diff=planted\n")
    write(place / "src" / "demo" / ".env", "SECRET=1\n")
    call(place, "init", "-q")
    call(place, "add", "-A")
    call(place, "commit", "-qm", "one")
    call(place, "commit", "-qm", "two", "--allow-empty")
    os.utime(place / "src" / "demo" / "__init__.py", (1, 1))
    return place


def plan(bench: Bench, project: Path) -> tuple[set[str], list[str]]:
    """The files of a build, and the commit that it is made of."""
    made = bench.open(project).plan()
    return set(made.tree.pieces), list(made.tree.lines)


@pytest.fixture
def trap(tmp_path: Path) -> tuple[Path, Path]:
    """A program, and the file that it leaves where it is run."""
    sprung = tmp_path / "sprung"
    program = write(tmp_path / "trap", f'#!/bin/sh\necho "$@" >> {sprung}\nexit 1\n')
    program.chmod(0o755)
    return program, sprung


PLANTED = {
    "filter": {"filter.planted.clean": "{}", "filter.planted.smudge": "{}", "filter.planted.required": "true"},
    "filter process": {"filter.planted.process": "{}", "filter.planted.required": "true"},
    "monitor": {"core.fsmonitor": "{}"},
    "textconv": {"diff.planted.textconv": "{}"},
    "driver of diff": {"diff.planted.command": "{}"},
    "external diff": {"diff.external": "{}"},
    "pager": {"core.pager": "{}", "pager.ls-files": "{}", "pager.describe": "{}"},
    "alias": {"alias.ls-files": "!{}", "alias.describe": "!{}", "alias.rev-parse": "!{}", "alias.symbolic-ref": "!{}"},
    "editor": {"core.editor": "{}", "sequence.editor": "{}", "core.askPass": "{}"},
    "signatures": {"gpg.program": "{}", "log.showSignature": "true", "tag.gpgSign": "true"},
    "alternates": {"core.alternateRefsCommand": "{}"},
    "lazy fetch": {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": ".",
        "remote.origin.uploadpack": "{}",
        "protocol.allow": "always",
    },
    "lazy fetch by ext": {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ext::{}",
        "protocol.ext.allow": "always",
    },
    "lazy fetch by ssh": {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://nowhere.invalid/x",
        "core.sshCommand": "{}",
        "credential.helper": "!{}",
    },
}


def plant(project: Path, settings: dict[str, str], program: Path, where: tuple[str, ...] = ("--local",)) -> None:
    for name, value in settings.items():
        call(project, "config", *where, name, value.format(program))


def lose_history(project: Path) -> None:
    """Have git miss an object, which it fetches from where the configuration says."""
    name = call(project, "rev-parse", "HEAD~1")
    (project / ".git" / "objects" / name[:2] / name[2:]).unlink()


@pytest.mark.parametrize("kind", PLANTED)
def test_what_a_repository_names_is_not_run(bench: Bench, project: Path, trap: tuple[Path, Path], kind: str) -> None:
    program, sprung = trap
    before = plan(bench, project)
    assert before[1] == [f"git {call(project, 'rev-parse', 'HEAD')} {call(project, 'describe', '--tags', '--long', '--always')}"]
    if "lazy" in kind:
        lose_history(project)
    plant(project, PLANTED[kind], program)
    assert plan(bench, project) == before
    assert not sprung.exists()


def test_the_traps_are_good(project: Path, trap: tuple[Path, Path]) -> None:
    program, sprung = trap
    for kind, command in (("monitor", "status"), ("filter", "status"), ("filter process", "status"), ("lazy fetch", "describe")):
        if kind == "lazy fetch":
            lose_history(project)
        plant(project, PLANTED[kind], program)
        call(project, command, *(["--always", "--tags", "--long"] if command == "describe" else []), check=False)
        assert sprung.exists(), kind
        sprung.unlink()


def test_wherever_the_repository_says_it(bench: Bench, project: Path, trap: tuple[Path, Path]) -> None:
    program, sprung = trap
    write(project / ".git" / "more", "")
    everything = {name: value for kind, settings in PLANTED.items() if "lazy" not in kind for name, value in settings.items()}
    plant(project, everything, program, ("--file", str(project / ".git" / "more")))
    call(project, "config", "include.path", "more")
    call(project, "config", "extensions.worktreeConfig", "true")
    plant(project, everything, program, ("--worktree",))
    hook = write(project / ".git" / "hooks" / "post-index-change", program.read_text())
    hook.chmod(0o755)
    inner = bench.project("inner", at="demo/inner", handler=False)
    call(inner, "init", "-q")
    plant(inner, everything, program)
    assert "inner/src/inner/__init__.py" in plan(bench, project)[0]
    assert not sprung.exists()


def test_no_variable_of_the_shell_steers_git(
    bench: Bench, project: Path, trap: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, sprung = trap
    before = plan(bench, project)
    (program.parent / "exec").mkdir()
    for name in ("git", "exec/git", "exec/git-ls-files"):
        (program.parent / name).write_text(program.read_text())
        (program.parent / name).chmod(0o755)
    for name, value in {
        "GIT_EXTERNAL_DIFF": program,
        "GIT_PAGER": program,
        "GIT_SSH_COMMAND": program,
        "GIT_ASKPASS": program,
        "GIT_EXEC_PATH": program.parent / "exec",
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "GIT_TRACE": sprung,
        "GIT_TRACE2_EVENT": sprung,
        "GIT_CEILING_DIRECTORIES": project.parent,
        "GIT_LITERAL_PATHSPECS": "x",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": program,
        "GIT_CONFIG_PARAMETERS": "nonsense",
        "GIT_CONFIG_GLOBAL": "/nowhere",
        "PATH": f".::{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(program.parent)
    assert plan(bench, project) == before
    assert not sprung.exists()
    assert not any(name.startswith("GIT_CONFIG") or name == "TOKEN" for name in git.select_variables({**os.environ, "TOKEN": "x"}))


def test_the_user_s_own_list_of_what_is_ignored_counts(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path / "settings" / "git" / "ignore", "notes.txt\n")
    write(project / "notes.txt", "private\n")
    assert "notes.txt" in trees.read(project).files
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    assert "notes.txt" not in trees.read(project).files


def index_of(*names: str) -> bytes:
    """An index of git's that names files."""
    entries = b""
    for name in sorted(names):
        entry = (
            struct.pack(">10I", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + b"\x11" * 20 + struct.pack(">H", len(name)) + name.encode()
        )
        entries += entry + b"\0" * (8 - len(entry) % 8)
    content = b"DIRC" + struct.pack(">II", 2, len(names)) + entries
    return content + sha1(content).digest()  # git's


def test_no_name_of_an_index_leads_out(project: Path) -> None:
    odd = ("../../../slipped.txt", "/etc/passwd", ".git/config", "src/../../x", "src/.GIT/config", "src//x")
    (project / ".git" / "index").write_bytes(index_of(*odd, "pyproject.toml"))
    found = git.find(project)
    assert found is not None
    tracked, _ = found.names(project)
    assert tracked == ["pyproject.toml"]


@pytest.mark.parametrize("where", ["beside the project", "above it"])
def test_plain_files_are_no_repository(project: Path, where: str) -> None:
    place = project if where == "beside the project" else project.parent
    for name in ("HEAD", "objects", "refs", "index", "config"):
        (project / ".git" / name).rename(place / name)
    call(project, "config", "--file", str(place / "config"), "core.worktree", str(project))
    (place / "index").write_bytes(index_of("../../../slipped.txt", "pyproject.toml"))
    assert git.find(project) is None
    assert not any("slipped" in name for name in trees.read(project).files)


def test_a_working_tree_elsewhere_is_not_believed(project: Path, tmp_path: Path) -> None:
    write(tmp_path / "other" / "private.py", "x\n")
    call(project, "config", "core.worktree", str(tmp_path / "other"))
    assert set(trees.read(project).files) >= {"pyproject.toml", "src/demo/__init__.py"}
    assert "private.py" not in trees.read(project).files


def test_a_further_working_tree_and_a_submodule(bench: Bench, project: Path, tmp_path: Path) -> None:
    call(project, "tag", "v3.1")
    call(project, "worktree", "add", "-q", str(tmp_path / "second"))
    write(tmp_path / "second" / "src" / "demo" / ".env", "SECRET=1\n")
    assert plan(bench, tmp_path / "second") == plan(bench, project)
    write(tmp_path / "outer" / "pyproject.toml", "x\n")
    call(tmp_path / "outer", "init", "-q")
    call(tmp_path / "outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project), "inner")
    write(tmp_path / "outer" / "inner" / ".env", "SECRET=1\n")
    found = set(trees.read(tmp_path / "outer").files)
    assert "inner/src/demo/__init__.py" in found
    assert "inner/.env" not in found


def test_a_git_that_cannot_say_is_an_error_with_its_words(
    bench: Bench, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (project / ".git" / "index").write_bytes(b"not an index, but long enough to be one")
    with pytest.raises(EnvironmentFailedError, match="ls-files fails") as failed:
        plan(bench, project)
    assert "bad signature" in (failed.value.detail or "")
    (project / ".git" / "index").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(EnvironmentFailedError, match="no git on PATH"):
        plan(bench, project)
    monkeypatch.undo()
    (project / ".git").rename(project / "git")
    for led in ("gitdir: /nowhere/at/all\n", "gitdir: git\0\n", "nothing"):
        write(project / ".git", led)
        with pytest.raises(EnvironmentFailedError, match="cannot be read"):
            plan(bench, project)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_repository_that_cannot_be_read_is_an_error(project: Path) -> None:
    (project / ".git").chmod(0)
    try:
        with pytest.raises(EnvironmentFailedError, match="cannot be read"):
            trees.read(project)
    finally:
        (project / ".git").chmod(0o700)


def test_a_copy_of_a_repository_with_longer_names(bench: Bench, project: Path, tmp_path: Path) -> None:
    (project / ".git").rename(tmp_path / "shorter")
    call(project, "init", "-q", "--object-format=sha256")
    call(project, "add", "-A")
    call(project, "commit", "-qm", "one")
    call(project, "tag", "v1.5")
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    bench.open(project).plan().copy(copy)
    assert call(copy, "describe", "--tags", "--dirty") == "v1.5"
    assert (copy / ".git").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["HEAD", "index", "config", "commondir", "objects/info/alternates"])
def test_files_without_an_end_in_a_repository(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(git, "_SECONDS", 1)
    monkeypatch.setattr(git, "_MEMORY", 256 * 1024**2)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (project / ".git" / name).unlink(missing_ok=True)
        make(project / ".git" / name)
        try:
            assert not any(each.endswith(".env") for each in trees.read(project).files)
        except EnvironmentFailedError as error:
            assert "git repository" in error.message


@as_root
def test_a_checkout_of_another_account(bench: Bench, project: Path) -> None:
    call(project, "tag", "v2.5")
    before = plan(bench, project)
    for path in (project, *project.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    assert plan(bench, project) == before
    assert not any(name.endswith(".env") for name in before[0])


@as_root
def test_a_repository_of_a_third_account_has_no_say(project: Path) -> None:
    os.chown(project / ".git", STRANGER, STRANGER)
    with pytest.raises(EnvironmentFailedError, match="belongs to another user"):
        trees.read(project)
    above = project.parent / ".git"
    (project / ".git").rename(above)
    with pytest.raises(EnvironmentFailedError, match="belongs to another user"):
        trees.read(project)
    project.parent.chmod(0o1777)
    assert git.find(project) is None
    for make in (os.mkfifo, lambda path: path.write_text("nothing"), lambda path: path.symlink_to("/nowhere")):
        shutil.rmtree(above) if above.is_dir() else above.unlink()
        make(above)
        os.chown(above, STRANGER, STRANGER, follow_symlinks=False)
        assert git.find(project) is None


@pytest.mark.uv
def test_a_version_before_and_after_the_first_commit(bench: Bench, trap: tuple[Path, Path], tmp_path: Path) -> None:
    program, sprung = trap
    project = bench.project(build=BY_GIT)
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace('version = "1.0"\n', 'dynamic = ["version"]\n'))
    write(project / ".gitattributes", "*.py filter=planted diff=planted\n")
    write(bench.directory / "unrelated.txt", "in the same repository\n")
    call(project, "init", "-q")
    (tmp_path / "copy").mkdir()
    bench.open(project).plan().copy(tmp_path / "copy")
    assert "No commits yet" in call(tmp_path / "copy", "status", "--branch", "--porcelain"), "what builds can ask git there, too"
    call(project, "add", "-A")
    call(project, "commit", "-qm", "one")
    call(project, "tag", "v2.5")
    for kind, settings in PLANTED.items():
        if "lazy" not in kind:
            plant(project, settings, program)
    before = snapshot(project)
    assert installed(bench.provide(project)) == {"demo": "2.5"}
    assert snapshot(project) == before
    assert not sprung.exists()


@pytest.mark.uv
def test_no_verb_runs_what_a_repository_names(bench: Bench, world: World, trap: tuple[Path, Path]) -> None:
    program, sprung = trap
    code = "from nectar import handler\n\n@handler\ndef answer(comp):\n    return 1\n"
    project = bench.project(code=code, more='[tool.uv]\ncache-keys = [{ file = "pyproject.toml" }, { git = { commit = true } }]\n')
    write(project / ".gitattributes", "*.py filter=planted diff=planted\n")
    call(project, "init", "-q")
    call(project, "add", "-A")
    for number in ("one", "two"):
        call(project, "commit", "-qm", number, "--allow-empty")
    lose_history(project)
    for settings in PLANTED.values():
        plant(project, settings, program)
    os.utime(project / "src" / "demo" / "__init__.py", (1, 1))
    for verb in (["test", project], ["launch", project, "demo"], ["view", "demo"], ["doctor"], ["restart", "demo"], ["gc"]):
        world.run(*verb, code=None if verb == ["doctor"] else 0)
        assert not sprung.exists(), verb
