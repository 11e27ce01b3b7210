"""What makes another environment, and what does not: said of real directories, without building one."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.home import Home
from nectar.manage.environment import locking, resolution
from nectar.manage.environment.survey import survey
from nectar.manage.source import plan
from nectar.manage.source.source import open_source
from nectar.manage.tree import contents
from nectar.manage.tree.pieces import Piece
from tests.environments.workbench import Bench, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CODE = "src/demo/__init__.py"
KEYS = """
[tool.uv]
cache-keys = [
    { file = "pyproject.toml" }, { file = "made/*.txt" }, { file = "../beside.txt" }, { env = "FLAVOUR" }, { dir = "data" },
]
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    return Bench(tmp_path)


@pytest.fixture
def project(bench: Bench) -> Path:
    """One with a lock, as its author would have it; what is in that counts, and not what it means."""
    place = bench.project(fields="[project.optional-dependencies]\nfast = []\n", more=KEYS)
    write(place / "uv.lock", "version = 1\n")
    write(place / "run.sh", "#!/bin/sh\n")
    write(place / "made" / "a.txt", "1\n")
    return place


def parts(bench: Bench, path: Path | None, environ: Mapping[str, str] | None = None, **options: Any) -> dict[str, str]:
    """The digests of a source that has a lock, as a launch would have them."""
    found = survey(bench.home, open_source(path, **options), os.environ if environ is None else environ)
    assert found.key == plan.key_of(found.digests)
    return dict(found.digests)


def link(place: Path, target: str) -> None:
    place.unlink()
    place.symlink_to(target)


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a file's bytes": ("source", lambda place: write(place / CODE, "def answer(comp):\n    return 2\n")),
    "a file's name": ("source", lambda place: (place / "run.sh").rename(place / "ran.sh")),
    "that a file can be executed": ("source", lambda place: (place / "run.sh").chmod(0o744)),
    "a new file": ("source", lambda place: write(place / "new.txt", "")),
    "a file that is gone": ("source", lambda place: (place / "run.sh").unlink()),
    "a link in a file's place": ("source", lambda place: link(place / "run.sh", "uv.lock")),
    "what the project says": (
        "project",
        lambda place: write(place / "pyproject.toml", (place / "pyproject.toml").read_text() + "#"),
    ),
    "the lock": ("lock", lambda place: write(place / "uv.lock", "version = 2\n")),
    "the Python": ("python", lambda place: write(place / ".python-version", "3.12\n")),
    "a file of its cache keys": ("source", lambda place: write(place / "made" / "b.txt", "")),
    "a file of them elsewhere": ("source", lambda place: write(place.parent / "beside.txt", "2\n")),
    "a directory of them": ("source", lambda place: (place / "data").mkdir()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_makes_another(bench: Bench, project: Path, what: str) -> None:
    part, change = CHANGES[what]
    before = parts(bench, project)
    change(project)
    after = parts(bench, project)
    assert before[part] != after[part]
    assert plan.key_of(before) != plan.key_of(after)


def differs(bench: Bench, project: Path, name: str, value: str) -> list[str]:
    """The parts that another variable of the shell changes."""
    before = parts(bench, project)
    after = parts(bench, project, {**os.environ, name: value})
    return [part for part in after if after[part] != before[part]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("UV_INDEX_URL", "https://example.invalid"), ("UV_NO_BINARY", "1"), ("UV_RESOLUTION", "lowest"), ("UV_CONFIG_FILE", "/none")],
)
def test_settings_of_uv_make_another(bench: Bench, project: Path, name: str, value: str) -> None:
    assert differs(bench, project, name, value) == ["index"]


@pytest.mark.parametrize(("name", "value"), [("UV_CACHE_DIR", "/c"), ("UV_OFFLINE", "1"), ("UV_INDEX_URL", ""), ("LANG", "C")])
def test_other_variables_do_not(bench: Bench, project: Path, name: str, value: str) -> None:
    assert differs(bench, project, name, value) == []


def test_a_login_does_not(bench: Bench, project: Path) -> None:
    found = {
        plan.key_of(parts(bench, project, {**os.environ, "UV_INDEX_URL": f"https://{login}example.invalid/simple"}))
        for login in ("", "user:secret@", "user:other@")
    }
    assert len(found) == 1


