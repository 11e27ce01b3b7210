"""What a handler may have beside what each has behind its wall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nectar.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Grants:
    """What the operator allows a walled handler.

    :ivar network: the host's network, its loopback and abstract sockets included.
    :ivar read: absolute, resolved paths that it can read.
    :ivar write: those that it can write, too.
    :ivar gpu: devices that compute.
    """

    network: bool = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    gpu: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.read, *self.write)

    def to_mapping(self) -> dict[str, Any]:
        """As ``sandbox`` of a record has it."""
        return {"network": self.network, "read": list(self.read), "write": list(self.write), "gpu": self.gpu}

    def to_texts(self) -> list[str]:
        """As flags say it."""
        said = ["network"] * self.network + ["gpu"] * self.gpu
        return [*said, *(f"read={path}" for path in self.read), *(f"write={path}" for path in self.write)]

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """Read it back. What is missing, or of a type that this version does not know, is not granted."""
        read, write = (
            tuple(path for path in paths if isinstance(path, str)) if isinstance(paths := fields.get(name), list) else ()
            for name in ("read", "write")
        )
        return cls(network=fields.get("network") is True, read=read, write=write, gpu=fields.get("gpu") is True)
