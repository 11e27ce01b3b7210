"""What a person pointed at: a project's directory, a file, a wheel, an sdist, or something on the index."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nectar.errors import ConflictError, NotFoundError, UsageError
from nectar.frozen import dataclass, field, replace
from nectar.home import NAME_PATTERN, NECTAR, make_absolute
from nectar.manage.files.tables import list_of_text
from nectar.manage.source import artifact, extras, package, pyproject, script
from nectar.manage.source.plan import Plan
from nectar.manage.uv import configuration, logins, passing
from nectar.settings import Settings, is_variable_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nectar.errors import NectarError
    from nectar.manage.wall.grants import Grants

Kind = Literal["package", "file", "wheel", "sdist", "requirement"]
_SDISTS = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A handler before it has an environment.

    :ivar path: absolute; of a requirement, nothing that is there.
    :ivar name: the default name for it: the project's, or a file's stem.
    :ivar settings: from ``[tool.nectar]``.
    :ivar requirement: of a requirement, its text, with ``***`` in place of a login.
    :ivar extras: what a person chose beyond what ``[tool.nectar]`` does; of a requirement, they stand in its text.
    :ivar login: that one; it is kept where the handler's variables are.
    :ivar python: what ``--python`` asked for.
    :ivar downloads: whether uv may fetch a Python.
    :ivar offline: whether uv must do without a network.
    :ivar shell: what decided of the shell that its environment was asked for in; None where nobody noted it.
    :ivar no_build: whether nothing may be built but what uv builds by itself.
    :ivar build_env: names of the shell's variables that builds get besides what all get.
    :ivar grants: what the handler is granted behind its wall; None where it has none.
    """

    kind: Kind
    path: Path
    name: str
    settings: Settings = field(default_factory=Settings)
    requirement: str | None = None
    extras: tuple[str, ...] = ()
    login: str | None = field(default=None, repr=False)
    python: str | None = None
    downloads: bool = False
    offline: bool = False
    no_build: bool = False
    build_env: tuple[str, ...] = ()
    shell: dict[str, str] | None = field(default=None, compare=False)
    grants: Grants | None = field(default=None, compare=False)

    @property
    def directory(self) -> Path:
        """In which the handler's processes run."""
        if self.kind == "requirement":
            return Path("/")
        return self.path if self.kind == "package" else self.path.parent

    @property
    def shown(self) -> str:
        """The handler as a person named it."""
        chosen = f"[{','.join(self.extras)}]" if self.extras else ""
        return self.requirement or f"{self.path}{chosen}"

    def to_mapping(self) -> dict[str, Any]:
        """What :func:`reopen` opens again; it holds no content, and no login.

        :returns: ``kind`` (as :data:`Kind`), ``path`` (absolute), ``requirement`` and ``python`` (texts or None), ``downloads`` and
            ``offline`` (booleans); and where there are some ``extras`` and ``build_env`` (lists of names), ``shell`` (variables),
            ``no_build`` (true).
        """
        since_0_1_0 = {"extras": list(self.extras), "build_env": list(self.build_env), "shell": self.shell}
        return {
            "kind": self.kind,
            "path": str(self.path),
            "requirement": self.requirement,
            "python": self.python,
            "downloads": self.downloads,
            "offline": self.offline,
            **{name: value for name, value in since_0_1_0.items() if value not in ([], None)},
            **({"no_build": True} if self.no_build else {}),
        }

    def plan(self, *, but: tuple[Path, ...] = ()) -> Plan:
        """What its environment would be made of now.

        :param but: directories that are never source.
        :raises EnvironmentFailedError: it cannot be said.
        :raises ConflictError: there is a wall, and something of it lies elsewhere and is not granted.
        """
        if self.grants is not None:
            return self._plan_alone(self.grants, but)
        return self._plan(but)

    def behind(self, grants: Grants | None) -> Source:
        """The same for a handler behind a wall, with what it is granted there.

        Then nothing that it may write goes into its build, no link brings along what lies outside of it, and nothing else does that is not
        granted to be read: else it would see by way of the build what it must not.
        """
        return replace(self, grants=grants)

    def _plan_alone(self, grants: Grants, but: tuple[Path, ...]) -> Plan:
        plan = self._plan((*but, *map(Path, grants.write)), alone=True)
        for place in plan.elsewhere:
            if not self.may_take(place):
                raise self.refuse(place)
        return plan

    def may_take(self, place: Path, more: Iterable[Path] = ()) -> bool:
        """Whether a build behind a wall may take something that lies at a place: in its project, or granted.

        :param place: without links.
        :param more: places that it may take besides.
        """
        own = [Path(os.path.realpath(self.path))] if self.kind == "package" else []
        granted = () if self.grants is None else map(Path, self.grants.paths)
        return any(place.is_relative_to(each) for each in (*own, *granted, *more))

    def refuse(self, place: Path) -> ConflictError:
        """Why it takes nothing from there."""
        return ConflictError(
            f"What it is built of lies elsewhere, and is not granted to the handler: {place}.",
            where=self.shown,
            hint=f"If it may: --allow {shlex.quote(f'read={place}')}",
        )

    def _plan(self, but: tuple[Path, ...], *, alone: bool = False) -> Plan:
        if self.kind == "package":
            return package.plan(self.path, python=self.python, chosen=self.extras, but=but, alone=alone)
        if self.kind == "file":
            return script.plan(self.path, python=self.python, but=but, alone=alone)
        if self.kind == "requirement":
            return artifact.plan_requirement(self.requirement or "", python=self.python)
        return artifact.plan_file(self.path, python=self.python, chosen=self.extras)