def test_settings_of_uv_in_files(bench: Bench, project: Path) -> None:
    environ = {**os.environ, "HOME": str(bench.directory / "home")}
    keys = [plan.key_of(parts(bench, project, environ))]

    def differs_now() -> bool:
        keys.append(plan.key_of(parts(bench, project, environ)))
        return keys[-1] not in keys[:-1]

    write(bench.directory / "home" / ".config" / "uv" / "uv.toml", 'resolution = "lowest"\n')
    assert differs_now()
    write(bench.directory / "uv.toml", 'resolution = "highest"\n')
    assert not differs_now(), "the project has settings of its own, and uv looks no further up"
    write(project / "uv.toml", 'resolution = "highest"\n')
    assert differs_now()


def test_a_variable_of_its_cache_keys(bench: Bench, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts(bench, project)
    monkeypatch.setenv("FLAVOUR", "vanilla")
    assert parts(bench, project)["source"] != before["source"]


def test_what_a_person_chose(bench: Bench, project: Path) -> None:
    before = parts(bench, project)
    assert [part for part, digest in parts(bench, project, python="3.12").items() if digest != before[part]] == ["python"]
    assert [part for part, digest in parts(bench, project, chosen=("fast",)).items() if digest != before[part]] == ["project"]
    assert parts(bench, project, downloads=True, offline=True, no_build=True, build_env=("CC",)) == before


KEPT: dict[str, Callable[[Path], object]] = {
    "times": lambda place: os.utime(place / CODE, (0, 0)),
    "who may read it": lambda place: (place / CODE).chmod(0o600),
    "bytecode": lambda place: write(place / "src/demo/__pycache__/x.cpython-311.pyc", ""),
    "a .venv": lambda place: write(place / ".venv" / "pyvenv.cfg", ""),
    "another environment": lambda place: write(place / "env" / "pyvenv.cfg", ""),
    "what was built": lambda place: write(place / "dist" / "demo-1.0.tar.gz", ""),
    "what a tool keeps": lambda place: write(place / ".pytest_cache" / "x", ""),
    "git's own": lambda place: subprocess.run(["git", "-C", str(place), "init", "-q"], check=True),
    "an empty directory": lambda place: (place / "empty").mkdir(),
    "what lies beside": lambda place: write(place.parent / "other.txt", ""),
    "a file of no cache key": lambda place: write(place.parent / "made" / "a.txt", ""),
    "the data dir": lambda place: write(place.parent / "data" / "alice" / "x.pending", ""),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_makes_no_other(bench: Bench, project: Path, what: str) -> None:
    before = parts(bench, project)
    KEPT[what](project)
    assert parts(bench, project) == before


def test_where_it_lies_makes_no_other(bench: Bench, project: Path) -> None:
    before = parts(bench, project)
    shutil.move(project, bench.directory / "elsewhere")
    assert parts(bench, bench.directory / "elsewhere") == before


def test_a_data_dir_in_the_source_does_not_count(bench: Bench, project: Path) -> None:
    before = parts(bench, project)
    bench.home = Home(project / "sandbox")
    write(bench.home.logs / "demo.log", "something\n")
    assert parts(bench, project) == before


def test_without_a_lock_there_is_no_key(bench: Bench, project: Path) -> None:
    (project / "uv.lock").unlink()
    assert survey(bench.home, open_source(project), os.environ).key is None


def wheel(place: Path, requires: str = ">=3.11") -> Path:
    with zipfile.ZipFile(place / "demo-1.0-py3-none-any.whl", "w") as packed:
        packed.writestr(zipfile.ZipInfo("demo-1.0.dist-info/METADATA"), f"Name: demo\nVersion: 1.0\nRequires-Python: {requires}\n")
    return Path(packed.filename or "")


def sdist(place: Path, requires: str = ">=3.11") -> Path:
    said = f"Name: demo\nVersion: 1.0\nRequires-Python: {requires}\n".encode()
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w") as packed:
        member = tarfile.TarInfo("demo-1.0/PKG-INFO")
        member.size = len(said)
        packed.addfile(member, io.BytesIO(said))
    file = place / "demo-1.0.tar.gz"
    file.write_bytes(gzip.compress(unpacked.getvalue(), mtime=0))
    return file


@pytest.mark.parametrize("make", [wheel, sdist])
def test_an_artifact_is_its_bytes_and_what_is_asked_of_it(bench: Bench, make: Callable[..., Path]) -> None:
    before = open_source(make(bench.directory)).plan().digests()
    again = open_source(make(bench.directory)).plan().digests()
    newer = open_source(make(bench.directory, ">=3.12")).plan()
    assert again == before
    assert {part for part, digest in newer.digests().items() if digest != before[part]} == {"project", "source", "python"}
    assert newer.asked.python.requires == ">=3.12"
    with_extra = open_source(f"{make(bench.directory)}[Fast_One]").plan().digests()
    assert {part for part, digest in with_extra.items() if digest != before[part]} == {"project"}


def test_a_requirement_is_its_text_without_a_login(bench: Bench) -> None:
    def digests(requirement: str) -> dict[str, str]:
        return open_source(None, requirement=requirement).plan().digests()

    assert digests("demo==1.0") == digests("demo==1.0")
    assert digests("demo==1.0") != digests("demo==1.1")
    assert digests("demo @ https://a:b@host/x.whl") == digests("demo @ https://c:d@host/x.whl")
    assert digests("demo[a,b]==1.0") == open_source(None, requirement="demo[a]==1.0", chosen=("b",)).plan().digests()


@pytest.fixture
def script(bench: Bench) -> Path:
    """A single file that imports one of two modules beside it."""
    write(bench.directory / "files" / "near.py", "import far\n")
    write(bench.directory / "files" / "far.py", "")
    write(bench.directory / "files" / "unused.py", "")
    return write(bench.directory / "files" / "mine.py", "# /// script\n# dependencies = []\n# ///\nimport near\n")


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("mine.py", "# /// script\n# dependencies = []\n# ///\nimport near, os\n", {"source"}),
        ("mine.py", "# /// script\n# dependencies = ['click']\n# ///\nimport near\n", {"source", "project"}),
        ("mine.py", "# /// script\n# requires-python = '>=3.12'\n# ///\nimport near\n", {"source", "project", "python"}),
        ("near.py", "import far, sys\n", {"source"}),
        ("far.py", "x = 1\n", {"source"}),
        ("mine.py.lock", "version = 1\n", {"source", "lock"}),  # with its lock goes the file as it lies
        ("unused.py", "x = 1\n", set()),
        ("pyproject.toml", "[project]\n", set()),
    ],
)
def test_a_file_is_what_it_says_and_what_it_imports(script: Path, name: str, text: str, changed: set[str]) -> None:
    before = open_source(script).plan().digests()
    write(script.with_name(name), text)
    after = open_source(script).plan().digests()
    assert {part for part in after if after[part] != before[part]} == changed


