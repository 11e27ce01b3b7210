"""What an operator can grant a handler behind a wall, and what nobody can; and who gets a wall at all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import ConflictError, NectarError, UsageError
from nectar.home import Home
from nectar.manage.daemon.assignment import Order
from nectar.manage.daemon.given import Given
from nectar.manage.files import devices
from nectar.manage.handlers import granted, registry
from nectar.manage.handlers.granted import NotGrantedError
from nectar.manage.handlers.registry import Record
from nectar.manage.source.source import open_source
from nectar.manage.uv import configuration
from nectar.manage.wall import paths
from nectar.manage.wall.grants import Grants
from nectar.settings import Settings
from tests.mistakes.table import WHOLE

if TYPE_CHECKING:
    from nectar.manage.source.source import Source


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A handler's source with things to grant in it and beside it."""
    source = tmp_path / "proj"
    for directory in ("corpus/deep", "out", ".git", "../other/corpus", "../secrets"):
        (source / directory).mkdir(parents=True)
    for file in ("h.py", "words.txt", "../other/other.py"):
        (source / file).write_text("")
    (source / "way").symlink_to("corpus")
    (source / "out_of_it").symlink_to("../secrets")
    (source / "nowhere").symlink_to("absent")
    os.mkfifo(source / "pipe")
    return source


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "bee-hive")
    made.create()
    with registry.change(made) as records:
        other = {"kind": "package", "path": str(tmp_path / "other")}
        records["other"] = Record(source=other, handler=other["path"])
    return made


def source_of(place: Path, **settings: Any) -> Source:
    from nectar.frozen import replace

    return replace(open_source(place / "h.py"), settings=Settings.from_mapping(settings))


def settle(home: Home, source: Source, *allow: str) -> Grants:
    wall = granted.decide(source, True, allow, {}, where="--allow")
    assert wall is not None
    granted.check(home, "h", Order(source=source, wall=wall))
    return wall


def test_what_is_granted_is_where_it_leads(home: Home, place: Path) -> None:
    source = source_of(place)
    wall = settle(
        home, source, "network", "gpu", "read=./corpus", "read=way/deep", "write=out", f"read={place}/words.txt", "network"
    )
    assert wall == Grants(network=True, gpu=True, read=(f"{place}/corpus", f"{place}/words.txt"), write=(f"{place}/out",)), (
        "what lies in another grant is in that"
    )
    assert settle(home, source) == Grants()
    assert granted.decide(source, True, wall.to_texts(), {}, where="allow") == wall
    assert settle(home, source, "read=../secrets") == Grants(read=(str(place.parent / "secrets"),)), "that is plain to see"


def test_a_home_is_no_grant_and_what_lies_in_it_is(home: Home, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place.parent))
    assert settle(home, source_of(place), "read=~/secrets") == Grants(read=(str(place.parent / "secrets"),))
    for text, how in (("read=~", "is"), ("read=..", "is"), ("read=../..", "holds")):
        elsewhere = Home(place / "elsewhere")  # else it would hold the data dir, of which is told first
        with pytest.raises(UsageError, match=f"It {how} your home directory, which is never granted"):
            settle(elsewhere, source_of(place), text)


