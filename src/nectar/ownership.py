"""Whose a data dir is: looked at by every command before it reads anything there.

``nectar/`` and what has a fixed place in it are this user's, closed to others, and no links. So nobody else can have put there what
is read, run or removed. The data dir itself may be a link, and somebody else's: a node's.

And it is one kernel's, because locks, processes and sockets are. On a network file system, where others could work in it as well, it
says in ``host.json`` which one does: ``{"schema": 1, "boot": …, "host": …}``.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from contextlib import suppress

from nectar import features
from nectar.errors import ConflictError, NotFoundError
from nectar.frozen import NamedTuple

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nectar.home import Home

_ROOT = 0
SILENCE = 60.0
"""Seconds after which a machine of which nothing is heard has left a data dir."""
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "ceph", "lustre", "glusterfs"}
    | {"afs", "beegfs", "gpfs", "pvfs2", "ocfs2", "gfs2"}
    | {f"fuse.{name}" for name in ("sshfs", "glusterfs", "ceph", "ceph-fuse", "vmhgfs-fuse", "grpcfuse", "davfs", "rclone", "s3fs")}
    | {f"fuse.{name}" for name in ("gcsfuse", "JuiceFS", "mfs", "seaweedfs", "smbnetfs", "curlftpfs")}
)
"""File systems that several machines may have mounted."""


class Host(NamedTuple):
    """A machine, from its start to its end.

    :ivar boot: what no other one is called.
    :ivar name: as a person calls it, who may call another one the same.
    :ivar silent: seconds since it last worked in the data dir, by the clock of that; for how long it has, nobody knows.
    """

    boot: str
    name: str
    silent: float = 0.0

    @property
    def is_this(self) -> bool:
        return self.boot == features.name_boot()[0]

    @property
    def is_another(self) -> bool:
        """Whether it is one that works there now: what was last heard before this one started may be this one, as it was before."""
        return not self.is_this and self.silent < min(SILENCE, features.up_for())


def opener(path: str | os.PathLike[str], flags: int) -> int:
    """For :func:`open`, a file of nectar's own: through no link, waiting for no pipe, private where it is made."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)


def read(path: Path) -> bytes:
    """The content of such a file."""
    with open(path, "rb", opener=opener) as file:
        return file.read()


def check(home: Home) -> None:
    """Whether nectar may work in a data dir. What is not there yet is no reason against it.

    :raises NotFoundError: something else lies in the place of a directory.
    :raises ConflictError: a directory is somebody else's, open to others, or a link.
    """
    try:
        if not stat.S_ISDIR(os.stat(home.data_dir).st_mode):
            raise _misplaced(home.data_dir, "data dir")
        _check_nectar(home.nectar, os.lstat(home.nectar))
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(home.data_dir) and not os.path.exists(home.data_dir):
            raise _nowhere(home.data_dir) from None
        return
    except PermissionError as error:
        raise ConflictError(
            f"The data dir cannot be looked at: {error.strerror}.",
            where=str(error.filename),
            hint="Use the account that it belongs to.",
        ) from None
    for place in (*home.directories, home.env_locks):
        _check_inside(place, "directory", stat.S_ISDIR)
    for place in (home.registry, home.registry_lock, home.keeper, home.host):
        _check_inside(place, "file", stat.S_ISREG)


def find_network(home: Home) -> str | None:
    """The kind of file system that a data dir is on, where other machines may work in it, too; None where none can, or nobody tells."""
    with suppress(OSError):
        kind = features.file_system(home.nectar)
        return kind if kind in _NETWORK and features.name_boot()[0] else None
    return None


def find_host(home: Home) -> tuple[Host, float] | None:
    """Who last worked in a data dir, and when (Unix seconds, by the clock of that); None where nobody told."""
    try:
        with open(home.host, "rb", opener=opener) as file:  # a network's file system looks anew at what is opened
            fields, seen = json.loads(file.read()), os.fstat(file.fileno()).st_mtime
        return Host(str(fields["boot"]), str(fields["host"])), seen
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def sign(home: Home, *, anyway: bool = False) -> Host | None:
    """Tell that this machine works in a data dir.

    Its time and that of who was there before are both the file system's: no other clock is asked.

    :param anyway: also where another one works there now; otherwise nothing is changed then.
    :returns: who was there before.
    :raises OSError: it cannot be told.
    """
    boot = features.name_boot()[0]
    aside = home.host.with_name(f"{home.host.name}.{boot}")  # by this machine alone, and by each of its processes the same
    with open(aside, "wb", opener=opener) as file:
        file.write(json.dumps({"schema": 1, "boot": boot, "host": features.host_name()}).encode())
        file.flush()
        os.fsync(file.fileno())  # without which a client may tell of a time of its own
        now = os.fstat(file.fileno()).st_mtime
    found = find_host(home)
    before = found and found[0]._replace(silent=now - found[1])
    with suppress(FileNotFoundError):  # another process has just done the same
        if before is not None and before.is_another and not anyway:
            aside.unlink()
        else:
            aside.replace(home.host)
    return before


def _check_nectar(nectar: Path, found: os.stat_result) -> None:
    _require_no_link(nectar, found)
    if not stat.S_ISDIR(found.st_mode):
        raise _misplaced(nectar, "directory")
    if found.st_uid != os.geteuid():
        raise _somebodys(nectar, "directory", found)
    if found.st_mode & 0o077:
        look = "Look whether all in it is yours, and then: " if found.st_mode & 0o022 else ""
        raise ConflictError(
            "Nectar's directory is open to others.",
            where=f"{nectar}, mode {stat.S_IMODE(found.st_mode):04o}",
            hint=f"{look}chmod 700 {nectar} (a file system that has one mode for all: mount it with umask=077)",
        )


def _check_inside(path: Path, what: str, is_one: Callable[[int], bool]) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    _require_no_link(path, found)
    if not is_one(found.st_mode):
        raise _misplaced(path, what)
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise _somebodys(path, what, found)


def _require_no_link(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise ConflictError(
            "There is a link in nectar's directory, and nectar follows none there.",
            where=f"{path} -> {os.readlink(path)}",
            hint="Put what it leads to in its place, or mount it there. The data dir itself may be a link.",
        )


def _somebodys(path: Path, what: str, found: os.stat_result) -> ConflictError:
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = f"#{found.st_uid}"
    return ConflictError(
        f"Nectar's {what} belongs to another user.",
        where=f"{path}, of {owner}",
        hint=f"As that user: sudo -u '{owner}' nectar …" if os.geteuid() == _ROOT else "Use that account, or another data dir.",
    )


def _nowhere(data_dir: Path) -> NotFoundError:
    return NotFoundError(
        "The data dir is a link to what is not there.",
        where=f"{data_dir} -> {os.readlink(data_dir)}",
        hint="Make what it leads to, or mount it, or give another data dir.",
    )


def _misplaced(path: Path, wanted: str) -> NotFoundError:
    return NotFoundError(
        f"There is something else in the place of nectar's {wanted}.",
        where=str(path),
        hint="Move it away, or give another data dir.",
    )