def test_the_lock_beside_a_file(bench: Bench, script: Path) -> None:
    made = open_source(script).plan()
    assert (made.has_lock, made.locking.script, made.locking.outside) == (False, None, None)
    write(script.with_name("mine.py.lock"), "version = 1\n")
    near = bench.project("lib", at="files/lib", handler=False)
    text = "# /// script\n# dependencies = ['lib']\n# [tool.uv.sources]\n# lib = { path = 'lib' }\n# ///\n"
    made = open_source(write(script, text)).plan()
    assert made.locking.outside is None, "its lock can be kept where it lies"
    assert open_source(write(script.with_name("other.py"), text)).plan().locking.outside == str(near)
    assert (made.has_lock, made.locking.script, made.locking.authors) == (False, "mine.py.lock", script.with_name("mine.py.lock"))


def test_what_uv_makes_of_the_lock_beside_a_file_makes_no_other(script: Path) -> None:
    write(script.with_name("mine.py.lock"), "version = 1\n")
    made = open_source(script).plan()
    assert made.with_lock(b"version = 1\n").digests() == made.digests()


def test_what_is_to_be_the_same_on_several_machines_has_a_lock(bench: Bench, script: Path, project: Path) -> None:
    locking.require(bench.home, open_source(project))
    (project / "uv.lock").unlink()
    given = [
        (project, f"uv lock --project {project}"),
        (script, f"uv lock --script {script}"),
        (wheel(bench.directory), "Make a project"),
    ]
    for path, hint in given:
        with pytest.raises(EnvironmentFailedError, match="needs a lock") as refused:
            locking.require(bench.home, open_source(path))
        assert (refused.value.where, str(refused.value.hint).startswith(hint)) == (str(path), True)
    write(script.with_name("mine.py.lock"), "version = 1\n")
    locking.require(bench.home, open_source(script))


