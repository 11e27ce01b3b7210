"""The table of tries to get out from behind a wall, as docs/security.md has it: what comes of each without one, and behind it.

``done`` is done whoever runs it, ``root`` by root alone, and ``some`` where the system lets one: it is not asked there. ``nothing`` is what a
handler finds that is shown its own, ``its own`` what it makes and nobody else sees, and ``ended`` is by nectar. All else is the number of the
error; where there are two, either.
"""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """:ivar without: what comes of a try without a wall.
    :ivar behind: what may come of it behind one.
    """

    without: str
    behind: tuple[str, ...]


def _read(text: str) -> dict[str, Outcome]:
    rows = (row.split(" | ") for row in text.strip().splitlines())
    return {name: Outcome(without, tuple(behind.split(" or "))) for name, without, behind in rows}


WAYS = _read("""
read a file in the home | done | ENOENT
read a key in `~/.ssh` | done | ENOENT
list the home | done | ENOENT or nothing
read `/etc/shadow` | root | ENOENT
list the machine's users | done | nothing
read a file beside its own source | done | ENOENT
have a secret come along by a link in its source | done | nothing
read another handler's source | done | ENOENT
read another node's question | done | ENOENT
read its own node's directory | done | ENOENT
read the registry | done | ENOENT
read another handler's variables | done | ENOENT
read its own log | done | ENOENT
list the logs | done | ENOENT
list uv's cache | done | ENOENT
see another handler's environment | done | nothing
read a file in the machine's `/tmp` | done | ENOENT
read a file in the machine's `/dev/shm` | done | ENOENT
list `/var` | done | ENOENT
list `/run` | done | ENOENT
list `/sys` | done | ENOENT
list the machine's devices | some | nothing
open a terminal | done | ENOENT
read `/proc/1/environ` | some | nothing
read through `/proc/1/root` | some | ENOENT
open the memory of the first process, to write | some | EACCES
read the daemon's variables | done | ENOENT
find the daemon in `/proc` | done | nothing
find memory that others share | done | ENOENT
learn the machine's name | done | nothing
read the kernel's log | root | EPERM
use a descriptor that was left open | nothing | nothing
write its environment | done | EROFS
change the mode of a file there | done | EROFS
give a file there a second name | done | EXDEV
write nectar's side of it | done | EROFS
write its own source | done | EROFS
make a file beside its source | done | EROFS or its own
make a file in the home | done | ENOENT or its own
make a file in the machine's `/tmp` | done | ENOENT
make a file in the machine's `/dev/shm` | done | ENOENT
make a file in uv's cache | done | ENOENT
answer another node's question | done | ENOENT
write the registry | done | ENOENT
move its log away | done | ENOENT
make a program in a granted directory that runs as the operator | done | EPERM
make one with that mode at once | done | EPERM
follow a link from a granted directory | done | ENOENT
put something else in a granted directory's place | done | EBUSY
write the machine's programs | root | EACCES or EROFS
write a setting of the kernel's | root | EACCES or EROFS
connect to a service on the machine's loopback | done | ECONNREFUSED
send to one, by UDP | done | ECONNREFUSED
connect to an abstract socket | done | ECONNREFUSED
connect to a socket in the machine's `/tmp` | done | ENOENT
connect to the daemon's control socket | done | ENOENT
connect to an address far away | some | ENETUNREACH
send to one far away, by UDP | some | ENETUNREACH
ask for a name, by DNS | some | ENOENT
see the machine's interfaces | some | nothing
make a raw socket | root | EPERM
see all packets | root | EAFNOSUPPORT
talk to virtual machines | some | EAFNOSUPPORT
have the kernel encrypt | some | EAFNOSUPPORT
signal the daemon | done | ESRCH
hold the daemon by a pidfd | done | ESRCH
trace the daemon | some | EPERM
read the daemon's memory | some | EPERM
open the daemon's memory | done | ENOENT
change the daemon's priority | done | ESRCH
see the daemon's limits | done | ESRCH
mount | root | EPERM
have its environment mounted to be written | root | EPERM
unmount | root | EPERM
take hold of a tree of mounts | root | EPERM
change the root | root | EPERM
make a user namespace | some | EPERM
make a mount namespace | root | EPERM
make a network namespace | root | EPERM
make a child in a user namespace | some | EPERM
enter another namespace | root | EPERM
find a file by its handle | some | EPERM
make a device | root | EPERM
see its session's keys | some | EPERM
add a key | some | EPERM
request a key | some | EPERM
list the keys | some | EACCES
load a program into the kernel | some | EPERM
count events of the processor | some | EPERM
handle page faults | some | EPERM
make an io_uring | some | EPERM
have whoever opens a file wait | done | EPERM
learn who opens the machine's programs | some | EPERM
type into a terminal | some | EPERM
leave a picture of its memory | some | EPERM
gain privileges by a program | done | nothing
become root | root | EINVAL
name the machine | root | EPERM
fill `/tmp` | done | ENOSPC
fill `/dev/shm` | done | ENOSPC
fork without end | done | EAGAIN or ended
go on after the stop | ended | ended
end the daemon, and go on | done | ESRCH
""")


def make_rows() -> list[str]:
    """The table's rows in the page."""
    words = {"done": "done", "root": "by root", "some": "where the system lets it"}
    return [f"| {name} | {words.get(way.without, way.without)} | {_show(way.behind)} |" for name, way in WAYS.items()]


def _show(outcomes: tuple[str, ...]) -> str:
    return " or ".join(f"`{each}`" if each.isupper() else each for each in outcomes)