BAD = [
    pytest.param(
        ["read=absent"], 3, "nothing at this path|--allow: read=absent: {place}/absent|meant from the handler's source", id="absent"
    ),
    pytest.param(["write=/absent/path"], 3, "nothing at this path|--allow: write=/absent/path", id="absent, absolute"),
    pytest.param(["read=nowhere"], 3, "nothing at this path", id="a link to nothing"),
    pytest.param(["read=~nobody-of-that-name/x"], 2, "There is no such user.", id="nobody's home"),
    pytest.param(["read=/"], 2, "the whole system", id="root"),
    pytest.param(["read=../../../../../../../../.."], 2, "the whole system", id="root, relative"),
    pytest.param(["read={data}"], 2, "It is the data dir", id="data dir"),
    pytest.param(["write={data}/nectar"], 2, "It lies in the data dir", id="in the data dir"),
    pytest.param(["read={base}"], 2, "It holds the data dir", id="holds the data dir"),
    pytest.param(["read=/proc"], 2, "of processes and devices", id="processes"),
    pytest.param(["read=/proc/self/environ"], 2, "of processes and devices", id="a process"),
    pytest.param(["write=/dev/shm"], 2, "of processes and devices", id="devices"),
    pytest.param(["read=../other"], 2, "It is the source of the handler 'other'", id="another's source"),
    pytest.param(["read=../other/corpus"], 2, "It lies in the source of the handler 'other'", id="in another's source"),
    pytest.param(
        ["read=out_of_it"], 2, "leads out of the source, by a link: to {base}/secrets|read={base}/secrets", id="a link out"
    ),
    pytest.param(["read=./out_of_it/."], 2, "leads out of the source", id="a link out, written otherwise"),
    pytest.param(["write=."], 2, "It holds the handler's own source", id="its own source"),
    pytest.param(["write=h.py"], 2, "It is the handler's own source", id="itself"),
    pytest.param(["write=/usr/local"], 2, "It lies in what runs outside of the wall", id="the system"),
    pytest.param(["write={prefix}"], 2, "what runs outside of the wall", id="nectar"),
    pytest.param(["read=pipe"], 2, "Only directories and files are granted", id="a pipe"),
    pytest.param(["read=socket"], 2, "Only directories and files are granted", id="a socket"),
    pytest.param(["netwrok"], 2, "'netwrok' is nothing that can be granted.|Did you mean 'network'?", id="misspelt"),
    pytest.param(["read=out", "write=out"], 2, "read={place}/out contradicts write={place}/out", id="both"),
    pytest.param(["read=corpus/deep", "write=corpus"], 2, "contradicts write={place}/corpus", id="read in write"),
    pytest.param(["read=h.py/x"], 3, "nothing at this path|read=h.py/x", id="below a file"),
    pytest.param(["read=" + "x" * 5000], 2, "cannot be followed: File name too long", id="too long"),
]


@pytest.mark.parametrize(("allow", "code", "said"), BAD)
def test_what_cannot_be_granted_is_told_with_its_place(home: Home, place: Path, allow: list[str], code: int, said: str) -> None:
    names = {"place": str(place), "base": str(place.parent), "data": str(home.data_dir), "prefix": sys.prefix}
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(place)  # the address of a socket may be no longer than 107 bytes
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        with pytest.raises(NectarError) as told:
            settle(home, source_of(place), *(text.format(**names) for text in allow))
    error = told.value
    assert error.exit_code == code
    words = f"{error.message}\n{error.where}\n{error.hint}"
    assert all(part.format(**names) in words for part in said.split("|")), words
    assert error.where is not None


def test_what_is_mounted_in_a_grant_counts(home: Home, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "corpus" / "inner dir").mkdir()
    line = f"36 35 0:5 / {place}/corpus/inner\\040dir rw - ext4 /dev/x rw"
    monkeypatch.setattr("nectar.features.mounts", lambda: [line])
    assert devices.find_mounts(f"{place}/corpus") == [f"{place}/corpus/inner dir"]
    assert settle(home, source_of(place), "read=corpus").read
    monkeypatch.setattr("nectar.manage.wall.paths.is_virtual", lambda device: True)
    with pytest.raises(UsageError, match="of processes and devices"):
        settle(home, source_of(place), "read=corpus")


def test_a_name_by_hard_link_is_the_same_file(home: Home, place: Path) -> None:
    with registry.change(home) as records:
        records["single"] = Record(source={"kind": "file", "path": str(place.parent / "other" / "other.py")})
    os.link(place.parent / "other" / "other.py", place / "words.md")
    with pytest.raises(UsageError, match="It is the source of the handler 'single'"):
        settle(home, source_of(place), "read=words.md")


def test_a_source_in_the_data_dir_has_no_wall(home: Home) -> None:
    file = home.data_dir / "mine" / "h.py"
    file.parent.mkdir()
    file.write_text("")
    with pytest.raises(UsageError, match="The source lies in the data dir") as told:
        settle(home, open_source(file))
    assert told.value.where == str(file)
    granted.check(home, "h", Order(source=open_source(file)))


