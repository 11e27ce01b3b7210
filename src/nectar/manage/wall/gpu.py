"""Devices that compute: which there are, and what of ``/sys`` their libraries look at."""

from __future__ import annotations

import os
from pathlib import Path

_DEVICES = ("nvidia*", "dri", "kfd")
_LISTS = (
    *("bus/pci/devices", "class/drm", "class/kfd", "dev/char", "devices/system/cpu", "devices/system/node"),
    *("devices/virtual/kfd", "module/amdgpu", "module/nvidia", "module/nvidia_uvm"),
)
"""What leads from a device's number to the device, and says how near it is to which processor; the first four hold links alone."""
_CLASSES = ("0x03", "0x12")
"""How the PCI classes of displays and of accelerators begin."""


def find(root: Path = Path("/")) -> list[str]:
    """The paths of those that are here: below ``/dev`` to be used, and below ``/sys`` to be read.

    :param root: the system's.
    """
    found = [path for pattern in _DEVICES for path in sorted((root / "dev").glob(pattern))]
    if not found:
        return []
    found += [path for name in _LISTS if (path := root / "sys" / name).is_dir()]
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        try:
            if (device / "class").read_text().startswith(_CLASSES):
                found.append(Path(os.path.realpath(device)))
        except OSError:  # it was unplugged
            continue
    return [str(path) for path in found]
