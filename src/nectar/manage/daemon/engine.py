"""Which engine runs a handler's calls, or parts of them: what a worker of it is told."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from nectar.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.manage.environment.marker import Marker
    from nectar.settings import Settings

ADDRESS = "NECTAR_DASK_ADDRESS"
"""A variable with the address of a Dask scheduler, which counts more than that in the settings."""
LIBRARY = "distributed"
"""Without which a handler runs here, whatever the variable says."""
TIMEOUT = 5.0
_WHERE = "[tool.nectar.dask]"
_ADDRESS = re.compile(r"(?:(?P<scheme>tcp|tls|ws|wss)://)?(?P<host>[^\s:/@\[\]]+|\[[0-9a-fA-F:.%\w]+\]):(?P<port>[0-9]{1,5})")


def describe(name: str, settings: Settings, variables: Mapping[str, str], directory: Path, marker: Marker) -> dict[str, Any]:
    """What a worker is told of it.

    :param variables: what was given to the handler.
    :param directory: that of its source, to which the files in its settings are relative.
    :returns: ``name`` (the handler's), ``executor`` (as in the settings), ``dask`` (None; or ``address``, ``timeout``, ``tls_ca``,
        ``tls_cert``, ``tls_key``, and ``given``, the variable that it is from, if it is), ``identity`` and ``lock`` (of the environment,
        the same on each machine).
    :raises UsageError: the address is none, or what crosses would be read on its way.
    """
    address = variables.get(ADDRESS) or settings.dask.get("address")
    dask = None
    if address is not None and settings.executor != "none":
        given = ADDRESS if variables.get(ADDRESS) else None
        files = {key: _find(settings.dask.get(key), directory) for key in ("tls_ca", "tls_cert", "tls_key")}
        if given is None or any(
            name == "distributed" for name, _ in marker.distributions
        ):  # else its worker says that it goes nowhere
            address = _check(address, given or f"address in {_WHERE}", files, insecure=settings.dask.get("insecure", False))
        dask = {"address": address, "timeout": settings.dask.get("timeout", TIMEOUT), "given": given, **files}
    lock = marker.digests.get("lock")
    return {"name": name, "executor": settings.executor, "dask": dask, "identity": marker.portable, "lock": lock}


def is_local(address: str) -> bool:
    """Whether nothing that is sent to this address leaves the machine.

    :raises UsageError: it is none.
    """
    import ipaddress  # which no handler without an engine is to wait for

    host = _part(address, "an address")["host"].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(address: str, where: str, files: Mapping[str, str | None], *, insecure: bool) -> str:
    """:returns: the address, with the scheme that it is to have."""
    parts = _part(address, where)
    missing = [key for key, path in files.items() if path is None]
    if missing and (len(missing) < len(files) or parts["scheme"] in ("tls", "wss")):
        raise UsageError(
            f"For TLS, {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            where=_WHERE,
            hint="It takes all of tls_ca, tls_cert and tls_key.",
        )
    if missing and not insecure and not is_local(address):
        raise UsageError(
            f"The engine at {address} is not on this machine, and queries would go there for anybody on the way to read.",
            where=where,
            hint="Set tls_ca, tls_cert and tls_key; or, in a network that is yours alone: nectar launch --insecure.",
        )
    return address if missing else re.sub(r"^(tcp://)?", "tls://", address) if parts["scheme"] in (None, "tcp") else address


def _part(address: str, where: str) -> dict[str, str]:
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler.", where=where, hint="It looks like tcp://192.168.1.5:8786."
        )
    return found.groupdict()


def _find(path: str | None, directory: Path) -> str | None:
    """:raises UsageError: there is no such file."""
    if path is None:
        return None
    absolute = os.path.join(directory, os.path.expanduser(path))
    if not os.path.isfile(absolute):
        raise UsageError(f"There is no file {absolute}.", where=_WHERE)
    return absolute