def test_nobody_runs_what_another_may_have_written(home: Home, place: Path) -> None:
    with registry.change(home) as records:
        records["writer"] = Record(sandbox=Grants(write=(str(place.parent),)).to_mapping())
    for wall in (None, Grants()):
        with pytest.raises(ConflictError, match="The handler 'writer' may write there"):
            granted.check(home, "h", Order(source=open_source(place / "h.py"), wall=wall))
    with pytest.raises(ConflictError):
        granted.check(home, "writer", Order(source=open_source(place / "h.py")))  # it may have written that itself
    with registry.change(home) as records:
        records["writer"] = Record(sandbox=Grants(write=(f"{place}/out",)).to_mapping())
    variables = place / "out" / "variables"
    variables.write_text("LD_PRELOAD=out/made.so\n")
    granted.check(home, "h", Order(source=open_source(place / "h.py")))
    with pytest.raises(ConflictError, match="The handler 'writer' may write there") as told:
        granted.check(home, "h", Order(source=open_source(place / "h.py"), given=Given(files=(str(variables),))))
    assert told.value.where == str(variables)


def test_no_file_of_variables_lies_where_the_handler_could_have_it_be_another(home: Home, place: Path) -> None:
    (place / "../secrets/key").write_text("KEY=secret\n")
    (place / "out/variables").symlink_to("../../secrets/key")
    (place / "out/deep").symlink_to("../../secrets")
    (place / "mine").symlink_to("corpus/../out/variables")  # the operator's
    source, grants = open_source(place / "h.py"), Grants(write=(f"{place}/out",))
    for file in ("out/variables", "out/deep/key", "mine"):
        order = Order(source=source, given=Given(files=(f"{place}/{file}",)))
        granted.check(home, "h", order._replace(wall=Grants()))
        with pytest.raises(ConflictError, match="could have any file of yours read") as told:
            granted.check(home, "h", order._replace(wall=grants))
        assert told.value.where == f"{place}/{file}"
        with registry.change(home) as records:
            records["writer"] = Record(sandbox=grants.to_mapping())
        with pytest.raises(ConflictError, match="The handler 'writer' may write there"):
            granted.check(home, "h", order)
        with registry.change(home) as records:
            del records["writer"]


def test_nobody_is_granted_what_another_could_have_lead_elsewhere(home: Home, place: Path) -> None:
    source = source_of(place)
    with registry.change(home) as records:
        records["writer"] = Record(sandbox=Grants(write=(f"{place}/corpus",), read=(f"{place}/out",)).to_mapping())
    for text in ("read=corpus", "write=corpus", "read=out", "write=out"):
        settle(home, source, text)
    with pytest.raises(ConflictError, match="The handler 'writer' may write in ") as told:
        settle(home, source, "read=corpus/deep")
    assert told.value.where == f"{place}/corpus/deep"
    with registry.change(home) as records:
        records["reader"] = Record(sandbox=Grants(read=(f"{place}/corpus/deep",)).to_mapping())
    with pytest.raises(ConflictError, match="which this one could have lead elsewhere") as told:
        settle(home, source, "write=corpus")
    assert told.value.where == f"write={place}/corpus"


NEEDS = ["network", "read=./corpus", "write=./out", "gpu"]


@pytest.mark.parametrize(
    ("allow", "missing"),
    [
        ([], NEEDS),
        (["network", "read=corpus/deep", "read=out"], ["read=./corpus", "write=./out", "gpu"]),
        (["network", "write=corpus", "write=out", "gpu"], []),
        (["network", "read=corpus", "write=out", "gpu"], []),
    ],
)
def test_less_than_is_needed_is_refused_with_the_flags(home: Home, place: Path, allow: list[str], missing: list[str]) -> None:
    source = source_of(place, needs=NEEDS)
    if not missing:
        assert settle(home, source, *allow)
        return
    with pytest.raises(NotGrantedError) as told:
        settle(home, source, *allow)
    assert told.value.missing == missing
    assert told.value.message == f"The handler needs what it is not granted: {', '.join(missing)}."
    assert told.value.hint == f"If it may: {' '.join(f'--allow {each}' for each in missing)}"
    assert told.value.exit_code == 4
    granted.check(home, "h", Order(source=source))  # without a wall it is as it was