@pytest.fixture
def space(bench: Bench) -> Path:
    """A member of a workspace that is built with a second one; a third only says what it is."""
    root = write(bench.directory / "space" / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["*"]\n').parent
    member = bench.project(at="space/demo", dependencies=("near",), more="[tool.uv.sources]\nnear = { workspace = true }\n")
    bench.project("near", at="space/near", handler=False)
    bench.project("third", at="space/third", handler=False)
    write(root / "uv.lock", "version = 1\n")
    return member


def test_a_workspace_counts_as_far_as_the_handler_needs_it(bench: Bench, space: Path) -> None:
    root, before = space.parent, parts(bench, space)
    write(root / "third" / "src" / "third" / "__init__.py", "x = 1\n")
    write(root / "notes.txt", "")
    assert parts(bench, space) == before
    write(root / "near" / "src" / "near" / "__init__.py", "x = 1\n")
    near = parts(bench, space)
    write(root / "third" / "pyproject.toml", (root / "third" / "pyproject.toml").read_text() + "#")
    third = parts(bench, space)
    write(root / "uv.lock", "version = 2\n")
    assert [next(part for part in each if each[part] != before[part]) for each in (near, third)] == ["source", "project"]
    assert parts(bench, space)["lock"] != before["lock"]
    made = open_source(space).plan()
    assert (made.project, made.locking.place, made.locals_, made.locking.outside) == (
        "demo",
        "uv.lock",
        ("demo", "near"),
        str(root),
    )


def test_without_a_lock_what_lies_outside_says_so(bench: Bench) -> None:
    near = bench.project("near", handler=False)
    app = bench.project(dependencies=("near",), more='[tool.uv.sources]\nnear = { path = "../near" }\n')
    assert open_source(app).plan().locking.outside == str(near)
    assert open_source(near.parent / "demo").plan().project == "demo"


def test_a_version_from_git_is_the_commit(bench: Bench) -> None:
    place = bench.project()
    text = (place / "pyproject.toml").read_text()
    write(place / "pyproject.toml", text.replace('version = "1.0"', 'dynamic = ["version"]').replace("uv_build", "hatch-vcs"))
    write(place / "uv.lock", "version = 1\n")

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.invalid")
        subprocess.run(["git", "-C", str(place), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    before = parts(bench, place)
    git("tag", "v1.0")
    tagged = parts(bench, place)
    git("commit", "-q", "--allow-empty", "-m", "second")
    found = [plan.key_of(each) for each in (before, tagged, parts(bench, place))]
    assert len(set(found)) == 3
    assert parts(bench, place)["project"] == before["project"]


def test_a_key_is_made_of_all_its_parts() -> None:
    said = {"project": "1", "source": "2", "lock": "3", "python": "4", "index": "5", "platform": "linux x86_64"}
    assert plan.key_of(said) == plan.key_of(dict(reversed(said.items()))) == "f9670c28776100852657"
    for part in said:
        assert plan.key_of({**said, part: "other"}) != plan.key_of(said)


def test_a_digest_does_not_confuse_where_a_file_ends(bench: Bench) -> None:
    place = bench.project()
    write(place / "a", "xb y")
    write(place / "b", "")
    before = open_source(place).plan().digests()
    write(place / "a", "x")
    write(place / "b", "b y")
    assert open_source(place).plan().digests() != before


def test_a_source_that_vanishes_while_it_is_read(bench: Bench, project: Path) -> None:
    made = open_source(project).plan()
    (project / "run.sh").unlink()
    with pytest.raises(FileNotFoundError):
        made.digests()


# --- a plan is asked, and nothing else


def everything(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in [directory, *directory.rglob("*")]}


def test_asking_twice_gives_the_same_and_touches_nothing(bench: Bench, project: Path) -> None:
    before = everything(bench.directory)
    made = open_source(project).plan()
    seen = made.tree.see()
    for ask in (
        made.digests,
        lambda: made.digests(seen),
        lambda: made.resolution_digest(seen),
        made.tree.see,
        lambda: made.has_lock,
    ):
        assert ask() == ask()
    assert made.digests() == made.digests(seen)
    assert open_source(project).plan() == made
    assert everything(bench.directory) == before


def test_a_lock_makes_another_plan(bench: Bench, project: Path) -> None:
    (project / "uv.lock").unlink()
    made = open_source(project).plan()
    seen = made.tree.see()
    locked = made.with_lock(b"version = 1\n")
    assert (made.has_lock, locked.has_lock) == (False, True)
    assert locked.digests(locked.see_lock(seen)) == locked.digests()
    assert {part for part, digest in locked.digests().items() if digest != made.digests()[part]} == {"lock"}
    assert locked.resolution_digest(locked.see_lock(seen)) == made.resolution_digest(seen), "what it is kept by is not what is kept"
    assert locked.with_lock(b"version = 2\n").digests()["lock"] != locked.digests()["lock"]
    write(project / "uv.lock", "version = 1\n")
    assert open_source(project).plan().digests() == locked.digests()


def test_nothing_in_it_can_be_changed(project: Path) -> None:
    made = open_source(project).plan()
    with pytest.raises(TypeError):
        made.tree.pieces["x"] = Piece(content=b"")  # type: ignore[index]
    for part, name in ((made, "project"), (made.tree, "left_out"), (made.locking, "place"), (made.asked, "extras")):
        with pytest.raises(AttributeError):
            setattr(part, name, "")


def test_what_was_copied_is_what_was_seen(bench: Bench, project: Path) -> None:
    (project / "link").symlink_to("run.sh")
    (project / "run.sh").chmod(0o755)
    made = open_source(project).plan()
    copy = bench.directory / "copy"
    copy.mkdir()
    assert made.copy(copy) == made.tree.see()
    assert {str(path.relative_to(copy)) for path in copy.rglob("*") if not path.is_dir()} == set(made.tree.pieces)


# --- what is found of a source, and kept


def keep(bench: Bench, path: Path, content: bytes) -> None:
    resolution.keep(bench.home, survey(bench.home, open_source(path), os.environ).resolution, content)


def test_a_kept_lock_is_in_the_plan_and_counts_as_used(bench: Bench, project: Path) -> None:
    (project / "uv.lock").unlink()
    bench.home.create()
    keep(bench, project, b"version = 1\n")
    (kept,) = bench.home.resolutions.glob("*.lock")
    os.utime(kept, (0, 0))
    found = survey(bench.home, open_source(project), os.environ)
    assert (found.plan.has_lock, found.has_own_lock) == (True, False)
    assert found.key == plan.key_of(found.digests) is not None
    assert kept.stat().st_mtime > 0
    assert survey(bench.home, open_source(project), os.environ, upgrade=True).key is None
    resolution.forget(bench.home, found.resolution)
    assert survey(bench.home, open_source(project), os.environ).key is None


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda place: write(place / CODE, "x = 1\n"), True),
        (lambda place: write(place / "pyproject.toml", (place / "pyproject.toml").read_text() + "#"), False),
        (lambda place: write(place / ".python-version", "3.12\n"), False),
        (lambda place: write(place / "uv.toml", ""), False),
    ],
)
def test_for_what_a_resolution_is_kept(bench: Bench, project: Path, change: Callable[[Path], object], kept: bool) -> None:
    (project / "uv.lock").unlink()
    bench.home.create()
    keep(bench, project, b"version = 1\n")
    change(project)
    assert (survey(bench.home, open_source(project), os.environ).key is not None) is kept