def open_source(
    handler: str | Path | None,
    *,
    requirement: str | None = None,
    chosen: Iterable[str] = (),
    python: str | None = None,
    downloads: bool = False,
    offline: bool = False,
    no_build: bool = False,
    build_env: Iterable[str] = (),
) -> Source:
    """Say what it is that a person pointed at.

    :param handler: a path, with extras behind it or not, or None with ``requirement``.
    :param chosen: more extras.
    :raises NotFoundError: nothing is there, or a directory without ``pyproject.toml``.
    :raises EnvironmentFailedError: a project that cannot be a handler; the hint has the lines to add.
    :raises UsageError: it is none of what can be a handler, or its settings are wrong.
    """
    options: dict[str, Any] = {"python": python, "downloads": downloads, "offline": offline, "no_build": no_build}
    options |= {"build_env": require_buildable(build_env), "shell": configuration.select_deciding(os.environ)}
    if requirement is not None:
        if handler is not None:
            raise UsageError("Give a path or --requirement, not both.")
        name = artifact.requirement_name(requirement)
        requirement, login = logins.part(extras.add(requirement, chosen), os.environ)
        return Source(kind="requirement", path=Path(f"/{name}"), name=name, requirement=requirement, login=login, **options)
    if not handler:
        raise UsageError("Say what to run: a directory, a .py file, a wheel or an sdist, or --requirement.")
    written, behind = extras.part_path(make_absolute(handler))
    path = _absolute(written)
    options["extras"] = extras.join((*behind, *chosen))
    if not path.exists():
        raise _nothing_at(path, handler)
    kind, name, settings = _identify(path)
    if kind == "file" and (settings.extras or options["extras"]):
        hint = "What it needs is listed as dependencies in its inline metadata."
        raise UsageError("A single file has no extras.", where=str(path), hint=hint)
    return Source(kind=kind, path=path, name=_name(name), settings=settings, **options)


def _identify(path: Path) -> tuple[Kind, str, Settings]:
    """What lies at a path, its name, and its settings.

    :raises UsageError: it is none of what can be a handler.
    """
    if path.is_dir():
        project = pyproject.open_handler(path)
        return "package", project.name, project.settings
    if path.suffix == ".py":
        return "file", path.stem, script.read_metadata(path).settings
    if path.suffix == ".whl":
        return "wheel", artifact.wheel_name(path), Settings()
    if path.name.endswith(_SDISTS):
        return "sdist", artifact.sdist_name(path), Settings()
    raise UsageError(
        "This is no handler: one is a directory with a pyproject.toml, a .py file, a wheel or an sdist.",
        where=str(path),
    )


def _nothing_at(path: Path, handler: str | Path) -> NectarError:
    if "://" in str(handler):  # and is not repeated: a password may be in it
        return UsageError("This is an address, and no path.", hint="Give it as a requirement: --requirement 'NAME @ ADDRESS'.")
    return NotFoundError("There is nothing at this path.", where=str(path), hint="nectar new makes a handler to begin with.")


def reopen(record: dict[str, Any], *, login: str | None = None) -> Source:
    """Open again, as it is now, what a record of :meth:`Source.to_mapping` names.

    :param login: what was kept beside it.
    """
    requirement = record.get("requirement")
    opened = open_source(
        None if requirement is not None else record.get("path"),
        requirement=requirement,
        chosen=list_of_text(record.get("extras")),
        python=record.get("python"),
        downloads=record.get("downloads", False),
        offline=record.get("offline", False),
        no_build=record.get("no_build", False),
        build_env=record.get("build_env", ()),
    )
    return replace(opened, login=opened.login or login)  # 0.1.0 wrote it into the record


def recall(record: dict[str, Any], *, login: str | None = None) -> Source:
    """What a record of :meth:`Source.to_mapping` names, without a look at what is there now; its settings are not known.

    :param login: what was kept beside it.
    :raises UsageError: it is of no kind that this version knows.
    """
    try:
        options = {name: record[name] for name in ("kind", "requirement", "python", "downloads", "offline")}
        path = Path(record["path"])
        options |= {"no_build": record.get("no_build", False)}
        options |= {"build_env": tuple(record.get("build_env", ())), "shell": record.get("shell")}
    except (KeyError, TypeError):
        raise UsageError("What it was launched from is not recorded.", hint="Launch it again.") from None
    if isinstance(options["requirement"], str):
        with suppress(UsageError):  # what cannot be read now was built once
            options["requirement"], own = logins.part(options["requirement"], os.environ)
            login = own or login
    chosen = tuple(list_of_text(record.get("extras")))  # of which 0.1.0 knew nothing
    return Source(path=path, name=_name(path.stem), extras=chosen, login=login, **options)


def require_buildable(names: Iterable[str]) -> tuple[str, ...]:
    """The names of variables that builds are to get.

    :raises UsageError: one is no name of a variable, or of one that would select another project or Python.
    """
    for name in names:
        if not is_variable_name(name):
            raise UsageError("--build-env takes the name of a variable of this shell.", where=repr(name))
        if passing.selects(name):
            raise UsageError(f"No build gets {name}: the handler's project says which Python and which environment it is for.")
    return tuple(dict.fromkeys(names))


def _absolute(path: Path) -> Path:
    """The path as the person wrote it, without ``..``, where that leads to the same place."""
    path = make_absolute(path)
    plain = Path(os.path.normpath(path))
    led = os.path.realpath(path)
    return plain if os.path.realpath(plain) == led else Path(led)


def _name(text: str) -> str:
    """A name for the handler from something that need not be one."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:64]
    text = re.sub(r"\.{2,}", ".", text)
    return text if NAME_PATTERN.fullmatch(text) else f"{NECTAR}_handler"