def test_what_is_needed_and_leads_out_of_the_source_is_granted_by_its_own_name(home: Home, place: Path) -> None:
    needs = ["read=out_of_it", "read=way/deep", "read=/usr", "read=absent"]
    secrets = f"{place.parent}/secrets"
    with pytest.raises(NotGrantedError) as told:
        settle(home, source_of(place, needs=needs), "read=corpus", "read=/usr")
    assert told.value.missing == ["read=out_of_it", "read=absent"]
    wall = settle(home, source_of(place, needs=needs[:-1]), f"read={secrets}", "read=corpus", "read=/usr")
    named = {f"{place}/out_of_it": secrets, f"{place}/way/deep": f"{place}/corpus/deep", f"{place}/corpus": f"{place}/corpus"}
    assert paths.name_inside(needs, wall, place) == named
    (place.parent / "link").symlink_to("proj")
    named = {name.replace("/proj/", "/link/"): led for name, led in named.items()}
    assert paths.name_inside(needs, wall, place.parent / "link") == named


def test_what_was_granted_is_looked_at_again(home: Home, place: Path) -> None:
    source = source_of(place)
    wall = settle(home, source, "read=corpus", "write=out")
    (place / "corpus").rename(place / "elsewhere")
    with pytest.raises(NectarError, match="What is granted cannot be reached: No such file or directory") as told:
        granted.check(home, "h", Order(source=source, wall=wall))
    assert (told.value.exit_code, told.value.where) == (3, f"read={place}/corpus")
    (place / "corpus").symlink_to("/etc")
    with pytest.raises(ConflictError, match="leads elsewhere by now, by a link: to /etc"):
        granted.check(home, "h", Order(source=source, wall=wall))


@pytest.fixture
def repository(place: Path) -> Path:
    """A project in a working copy of git, with links to what else is there, and to what is nobody's to see."""
    git = ["git", "-C", str(place.parent)]
    subprocess.run([*git, "init", "-q"], check=True, timeout=60)
    (place.parent / ".gitignore").write_text("secrets/\n")
    (place.parent / "secrets" / "key.py").write_text("KEY = 1\n")
    (place / "leak.py").symlink_to("../secrets/key.py")
    (place / "leaks").symlink_to("../secrets")
    (place / "h.py").write_text("import leak\n")
    (place / "pyproject.toml").write_text(WHOLE)
    return place


@pytest.mark.parametrize(
    ("handler", "leaks"), [("h.py", {"src/_nectar_file/modules/leak.py"}), (".", {"leak.py", "leaks/key.py", "out_of_it/key.py"})]
)
def test_a_link_brings_nothing_along_from_elsewhere(repository: Path, handler: str, leaks: set[str]) -> None:
    source = open_source(repository / handler)
    pieces, alone = source.plan().tree.pieces, source.behind(Grants()).plan().tree
    assert pieces.keys() - alone.pieces.keys() == leaks
    assert {pieces[name].read() for name in leaks} == {b"KEY = 1\n"}
    assert any("secrets/key.py, which lies outside the project" in line for line in alone.left_out)


def test_what_a_handler_may_write_is_no_part_of_its_build(repository: Path) -> None:
    source = open_source(repository).behind(Grants(write=(f"{repository}/out",)))
    before = source.plan().digests()
    (repository / "out" / "made.py").write_text("x = 1\n")
    (repository / "out" / "way").symlink_to("../corpus")
    assert source.plan().digests() == before != open_source(repository).plan().digests()


def test_what_else_is_built_is_granted_or_not_taken(repository: Path) -> None:
    library = repository.parent / "library"
    library.mkdir()
    (library / "pyproject.toml").write_text('[project]\nname = "library"\nversion = "1"\n')
    at = '[tool.uv.sources]\nlibrary = { path = "../library" }\n'
    (repository / "pyproject.toml").write_text(WHOLE.replace("dependencies = []", 'dependencies = ["library"]') + at)
    source = open_source(repository)
    assert "library/pyproject.toml" in source.plan().tree.pieces
    with pytest.raises(ConflictError, match=f"is not granted to the handler: {library}") as told:
        source.behind(Grants()).plan()
    assert told.value.hint == f"If it may: --allow read={library}"
    assert "library/pyproject.toml" in source.behind(Grants(read=(str(library),))).plan().tree.pieces


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ('find-links = ["{elsewhere}"]', True),
        ('find-links = ["../secrets"]', True),
        ('find-links = ["corpus", "https://example.com/files"]', False),
        ('index-url = "FILE://{elsewhere}"', True),
        ('extra-index-url = ["file://{elsewhere}"]', True),
        ('index = [{{ name = "x", url = "file://localhost{elsewhere}" }}, {{ url = "https://example.com/simple" }}]', True),
        ("index = 1", False),
    ],
)
def test_an_index_elsewhere_is_granted_or_not_taken(repository: Path, settings: str, taken: bool) -> None:
    elsewhere = repository.parent / "secrets"
    settings = settings.format(elsewhere=elsewhere)
    (repository / "uv.toml").write_text(settings)
    (repository / "h.py").write_text(f"# /// script\n# [tool.uv]\n# {settings}\n# ///\n")
    for handler in (".", "h.py"):
        source = open_source(repository / handler)
        source.plan()
        if taken or (handler == "h.py" and "corpus" in settings):  # beside a file lies what is not its own
            with pytest.raises(ConflictError, match="is not granted to the handler"):
                source.behind(Grants()).plan()
        source.behind(Grants(read=(str(elsewhere), f"{repository}/corpus"))).plan()


