"""Projects that mean harm, by kind: each writes itself below a directory and says what of it is to be given to nectar."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CODE = "from nectar import handler\n\n\n@handler\ndef answer(comp):\n    return len(comp.query)\n"
BUILD = '[build-system]\nrequires = ["uv_build>=0.9,<100"]\nbuild-backend = "uv_build"\n'
SECRET = "the-operators-own-secret"
"""In the shell that runs nectar, and in a file of its user's: it must be nowhere else afterwards."""


@dataclass(frozen=True)
class Den:
    """Where one animal lives.

    :ivar place: a directory five levels deep in a clone, for it alone; its name is the animal's.
    :ivar top: of the clone.
    :ivar home: the home directory of who runs nectar.
    :ivar nectar: ``nectar/`` in the data dir.
    :ivar key: the environment of another handler.
    :ivar runtime: nectar's own side of that.
    :ivar trap: a program that leaves a file behind when it is run.
    """

    place: Path
    top: Path
    home: Path
    nectar: Path
    key: str
    runtime: str
    trap: Path

    @property
    def module(self) -> str:
        return self.place.name.replace("-", "_")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return path

    def project(self, *, fields: str = 'version = "1.0"', requires: str = ">=3.11", more: str = "", build: str = BUILD) -> Path:
        entry = f'[project.entry-points."nectar.handlers"]\nx = "{self.module}:answer"\n'
        head = f'[project]\nname = "{self.place.name}"\nrequires-python = "{requires}"\n{fields}\n'
        self.write("pyproject.toml", f"{head}{entry}{build}{more}")
        self.write(f"src/{self.module}/__init__.py", CODE)
        return self.place

    def link(self, name: str, target: str | Path) -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def git(self, *arguments: str | Path) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", self.place, *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "HOME": str(self.home.parent)},
        )

    def committed(self, **options: str) -> Path:
        """The project, as a repository with one commit."""
        self.project(**options)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.place


Animal = Callable[[Den], Path]
KINDS: dict[str, list[Animal]] = {}
"""All of them, by what they try it with."""


def hostile(kind: str) -> Callable[[Animal], Animal]:
    """Count a function among the animals of a kind."""

    def add(animal: Animal) -> Animal:
        KINDS.setdefault(kind, []).append(animal)
        return animal

    return add


