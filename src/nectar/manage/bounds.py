"""What of the machine the links of a source may bring into a build, and what they may not."""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from nectar.home import user_home
from nectar.manage import git

_VIRTUAL = frozenset(
    {"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore"}
    | {"efivarfs", "mqueue", "fusectl", "binfmt_misc", "nsfs", "hugetlbfs", "rpc_pipefs", "selinuxfs", "smackfs"}
)
"""File systems whose files are no data, but what the kernel says of processes and devices."""


@dataclass(frozen=True)
class Bounds:
    """What a source may link to: what lies in it, in its working copy of git, or in what all of a build lies in.

    A directory that holds the user's whole home is none of these, whatever it says of itself.

    :ivar source: the source's directory, without links.
    :ivar base: what all of the build lies in, without links.
    """

    source: Path
    base: Path | None = None

    def refusal(self, real: str) -> str | None:
        """Why something that a link leads to is not taken; None where it may be.

        :param real: its path, without links.
        :raises EnvironmentFailedError: the working copy that the source is in cannot be used.
        """
        try:
            found = os.lstat(real)
        except OSError:
            return "which is not there"
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return "which is neither a file nor a directory"
        if is_virtual(found.st_dev):
            return "which is no file on a disk"
        if not any(is_below(real, top) for top in self._tops):
            return "which lies outside the project"
        return None if found.st_uid in self._owners else "which belongs to another user"

    @functools.cached_property
    def _owners(self) -> frozenset[int]:
        return frozenset({os.geteuid(), 0, self.source.stat().st_uid})

    @functools.cached_property
    def _tops(self) -> tuple[str, ...]:
        repository = git.find(self.source)
        home = user_home(os.environ)
        kept = os.path.realpath(home) if home else os.sep
        wider = (str(place) for place in (repository and repository.top, self.base) if place and not is_below(kept, str(place)))
        return (str(self.source), *wider)


def is_below(path: str, top: str) -> bool:
    """Whether a path is a directory or lies in it; both without links."""
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def is_virtual(device: int) -> bool:
    """Whether a device is none, but the kernel's talk of processes and devices in the shape of files."""
    return os.major(device) == 0 and device in _virtual_devices()


@functools.cache
def _virtual_devices() -> frozenset[int]:
    """The devices of those file systems, as Linux lists what is mounted. Elsewhere they hold no regular files."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = set()
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] in _VIRTUAL:
            major, minor = mount.split(" ")[2].split(":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)
