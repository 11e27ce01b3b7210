"""Which files are data, and which are what the kernel says of processes and devices."""

from __future__ import annotations

import functools
import os
from pathlib import Path

_VIRTUAL = frozenset(
    {"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore"}
    | {"efivarfs", "mqueue", "fusectl", "binfmt_misc", "nsfs", "hugetlbfs", "rpc_pipefs", "selinuxfs", "smackfs"}
)
"""File systems whose files are no data, but what the kernel says of processes and devices."""


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