def _index(*names: bytes) -> bytes:
    """A file ``.git/index`` with entries of these names."""
    entries = b""
    for name in sorted(names):
        entry = struct.pack(">10I", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + b"\x11" * 20 + struct.pack(">H", len(name)) + name
        entries += entry + b"\0" * (8 - len(entry) % 8)
    content = b"DIRC" + struct.pack(">II", 2, len(names)) + entries
    return content + hashlib.sha1(content).digest()


def _out(den: Den) -> str:
    """A file at the clone's top, by a path that leads there from the project, and to something of the operator's from its copy."""
    (den.top / ".bashrc").write_text("echo taken\n")
    return "../" * 5 + ".bashrc"


# --- cache keys ---


@hostile("keys")
def key_out_through_a_folder(den: Den) -> Path:
    _out(den)
    (den.place / "x").mkdir(parents=True)
    return den.project(requires=">=3.99", more='[tool.uv]\ncache-keys = [{ file = "x/../../../../../../.bashrc" }]\n')


@hostile("keys")
def key_to_the_registry(den: Den) -> Path:
    (den.place / "x").mkdir(parents=True)
    (den.place.parents[2] / "handlers.json").write_text("{}")
    return den.project(requires=">=3.99", more='[tool.uv]\ncache-keys = [{ file = "x/../../../../handlers.json" }]\n')


@hostile("keys")
def key_to_the_runtime(den: Den) -> Path:
    start = f"runtime/{den.runtime}/api/nectar/runtime/start.py"
    planted = den.place.parents[2] / start
    planted.parent.mkdir(parents=True)
    planted.write_text(f"import os\nos.system('{den.trap}')\n")
    (den.place / "x").mkdir(parents=True)
    return den.project(requires=">=3.99", more=f'[tool.uv]\ncache-keys = [{{ file = "x/../../../../{start}" }}]\n')


@hostile("keys")
def key_of_a_directory(den: Den) -> Path:
    return den.project(
        more='[tool.uv]\ncache-keys = [{ file = "." }, { file = "src" }, { file = "" }, { dir = "/" }, { git = true }]\n'
    )


@hostile("keys")
def key_of_everything(den: Den) -> Path:
    den.link("all", "/proc")
    # Not all of the disk: uv does as it is told, which took 14 s on one machine and more than a minute on another.
    return den.project(more='[tool.uv]\ncache-keys = [{ file = "all/**/*" }, { file = "**/../../*" }, { file = "/etc/**" }]\n')


@hostile("keys")
def key_of_odd_types(den: Den) -> Path:
    return den.project(more='[tool.uv]\ncache-keys = [3, { file = 1 }, { file = "a\\u0000b" }, { env = "A=B" }, { env = "" }]\n')


@hostile("keys")
def key_that_hangs(den: Den) -> Path:
    den.project(more='[tool.uv]\ncache-keys = [{ file = "pipe" }, { file = "../pipe" }]\n')
    os.mkfifo(den.place / "pipe")
    os.mkfifo(den.place.parent / "pipe")
    return den.place


@hostile("keys")
def key_through_a_link_to_an_environment(den: Den) -> Path:
    inner = Den(**{**vars(den), "place": den.place / den.key / "lib"})
    inner.write("python3.11/site-packages/nectar_handler.py", "POISON = 1\n")
    inner.write("bin/python", "#!/bin/sh\n")
    inner.link("a", f"../../{den.key}/lib/python3.11/site-packages")
    return inner.project(requires=">=3.99", more='[tool.uv]\ncache-keys = [{ file = "a/*.py" }]\n')


# --- git ---


@hostile("git")
def bare_repository_in_the_tree(den: Den) -> Path:
    (den.place.parents[2] / "x.txt").write_text("slipped")
    den.project()
    den.write("index", _index(b"../../../x.txt", b"pyproject.toml"))
    den.write("HEAD", "ref: refs/heads/x\n")
    den.write("refs/heads/x", "1" * 40 + "\n")
    den.write("objects/pack/.keep", "")
    den.write("config", f"[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = {den.trap}\n")
    return den.place


@hostile("git")
def index_with_names_outside(den: Den) -> Path:
    (den.place.parents[2] / "x.txt").write_text("slipped")
    den.committed()
    den.write(".git/index", _index(b"../../../x.txt", b"/etc/passwd", b".git/hooks/x", b"pyproject.toml"))
    return den.place


def _configured(den: Den, text: str, **options: str) -> Path:
    den.committed(**options)
    with (den.place / ".git" / "config").open("a") as stream:
        stream.write(textwrap.dedent(text).replace("TRAP", str(den.trap)))
    den.write(f"src/{den.module}/__init__.py", CODE + "# changed\n")  # so that git has to look at its content
    return den.place


@hostile("git")
def git_fsmonitor(den: Den) -> Path:
    return _configured(den, "[core]\nfsmonitor = TRAP\n")


@hostile("git")
def git_hooks(den: Den) -> Path:
    _configured(den, f"[core]\nhooksPath = {den.place}/hooks\n")
    for name in ("post-index-change", "post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        den.write(f"hooks/{name}", f"#!/bin/sh\n{den.trap}\n").chmod(0o755)
    return den.place


def _with_attributes(den: Den, text: str, attributes: str, **options: str) -> Path:
    den.write(".gitattributes", attributes)
    return _configured(den, text, **options)


@hostile("git")
def git_filter(den: Den) -> Path:
    return _with_attributes(den, '[filter "x"]\nclean = TRAP\nsmudge = TRAP\nrequired = true\n', "* filter=x\n")


@hostile("git")
def git_filter_process(den: Den) -> Path:
    return _with_attributes(den, '[filter "x"]\nprocess = TRAP\n', "* filter=x\n")


@hostile("git")
def git_filter_by_include(den: Den) -> Path:
    den.write("more.config", f'[filter "x"]\nclean = {den.trap}\n[diff]\nexternal = {den.trap}\n')
    return _with_attributes(den, "[include]\npath = ../more.config\n", "* filter=x\n")


@hostile("git")
def git_textconv(den: Den) -> Path:
    text = '[diff "x"]\ntextconv = TRAP\ncommand = TRAP\n[diff]\nexternal = TRAP\n[core]\npager = TRAP\n[pager]\nstatus = TRAP\n'
    return _with_attributes(den, text, "* diff=x\n")


@hostile("git")
def git_filter_and_a_version_of_git(den: Den) -> Path:
    build = '[build-system]\nrequires = ["setuptools>=77", "setuptools-scm>=8"]\nbuild-backend = "setuptools.build_meta"\n'
    text = '[filter "x"]\nclean = TRAP\n[core]\nfsmonitor = TRAP\n[gpg]\nprogram = TRAP\n'
    options = {"fields": 'dynamic = ["version"]', "build": build, "more": "[tool.setuptools_scm]\n"}
    return _with_attributes(den, text, "* filter=x\n", **options)


@hostile("git")
def git_worktree_elsewhere(den: Den) -> Path:
    return _configured(den, f"[core]\nworktree = {den.home}\n")


@hostile("git")
def git_remote_that_runs(den: Den) -> Path:
    text = """\
        [extensions]
        partialClone = origin
        [remote "origin"]
        url = ext::TRAP
        promisor = true
        [protocol "ext"]
        allow = always
        [core]
        sshCommand = TRAP
        askPass = TRAP
        alternateRefsCommand = TRAP
        [credential]
        helper = !TRAP
        [alias]
        ls-files = !TRAP
        status = !TRAP
        """
    _configured(den, text)
    (den.place / ".git" / "objects" / "info" / "alternates").write_text("/proc/self/fd\n")
    return den.place


@hostile("git")
def git_directory_elsewhere(den: Den) -> Path:
    _configured(den, "[core]\nfsmonitor = TRAP\n")
    (den.place / ".git").rename(den.place / "kept")
    den.write(".git", "gitdir: kept\n")
    return den.place


@hostile("git")
def git_submodule(den: Den) -> Path:
    inner = Den(**{**vars(den), "place": den.place / "sub"})
    den.project()
    _with_attributes(inner, '[filter "x"]\nclean = TRAP\n[core]\nfsmonitor = TRAP\n', "* filter=x\n")
    den.git("init", "--quiet")
    den.git("-c", "core.fsmonitor=false", "add", "pyproject.toml", "src")
    den.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    return den.place


# --- links ---


@hostile("links")
def link_to_the_shells_variables(den: Den) -> Path:
    den.link(f"src/{den.module}/env.txt", "/proc/self/environ")
    return den.project()


@hostile("links")
def link_to_a_key(den: Den) -> Path:
    den.link(f"src/{den.module}/key.txt", den.home / ".ssh" / "id")
    den.link(f"src/{den.module}/ssh", den.home / ".ssh")
    den.link(f"src/{den.module}/chain", "ssh/id")
    return den.project()


@hostile("links")
def link_to_a_device(den: Den) -> Path:
    den.link(f"src/{den.module}/zero", "/dev/zero")
    den.link(f"src/{den.module}/loop", "loop")
    den.link(f"src/{den.module}/tty", "/dev/tty")
    return den.project()


@hostile("links")
def link_as_the_lock(den: Den) -> Path:
    den.link("uv.lock", den.home / ".bashrc")
    return den.project()


@hostile("links")
def link_as_the_lock_that_dangles(den: Den) -> Path:
    den.link("uv.lock", den.home / ".profile")
    return den.project()


@hostile("links")
def link_where_a_backend_writes(den: Den) -> Path:
    build = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
    den.link("build", den.home / ".ssh")
    den.link(f"src/{den.module}.egg-info", den.home / ".ssh")
    return den.project(build=build)


@hostile("links")
def link_as_settings(den: Den) -> Path:
    den.link("uv.toml", den.home / ".ssh" / "id")
    den.link(".python-version", "/dev/zero")
    return den.project()


@hostile("links")
def link_as_the_project(den: Den) -> Path:
    den.project()
    (den.place / "pyproject.toml").unlink()
    den.link("pyproject.toml", "/dev/zero")
    return den.place


@hostile("links")
def link_out_and_back(den: Den) -> Path:
    den.project()
    den.link(f"src/{den.module}/back", f"../../../{den.place.name}/src")
    den.link("up", "../../../../../..")
    den.link("file.txt", f"up/../{den.home.name}/.ssh/id")
    return den.place


# --- settings of uv ---


def _with_settings(den: Den, text: str) -> Path:
    return den.project(more="[tool.uv]\n" + text)


@hostile("settings")
def fetched_python(den: Den) -> Path:
    den.write("list.json", "{}")
    text = f'python-downloads = "automatic"\npython-downloads-json-url = "file://{den.place}/list.json"\npython-preference = "only-managed"\n'
    return _with_settings(den, text)


@hostile("settings")
def cache_elsewhere(den: Den) -> Path:
    return _with_settings(den, f'cache-dir = "{den.home}/.ssh"\n')


@hostile("settings")
def cache_elsewhere_by_a_file(den: Den) -> Path:
    den.write("uv.toml", 'cache-dir = "../../../../../../.ssh"\nlink-mode = "symlink"\npython-downloads = "automatic"\n')
    return den.project()


@hostile("settings")
def cache_elsewhere_of_a_script(den: Den) -> Path:
    text = f'# /// script\n# dependencies = []\n# [tool.uv]\n# cache-dir = "{den.home}/.ssh"\n# python-downloads = "automatic"\n# ///\n'
    return den.write(f"{den.module}.py", text + CODE)


@hostile("settings")
def option_as_a_python(den: Den) -> Path:
    den.write(".python-version", f"--cache-dir={den.home}/.ssh\n")
    return den.project()


@hostile("settings")
def option_as_requires_python(den: Den) -> Path:
    return den.project(requires=f"--cache-dir={den.home}/.ssh")


@hostile("settings")
def option_as_a_script_python(den: Den) -> Path:
    return den.write(
        f"{den.module}.py", '# /// script\n# requires-python = "--help"\n# dependencies = ["--index-url=x"]\n# ///\n' + CODE
    )


@hostile("settings")
def python_of_its_own(den: Den) -> Path:
    den.write("python/bin/python3", f"#!/bin/sh\n{den.trap}\n").chmod(0o755)
    den.write(".python-version", "python/bin/python3\n")
    return den.project()


@hostile("settings")
def python_of_its_own_as_a_venv(den: Den) -> Path:
    den.write(".venv/bin/python3", f"#!/bin/sh\n{den.trap}\n").chmod(0o755)
    den.link(".venv/bin/python", "python3")
    den.write(".venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n")
    return den.project()


@hostile("settings")
def workspace_of_everything(den: Den) -> Path:
    return den.project(more='[tool.uv.workspace]\nmembers = ["../../../../../**", "/", "x/../../**"]\n')


@hostile("settings")
def path_source_outside(den: Den) -> Path:
    more = '[tool.uv.sources]\na = { path = "../../../../../../.ssh", editable = true }\nb = { git = "ext::TRAP" }\n'
    return den.project(fields='version = "1.0"\ndependencies = ["a", "b"]', more=more.replace("TRAP", str(den.trap)))


@hostile("settings")
def index_of_the_home(den: Den) -> Path:
    return _with_settings(den, f'find-links = ["../../../../../../.ssh", "{den.home}"]\nindex-url = "file://{den.home}"\n')


@hostile("settings")
def backend_of_another_place(den: Den) -> Path:
    build = '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["../../../.."]\n'
    (den.place.parents[3] / "evil.py").write_text(f"import os\nos.system('{den.trap}')\n")
    return den.project(build=build)


# --- archives ---


def _wheel(den: Den, members: dict[str, bytes], *, record: str = "") -> Path:
    info = f"{den.module}-1.0.dist-info"
    base = {
        f"{den.module}.py": CODE.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {den.module}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[nectar.handlers]\nx = {den.module}:answer\n".encode(),
    }
    files = {**base, **members}
    files[f"{info}/RECORD"] = ("".join(f"{name},,\n" for name in files) + record).encode()
    path = den.write(f"{den.module}-1.0-py3-none-any.whl", b"")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@hostile("links")
def wheel_with_names_outside(den: Den) -> Path:
    return _wheel(den, {"../../../../../../../../.bashrc": b"taken", f"{den.home}/taken": b"taken"})


@hostile("links")
def wheel_that_steers_the_interpreter(den: Den) -> Path:
    data = f"{den.module}-1.0.data"
    return _wheel(den, {f"{data}/scripts/python._pth": b".\n", f"{data}/data/pyvenv.cfg": b"home = /nowhere\n"})


@hostile("links")
def wheel_with_a_record_of_devices(den: Den) -> Path:
    return _wheel(den, {}, record="/dev/zero,,\n../../../../../../../../.bashrc,sha256=x,3\n")


@hostile("links")
def wheel_that_is_none(den: Den) -> Path:
    return den.write(f"{den.module}-1.0-py3-none-any.whl", b"PK\x03\x04" + b"\0" * 100)


def _sdist(den: Den, fill: Callable[[tarfile.TarFile, str], None]) -> Path:
    path = den.write(f"{den.module}-1.0.tar.gz", b"")
    top = f"{den.module}-1.0"
    with tarfile.open(path, "w:gz") as archive:
        fill(archive, top)
        _member(archive, f"{top}/pyproject.toml", f'[project]\nname = "{den.module}"\nversion = "1.0"\n{BUILD}')
        _member(archive, f"{top}/src/{den.module}/__init__.py", CODE)
    return path


def _member(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text.encode()))


@hostile("links")
def sdist_with_names_outside(den: Den) -> Path:
    def fill(archive: tarfile.TarFile, top: str) -> None:
        _member(archive, f"{top}/PKG-INFO", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
        _member(archive, f"{top}/../../../../../../../.bashrc", "taken")

    return _sdist(den, fill)


@hostile("links")
def sdist_with_links(den: Den) -> Path:
    def fill(archive: tarfile.TarFile, top: str) -> None:
        for name, target in ((f"{top}/PKG-INFO", "/dev/zero"), (f"{top}/out", str(den.home))):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        _member(archive, f"{top}/out/.bashrc", "taken")

    return _sdist(den, fill)


# --- text ---


@hostile("keys")
def names_that_are_paths(den: Den) -> Path:
    den.project()
    text = (den.place / "pyproject.toml").read_text()
    den.write("pyproject.toml", text.replace(f'name = "{den.place.name}"', 'name = "../../../../.bashrc"'))
    return den.place


@hostile("keys")
def names_that_draw(den: Den) -> Path:
    den.project(more='[tool.nectar]\n"\\u001b[2Jcleared" = 1\n')
    return den.place


@hostile("keys")
def toml_without_end(den: Den) -> Path:
    return den.project(more="[tool.x]\nx = " + "[" * 5000 + "]" * 5000 + "\n")


@hostile("keys")
def metadata_without_end(den: Den) -> Path:
    return den.write(f"{den.module}.py", "# /// a\n" * 60_000 + CODE)


@hostile("keys")
def pipes_as_files(den: Den) -> Path:
    den.project()
    for name in ("uv.toml", ".python-version", "setup.cfg", f"src/{den.module}/data"):
        os.mkfifo(den.place / name)
    return den.place


@hostile("keys")
def script_beside_pipes(den: Den) -> Path:
    path = den.write(f"{den.module}.py", "import beside\n" + CODE)
    os.mkfifo(den.place / "beside.py")
    os.mkfifo(den.place / f"{den.module}.py.lock")
    return path


@hostile("keys")
def variables_that_load(den: Den) -> Path:
    den.write("evil.py", f"import os\nos.system('{den.trap}')\n")
    text = f'[tool.nectar.env]\nPYTHONPATH = "{den.place}"\nPYTHONSTARTUP = "evil.py"\nLD_PRELOAD = "{den.place}/x.so"\n'
    return den.project(more=text)
