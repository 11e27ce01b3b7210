"""Which files are data, and which are what the kernel says of processes and devices."""

from __future__ import annotations

import functools
import os
import re

from nectar import features

_VIRTUAL = frozenset(
    {"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore"}
    | {"efivarfs", "mqueue", "fusectl", "binfmt_misc", "nsfs", "hugetlbfs", "rpc_pipefs", "selinuxfs", "smackfs"}
)
"""File systems whose files are no data, but what the kernel says of processes and devices."""


def is_virtual(device: int) -> bool:
    """Whether a device is none, but the kernel's talk of processes and devices in the shape of files."""
    return os.major(device) == 0 and device in _virtual_devices()


def find_mounts(directory: str) -> list[str]:
    """Where in a directory something is mounted, at whatever depth; itself aside."""
    points = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in features.mounts())
    return [point for point in points if point.startswith(f"{directory.rstrip('/')}/") and point != directory]


@functools.cache
def _virtual_devices() -> frozenset[int]:
    """The devices of those file systems. Where the kernel does not list what is mounted, they hold no regular files."""
    found = set()
    for line in features.mounts():
        mount, _, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] in _VIRTUAL:
            major, minor = mount.split(" ")[2].split(":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)
