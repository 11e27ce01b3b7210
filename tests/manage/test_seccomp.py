"""The filter of system calls: a process that has it makes each call that is refused."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from nectar.manage.wall import seccomp

TRIES = """
import ctypes, errno, json, mmap, os, socket, struct, subprocess, sys, threading
program, calls = bytes.fromhex(sys.argv[1]), json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)

def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(each) for each in arguments))
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"

def by_interrupt():
    # The way in for programs of 32 bits: getpid has the number 20 there.
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000" "cd80" "c3"))
    asked = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    if (child := os.fork()) == 0:
        os._exit(int(asked() != -errno.ENOSYS))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) <= 0  # or it is ended, where the kernel has no such way

buffer = ctypes.create_string_buffer(program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)), 0, 0) == 0
found = {name: call(number, *arguments) for name, (number, *arguments) in calls.items()}
if os.uname().machine == "x86_64":
    found["getpid of x32"] = call(0x40000000 + 39)
    assert by_interrupt()
thread = threading.Thread(target=lambda: found.update({"a thread": "done"}))
thread.start()
thread.join()
found["a process"] = subprocess.run(["/bin/sh", "-c", "echo done"], capture_output=True, text=True).stdout.strip()
print(json.dumps(found))
"""
CLONE = {"x86_64": 56, "aarch64": 220}
IOCTL = {"x86_64": 16, "aarch64": 29}
FCNTL = {"x86_64": 72, "aarch64": 25}
SOCKET = {"x86_64": 41, "aarch64": 198}
NAMESPACES = {
    "mounts": 0x20000, "cgroups": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "users": 0x10000000, "pids": 0x20000000, "network": 0x40000000
}  # fmt: skip


@pytest.mark.skipif(not seccomp.is_known(os.uname().machine), reason="there is no filter for this machine")
def test_each_call_that_is_refused_gets_its_error_and_the_others_go_on() -> None:
    machine = os.uname().machine
    refused = seccomp.list_refused(machine)
    calls: dict[str, list[int]] = {name: [number, 0, 0, 0, 0, 0, 0] for name, number in refused.items()}
    wanted = dict.fromkeys(calls, "EPERM")
    for name, flag in NAMESPACES.items():
        calls[f"a namespace of {name}"], wanted[f"a namespace of {name}"] = [CLONE[machine], flag, 0, 0, 0, 0], "EPERM"
    calls["clone3"], wanted["clone3"] = [435, 0, 0], "ENOSYS"
    # The kernel looks at the lower half of a command alone.
    for name, command in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541C), ("TIOCSTI and more", 0x5412 | 1 << 32)):
        calls[name], wanted[name] = [IOCTL[machine], 0, command, 0], "EPERM"
    calls["another ioctl"], wanted["another ioctl"] = [IOCTL[machine], -1, 0x5401, 0], "EBADF"
    calls["F_SETLEASE"], wanted["F_SETLEASE"] = [FCNTL[machine], 0, 1024, 0], "EPERM"
    calls["another fcntl"], wanted["another fcntl"] = [FCNTL[machine], -1, 1, 0], "EBADF"
    for name, family in (("AF_VSOCK", 40), ("AF_ALG", 38), ("AF_PACKET", 17), ("AF_BLUETOOTH", 31)):
        calls[name], wanted[name] = [SOCKET[machine], family, 1, 0], "EAFNOSUPPORT"
    for name, family in (("AF_UNIX", 1), ("AF_INET", 2)):
        calls[name], wanted[name] = [SOCKET[machine], family, 1, 0], "done"
    wanted |= {"a thread": "done", "a process": "done"} | ({"getpid of x32": "ENOSYS"} if machine == "x86_64" else {})
    line = [sys.executable, "-I", "-c", TRIES, seccomp.compile_filter().hex(), json.dumps(calls)]
    ran = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == wanted
    assert len(refused) > 40


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_filter_lets_nothing_through_that_it_names_on_either_machine(machine: str) -> None:
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    program = seccomp.compile_filter(machine)
    for number in seccomp.list_refused(machine).values():
        assert decide(program, number, architecture) == ("refused", errno.EPERM)
    assert decide(program, CLONE[machine], architecture, 0x10000000) == ("refused", errno.EPERM)
    assert decide(program, CLONE[machine], architecture, 17) == ("allowed", 0)
    assert decide(program, 1000, architecture) == ("allowed", 0)
    assert decide(program, 1000, architecture ^ 1) == ("refused", errno.ENOSYS)
    assert "process_vm_readv" in seccomp.list_refused(machine) and "uselib" not in seccomp.list_refused("aarch64")


def decide(program: bytes, number: int, architecture: int, *arguments: int) -> tuple[str, int]:
    """What the kernel would, of a call: the four kinds of steps that there are in a filter."""
    data = b"".join(
        [
            number.to_bytes(4, "little"),
            architecture.to_bytes(4, "little"),
            bytes(8),
            *(each.to_bytes(8, "little") for each in arguments),
        ]
    ).ljust(64, b"\0")
    place = loaded = 0
    while True:
        step = program[8 * place : 8 * place + 8]
        code, then, otherwise, value = int.from_bytes(step[:2], "little"), step[2], step[3], int.from_bytes(step[4:], "little")
        place += 1
        match code:
            case 0x20:
                loaded = int.from_bytes(data[value : value + 4], "little")
            case 0x15:
                place += then if loaded == value else otherwise
            case 0x45:
                place += then if loaded & value else otherwise
            case 0x06:
                return ("allowed", 0) if value == 0x7FFF0000 else ("refused", value & 0xFFFF)
