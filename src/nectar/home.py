"""The map of the disk: where everything of nectar's lies, and what a name may be.

::

    {data-dir}/
    ├── {alias}/data/computation/    one node's, created by the node; .nectar/ in it is ours
    └── nectar/                      mode 0700
        ├── handlers.json            the registry; registry.lock guards its changes
        ├── keeper.lock              held by `up --keep`
        ├── wall.json                that a wall can stand around a worker, and since when that is known
        ├── host.json                on a network file system: the machine that works here; its time is when it last did
        ├── handlers/{name}.sock     control socket; {name}.lock, held by the daemon for life; {name}.env, what --env gave;
        │                            {name}.start and {name}.turn, held by commands (see manage.turns)
        ├── logs/{name}.log          the handler's log, and {name}.jsonl, which holds the same for programs
        ├── builds/{name}.log        what uv said while an environment was built
        ├── envs/{key}/              virtual environments by content; {key}.2 where somebody changed the first
        ├── trials/{key}            a mark for each of those that `nectar test` has built and `launch` has not used
        ├── resolutions/{key}.lock   what was resolved for projects that have no lock of their own
        ├── digests/{source}.json    what the large files of a source held when they were read last
        ├── uv-cache/                uv's, only for a user without a home directory to keep it in
        └── runtime/{tag}/           nectar's own side of a handler's process
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from nectar import ownership
from nectar.errors import UnknownNameError, UsageError
from nectar.frozen import NamedTuple

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_PATTERN = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,63}", re.ASCII)
NECTAR = "nectar"
CLAIMS = ".nectar"
"""The directory for claims, inside an alias's computation directory."""


def check_name(name: str) -> str:
    """Return the name of a handler as it is.

    :raises UsageError: it is not 1 to 64 of ``A-Z a-z 0-9 . _ -``, beginning with a letter or digit, without ``..``.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a handler.",
            hint="A name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit.",
        )
    return name


def check_alias(alias: str) -> str:
    """Return the name of a node as it is.

    :raises UsageError: it is not one component of a path, or ``nectar``, which is ours.
    """
    printable = alias.isprintable() and "/" not in alias
    if not printable or alias in ("", ".", "..", NECTAR) or len(alias.encode(errors="surrogateescape")) > 255:
        raise UsageError(
            f"{alias!r} cannot be the alias of a node.",
            hint=f"An alias is the name of a directory under the data dir, other than {NECTAR!r}.",
        )
    return alias


def make_absolute(path: str | Path) -> Path:
    """A path that a person wrote, made absolute.

    :raises UsageError: it begins with a user, as in ``~eve``, whom there is not, or with the home directory of one who has none;
        or it is relative to a directory that was removed.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        if Path(path).parts[0] == "~":
            raise UsageError("There is no home directory.", where=str(path), hint="Set HOME, or give another path.") from None
        raise UsageError("There is no such user.", where=str(path)) from None
    except FileNotFoundError:
        raise UsageError("The current directory was removed.", where=str(path), hint="Give an absolute path.") from None


