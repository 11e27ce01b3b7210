"""Which devices compute, and what is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.manage.wall import gpu

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_shown_of_a_gpu(tmp_path: Path) -> None:
    for name in ("dev/dri", "sys/class/drm", "sys/class/net", "sys/dev/char", "sys/devices/pci0/card", "sys/devices/pci0/disk"):
        (tmp_path / name).mkdir(parents=True)
    listed = tmp_path / "sys/bus/pci/devices"
    listed.mkdir(parents=True)
    for name, number in (("card", "0x030200"), ("disk", "0x010802")):
        (tmp_path / "sys/devices/pci0" / name / "class").write_text(number)
        (listed / name).symlink_to(f"../../../devices/pci0/{name}")
    (listed / "unplugged").symlink_to("absent")
    for name in ("nvidia0", "nvidiactl", "sda"):
        (tmp_path / "dev" / name).write_text("")
    dev = ["dev/nvidia0", "dev/nvidiactl", "dev/dri"]
    sys = ["sys/bus/pci/devices", "sys/class/drm", "sys/dev/char", "sys/devices/pci0/card"]
    assert gpu.find(tmp_path) == [str(tmp_path / name) for name in (*dev, *sys)]


def test_where_there_is_none_nothing_is_shown(tmp_path: Path) -> None:
    (tmp_path / "sys/class/drm").mkdir(parents=True)
    assert gpu.find(tmp_path) == []