def test_an_index_that_the_operator_names_is_his_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "mine.toml").write_text('find-links = ["corpus"]\nindex = [{ url = "https://example.com" }]\n')
    environ = {
        "UV_CONFIG_FILE": f"{place}/mine.toml",
        "UV_FIND_LINKS": "out,https://x",
        "UV_INDEX": f"a=file://{place} b=https://x",
    }
    assert configuration.list_operators(environ) == [place / "corpus", place, place / "out"]


def test_more_is_added_to_what_a_handler_has(place: Path) -> None:
    source = source_of(place)
    record = Record(sandbox=Grants(read=(f"{place}/corpus",)).to_mapping())
    assert granted.add(record, source, ["network", "write=out"]) == Grants(
        network=True, read=(f"{place}/corpus",), write=(f"{place}/out",)
    )
    assert granted.add(record, source, ["write=corpus"]) == Grants(write=(f"{place}/corpus",))
    assert granted.add(record, source, []) == record.wall
    assert granted.add(Record(), source, []) is None
    with pytest.raises(ConflictError, match="It has no wall"):
        granted.add(Record(), source, ["network"])


def test_a_requirement_has_no_relative_paths(home: Home) -> None:
    source = open_source(None, requirement="some-handler==1")
    assert settle(home, source, "read=/etc/hostname", "network") == Grants(network=True, read=("/etc/hostname",))
    with pytest.raises(UsageError, match="A relative path is meant from the source, and there is none"):
        settle(home, source, "read=corpus")


@pytest.mark.parametrize(
    ("asked", "variable", "wanted"),
    [
        (None, None, False),
        (None, "", False),
        (None, "0", False),
        (None, "1", True),
        (True, None, True),
        (True, "0", True),
        (False, "1", False),
        (False, None, False),
    ],
)
def test_who_has_the_last_word(asked: bool | None, variable: str | None, wanted: bool) -> None:
    environ = {} if variable is None else {granted.VARIABLE: variable}
    assert granted.is_wanted(asked, environ) is wanted
    record = Record(handler="/h.py", status="running")
    if variable == "1":
        with pytest.raises(ConflictError) as told:
            granted.require_wall("h", record, "restart", environ)
        assert "nectar launch /h.py h --sandbox --replace" in str(told.value.hint)
    else:
        granted.require_wall("h", record, "restart", environ)
    granted.require_wall("h", Record(sandbox={}), "restart", environ)


@pytest.mark.parametrize("variable", ["yes", "true", "2", " 1"])
def test_a_variable_that_says_neither_is_refused(variable: str) -> None:
    for asked in (None, True, False):
        with pytest.raises(UsageError, match="NECTAR_SANDBOX is 1, or 0"):
            granted.is_wanted(asked, {granted.VARIABLE: variable})


def test_grants_without_a_wall_are_none(place: Path) -> None:
    for asked, environ in ((None, {}), (False, {granted.VARIABLE: "1"})):
        with pytest.raises(UsageError, match="Without a wall a handler may do all that you may"):
            granted.decide(source_of(place), asked, ["network"], environ, where="--allow")
    assert granted.decide(source_of(place), None, ["network"], {granted.VARIABLE: "1"}, where="--allow") == Grants(network=True)


def test_paths_that_are_one_place_under_two_names(place: Path) -> None:
    assert paths.is_in(place / "way" / "deep", [str(place / "corpus")]) == str(place / "corpus")
    assert paths.is_in(place / "absent", [str(place)]) == str(place)