def find_user_home(environ: Mapping[str, str]) -> Path | None:
    """The home directory of whoever runs this; None where neither ``HOME`` nor the system's list of users names one."""
    if environ.get("HOME"):
        return make_absolute(environ["HOME"])
    import pwd

    try:
        return make_absolute(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


class Home(NamedTuple):
    """One data dir.

    :ivar data_dir: absolute.
    """

    data_dir: Path

    @classmethod
    def at(cls, data_dir: str | Path | None) -> Home:
        """The data dir that a person named, made absolute here and nowhere else; None is ``~/.bee-hive``.

        :raises UsageError: it cannot be told which that is.
        """
        if data_dir:
            return cls(make_absolute(data_dir))
        user = find_user_home(os.environ)
        if user is None:
            raise UsageError(
                "There is no home directory, and so no data dir.",
                where=f"HOME is not set, and the system does not know user {os.getuid()}",
                hint="Give one with --data-dir, or in NECTAR_DATA_DIR.",
            )
        return cls(user / ".bee-hive")

    @property
    def nectar(self) -> Path:
        return self.data_dir / NECTAR

    @property
    def registry(self) -> Path:
        return self.nectar / "handlers.json"

    @property
    def registry_before(self) -> Path:
        """The registry as it was before its last change, for whoever has damaged it by hand."""
        return self.nectar / "handlers.json.1"

    @property
    def registry_lock(self) -> Path:
        return self.nectar / "registry.lock"

    @property
    def wall(self) -> Path:
        """That a wall can stand here, once that was tried."""
        return self.nectar / "wall.json"

    @property
    def keeper(self) -> Path:
        """The lock of the one ``up --keep``."""
        return self.nectar / "keeper.lock"

    @property
    def host(self) -> Path:
        return self.nectar / "host.json"

    @property
    def handlers(self) -> Path:
        return self.nectar / "handlers"

    @property
    def logs(self) -> Path:
        return self.nectar / "logs"

    @property
    def builds(self) -> Path:
        return self.nectar / "builds"

    def build_log(self, source: str) -> Path:
        """What uv said at the last build of a project, or a file, of this name."""
        return self.builds / f"{source}.log"

    @property
    def envs(self) -> Path:
        return self.nectar / "envs"

    @property
    def env_locks(self) -> Path:
        """Locks of those who build or use an environment, by its key."""
        return self.envs / ".locks"

    @property
    def trials(self) -> Path:
        return self.nectar / "trials"

    @property
    def resolutions(self) -> Path:
        return self.nectar / "resolutions"

    @property
    def digests(self) -> Path:
        return self.nectar / "digests"

    @property
    def uv_cache(self) -> Path:
        return self.nectar / "uv-cache"

    @property
    def runtimes(self) -> Path:
        return self.nectar / "runtime"

    @property
    def directories(self) -> tuple[Path, ...]:
        """All that are in ``nectar/``."""
        builds = (self.builds, self.envs, self.trials, self.resolutions, self.digests, self.uv_cache, self.runtimes)
        return (self.handlers, self.logs, *builds)

    def socket(self, name: str) -> Path:
        return self.handlers / f"{check_name(name)}.sock"

    def lock(self, name: str) -> Path:
        return self.handlers / f"{check_name(name)}.lock"

    def start(self, name: str) -> Path:
        """The lock of the command that starts a handler, from its beginning to its end."""
        return self.handlers / f"{check_name(name)}.start"

    def turn(self, name: str) -> Path:
        """The lock of whoever ends a daemon of a name, or puts one in its place."""
        return self.handlers / f"{check_name(name)}.turn"

    def variables(self, name: str) -> Path:
        return self.handlers / f"{check_name(name)}.env"

    def history(self, name: str) -> Path:
        """What became of its questions of late, as its daemon writes it down."""
        return self.handlers / f"{check_name(name)}.history"

    def log(self, name: str) -> Path:
        """For who reads it."""
        return self.logs / f"{check_name(name)}.log"

    def events(self, name: str) -> Path:
        """The same log for programs: a line of JSON for each event."""
        return self.logs / f"{check_name(name)}.jsonl"

    def computations(self, alias: str) -> Path:
        """Where a node and its handler meet; the alias exists when this is a directory."""
        return self.data_dir / check_alias(alias) / "data" / "computation"

    def require_alias(self, alias: str) -> Path:
        """The same, for an alias that must be there.

        :raises UnknownNameError: it is not.
        """
        directory = self.computations(alias)
        if not directory.is_dir():
            raise UnknownNameError(
                "node",
                alias,
                where=f"{directory} is not a directory",
                hint=f"The node makes it when it runs; to try things without one: mkdir -p {directory}",
            )
        return directory

    def aliases(self) -> list[str]:
        """The aliases that exist, sorted."""
        if not self.data_dir.is_dir():
            return []
        return sorted(
            entry.name for entry in self.data_dir.iterdir() if entry.name != NECTAR and (entry / "data" / "computation").is_dir()
        )

    def create(self) -> None:
        """Make nectar's own directories, private to this user, whatever the umask is.

        :raises UsageError: the data dir cannot be written.
        :raises NectarError: it may not be used, as :func:`nectar.ownership.check` says; also where what is made is open to others.
        """
        ownership.check(self)
        try:
            _make(self.data_dir, 0o755)
            for directory in (self.nectar, *self.directories):
                if directory != self.uv_cache:  # which uv makes where it is needed
                    _make(directory, 0o700)
        except OSError as error:
            raise UsageError(
                f"The data dir cannot be used: {error.strerror}.",
                where=str(error.filename or self.data_dir),
                hint="Give another with --data-dir, or make this one writable.",
            ) from None
        ownership.check(self)


def _make(directory: Path, mode: int) -> None:
    """Make a directory, and its parents, where it is not there yet; never with more rights, and its owner always has all."""
    if directory.is_dir():
        return
    if not directory.parent.is_dir():
        _make(directory.parent, 0o755)
    try:
        directory.mkdir(mode)
    except FileExistsError:
        if not directory.is_dir():
            raise
        return
    directory.chmod(directory.stat().st_mode & 0o777 | 0o700)
