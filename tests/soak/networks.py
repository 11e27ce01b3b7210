"""Machines that are none: namespaces of the network, each with a link to a switch, which the test can cut without a word to anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import need_root

if TYPE_CHECKING:
    from collections.abc import Iterator


class Network:
    """:ivar addresses: of each machine, by its name. The switch is in the first."""

    def __init__(self, *hosts: str) -> None:
        self.addresses = {host: f"10.213.0.{number}" for number, host in enumerate(hosts, 1)}
        self._switch = hosts[0]

    def on(self, host: str, *command: str) -> list[str]:
        """A command as it runs on a machine."""
        return ["nsenter", f"--net=/run/netns/{self._name(host)}", *command]

    def cut(self, host: str) -> None:
        """Cut a link: what is sent there is lost, and nobody is told."""
        self._ip("-n", self._name(self._switch), "link", "set", "dev", host, "nomaster")

    def mend(self, host: str) -> None:
        self._ip("-n", self._name(self._switch), "link", "set", "dev", host, "master", "switch")

    def deafen(self, host: str) -> None:
        """Lose what is sent to a machine; what it sends arrives."""
        nobody = ("lladdr", "02:00:00:00:00:02", "nud", "permanent")
        self._ip("-n", self._name(self._switch), "neighbour", "replace", self.addresses[host], *nobody, "dev", "switch")

    def make(self) -> None:
        """:raises OSError: it cannot be made here."""
        for host in self.addresses:
            self._ip("netns", "add", self._name(host))
            self._ip("-n", self._name(host), "link", "set", "lo", "up")
        switch, *others = self.addresses
        on_switch = ("-n", self._name(switch))
        # An address of its own. That of a link would let in what a machine sends whose link is cut.
        self._ip(*on_switch, "link", "add", "switch", "address", "02:00:00:00:00:01", "type", "bridge")
        self._ip(*on_switch, "address", "add", f"{self.addresses[switch]}/24", "dev", "switch")
        self._ip(*on_switch, "link", "set", "switch", "up")
        for host in others:
            self._ip(*on_switch, "link", "add", host, "type", "veth", "peer", "name", "wire", "netns", self._name(host))
            self._ip(*on_switch, "link", "set", "dev", host, "up", "master", "switch")
            self._ip("-n", self._name(host), "address", "add", f"{self.addresses[host]}/24", "dev", "wire")
            self._ip("-n", self._name(host), "link", "set", "dev", "wire", "up")

    def remove(self) -> None:
        for host in self.addresses:
            subprocess.run(["ip", "netns", "delete", self._name(host)], check=False, capture_output=True)

    def _name(self, host: str) -> str:
        return f"nectar-{os.getpid()}-{host}"

    @staticmethod
    def _ip(*arguments: str) -> None:
        ended = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
        if ended.returncode:
            raise OSError(f"ip {' '.join(arguments)}: {ended.stderr.strip()}")


@contextmanager
def machines(*hosts: str) -> Iterator[Network]:
    """Some machines in a network; skips where nobody may make them."""
    need_root()
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        pytest.skip("there is no ip, or no nsenter")
    network = Network(*hosts)
    try:
        try:
            network.make()
        except OSError as error:
            pytest.skip(f"no namespaces of the network can be made here: {error}")
        yield network
    finally:
        network.remove()
