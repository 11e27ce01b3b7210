"""The filter of system calls that a walled worker has: a program for the kernel, which knows calls by their numbers.

Refused is what leads out of a namespace or into a new one, what looks into another process or tells when another opens a file, and what
the kernel has had most of its holes in and no handler needs. What only an administrator could do is refused a second time. Nothing that a library tries first, and does
without, ends a process: it gets an error number.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from nectar import features

if TYPE_CHECKING:
    from collections.abc import Iterable

# As linux/bpf_common.h and linux/seccomp.h have them.
_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where in ``struct seccomp_data``; each argument has 8 bytes, of which on both machines the lower half comes first."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""In the number of each call of x86-64's third kind, which has numbers of its own for all of them."""

_CALLS = """
keyctl 250 219; add_key 248 217; request_key 249 218; ptrace 101 117; process_vm_readv 310 270; process_vm_writev 311 271
kcmp 312 272; mount 165 40; umount2 166 39; pivot_root 155 41; chroot 161 51; unshare 272 97; setns 308 268; bpf 321 280
perf_event_open 298 241; userfaultfd 323 282; fanotify_init 300 262; name_to_handle_at 303 264; open_by_handle_at 304 265
lookup_dcookie 212 18; quotactl 179 60; syslog 103 116; acct 163 89; swapon 167 224; swapoff 168 225; reboot 169 142
vhangup 153 58; kexec_load 246 104; kexec_file_load 320 294; init_module 175 105; finit_module 313 273; delete_module 176 106
uselib 134 -; iopl 172 -; ioperm 173 -; modify_ldt 154 -; open_tree 428 428; move_mount 429 429; fsopen 430 430
fsconfig 431 431; fsmount 432 432; fspick 433 433; mount_setattr 442 442; open_tree_attr 467 467; io_uring_setup 425 425
io_uring_enter 426 426; io_uring_register 427 427; pidfd_getfd 438 438; quotactl_fd 443 443; inotify_init 253 -
inotify_init1 294 26
"""
"""Those that are refused whatever their arguments are: name, and number on x86-64 and on aarch64."""
_CLONE3 = 435
_CLONE = {"x86_64": 56, "aarch64": 220}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_FCNTL = {"x86_64": 72, "aarch64": 25}
_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make a namespace: of mounts, cgroups, UTS, IPC, users, PIDs and the network."""
_MODES = """
chmod 90 - 1; fchmod 91 52 1; fchmodat 268 53 2; fchmodat2 452 452 2; creat 85 - 1; mknod 133 - 1; mknodat 259 33 2
"""
"""Those that give a file its mode: name, numbers, and which argument that is."""
_OPENING = "open 2 - 1; openat 257 56 2"
"""The same of those that may make a file: name, numbers, and which argument says whether; the next one is the mode."""
_OPENAT2 = 437
_CREATES = 0x400040
"""O_CREAT, and what O_TMPFILE adds to O_DIRECTORY."""
_OF_OTHERS = 0o6000
"""The bits of a mode with which a program runs as whoever it belongs to: where an operator's handler may write, that is the operator, outside."""
_TO_TERMINALS = (0x5412, 0x541C)
"""TIOCSTI, which types into a terminal, and TIOCLINUX, which pastes into a console."""
_SETLEASE = 1024
"""F_SETLEASE, which has whoever opens a file wait for 45 seconds: a root's worker could have the machine wait for its programs."""
_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6 and netlink: of others, as of virtual machines' sockets, some have no namespaces."""


def list_refused(machine: str) -> dict[str, int]:
    """The numbers of the calls that are refused whatever their arguments are, by name."""
    return {name: number for name, number, *_ in _list(_CALLS, machine)}


def _list(calls: str, machine: str) -> list[tuple[str, int, int]]:
    """Of a table of calls those that a machine has: name, number, and what stands behind the numbers, or 0."""
    column = [*_ARCHITECTURES].index(machine) + 1
    rows = [row.split() for row in calls.replace("\n", ";").split(";") if row.strip()]
    return [(row[0], int(row[column]), int(row[3]) if len(row) > 3 else 0) for row in rows if row[column] != "-"]


def is_known(machine: str) -> bool:
    """Whether there is a filter for a machine, by its name in uname(2)."""
    return machine in _ARCHITECTURES


def compile_filter(machine: str | None = None) -> bytes:
    """The program for a machine; None is this one.

    :raises KeyError: there is none.
    """
    machine = machine or features.machine()
    program = [_load(_ARCHITECTURE), *_unless(_ARCHITECTURES[machine], [_refuse(errno.ENOSYS)]), _load(_NUMBER)]
    if machine == "x86_64":
        program += _if(_SET, _X32, [_refuse(errno.ENOSYS)])
    for number in sorted(list_refused(machine).values()):
        program += _if(_EQUAL, number, [_refuse(errno.EPERM)])
    # Their arguments are in memory, where nothing here can look at them; libraries go on with clone, and with openat.
    for number in (_CLONE3, _OPENAT2):
        program += _if(_EQUAL, number, [_refuse(errno.ENOSYS)])
    refuse_mode = _if(_SET, _OF_OTHERS, [_refuse(errno.EPERM)])
    for _, number, index in _list(_MODES, machine):
        program += _if(_EQUAL, number, [_load_argument(index), *refuse_mode, _ALLOWED])
    for _, number, index in _list(_OPENING, machine):
        making = [_load_argument(index), *_if(_SET, _CREATES, [_load_argument(index + 1), *refuse_mode])]
        program += _if(_EQUAL, number, [*making, _ALLOWED])
    program += _if(_EQUAL, _CLONE[machine], [_load_argument(0), *_if(_SET, _NAMESPACES, [_refuse(errno.EPERM)]), _ALLOWED])
    typing = [each for command in _TO_TERMINALS for each in _if(_EQUAL, command, [_refuse(errno.EPERM)])]
    program += _if(_EQUAL, _IOCTL[machine], [_load_argument(1), *typing, _ALLOWED])
    leasing = _if(_EQUAL, _SETLEASE, [_refuse(errno.EPERM)])
    program += _if(_EQUAL, _FCNTL[machine], [_load_argument(1), *leasing, _ALLOWED])
    families = [each for family in _FAMILIES for each in _if(_EQUAL, family, [_ALLOWED])]
    program += _if(_EQUAL, _SOCKET[machine], [_load_argument(0), *families, _refuse(errno.EAFNOSUPPORT)])
    return b"".join([*program, _ALLOWED])


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)


_ALLOWED = _instruction(_RETURN, _ALLOW)


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | number)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _load_argument(index: int) -> bytes:
    """Of an argument, the half that the kernel looks at in those that are asked for here: they are no longer than an ``int``, or flags."""
    return _load(_ARGUMENTS + 8 * index)


def _if(test: int, value: int, body: Iterable[bytes]) -> list[bytes]:
    """What is done where what was loaded is equal to a value, or has a bit of it set; what comes next, if it is not."""
    steps = list(body)
    return [_instruction(test, value, 0, len(steps)), *steps]


def _unless(value: int, body: Iterable[bytes]) -> list[bytes]:
    steps = list(body)
    return [_instruction(_EQUAL, value, len(steps), 0), *steps]