def test_index_settings_have_resolutions_of_their_own(bench: Bench, project: Path) -> None:
    (project / "uv.lock").unlink()
    bench.home.create()
    keep(bench, project, b"version = 1\n")
    assert survey(bench.home, open_source(project), {**os.environ, "UV_RESOLUTION": "lowest"}).key is None


def test_of_what_says_only_to_a_build_what_it_needs_all_files_decide(bench: Bench, project: Path) -> None:
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace("dependencies = []", 'dynamic = ["dependencies"]', 1))
    (project / "uv.lock").unlink()
    bench.home.create()
    keep(bench, project, b"version = 1\n")
    found = survey(bench.home, open_source(project), os.environ)
    assert found.key is not None
    assert found.plan.resolution_digest(found.seen) == open_source(project).plan().resolution_digest(found.seen)
    write(project / CODE, "x = 1\n")
    assert survey(bench.home, open_source(project), os.environ).key is None


def test_a_look_at_a_source_makes_no_data_dir_and_remembers_in_one(
    bench: Bench, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SETTLED", 0)
    (project / "big").write_bytes(b"x" * contents.LEAST)
    first = survey(bench.home, open_source(project), os.environ)
    assert not bench.home.data_dir.exists()
    bench.home.create()
    assert survey(bench.home, open_source(project), os.environ).key == first.key
    kept = json.loads(contents.place(bench.home, project).read_bytes())
    assert list(kept["files"]) == [str(project / "big")]


def test_an_editor_that_replaces_a_file_is_waited_for(bench: Bench, project: Path) -> None:
    """A file is gone when it is read, and there again at the next look; one that cannot be read at all is said to be."""
    source = open_source(project)
    tries = []

    def vanishing(piece: Piece) -> bytes:
        tries.append(piece)
        if len(tries) == 1:
            raise FileNotFoundError(2, "No such file or directory", "x")
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Piece, "read", vanishing)
        assert survey(bench.home, source, os.environ).key

    def broken(piece: Piece) -> bytes:
        raise OSError(5, "Input/output error", "/bad")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Piece, "read", broken)
        with pytest.raises(EnvironmentFailedError, match=r"cannot be read: Input/output error\."):
            survey(bench.home, source, os.environ)
