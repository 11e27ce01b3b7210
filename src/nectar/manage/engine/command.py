"""The command line of a worker of Dask's in a handler's environment: as it is started here, or as it is printed for elsewhere."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nectar.manage.daemon.assignment import Prepared
    from nectar.manage.engine.schedulers import Address, Certificates

LIBRARY = "distributed"
VARIABLE = r"\$[A-Za-z_][A-Za-z0-9_]*"
"""A variable of the shell that reads a printed line: what can stand there for an address which only that one knows."""


class Command(NamedTuple):
    """:ivar directory: in which it runs.
    :ivar variables: all that it gets.
    :ivar own: those of them that are the handler's alone.
    """

    words: list[str]
    directory: str
    variables: Mapping[str, str]
    own: Mapping[str, str]

    def show(self) -> str:
        """As a shell reads it, which it takes the place of."""
        own = [f"{name}={shlex.quote(value)}" for name, value in self.own.items()]
        path = f'PATH={shlex.quote(self.variables["PATH"].partition(":")[0])}:"$PATH"'
        words = [f'"{word}"' if re.fullmatch(rf"{VARIABLE}(:0)?", word) else shlex.quote(word) for word in self.words]
        return f"cd {shlex.quote(self.directory)} && exec env {' '.join([*own, path, *words])}"


def compose(prepared: Prepared, address: Address, host: str, count: int, certificates: Certificates | None) -> Command:
    """:param host: on which it listens, with all that Dask opens: each of these ports lets who reaches it run code.
    :param count: of its worker processes, each with one thread, which a nanny starts again.
    :raises EnvironmentFailedError: the handler does not depend on the library.
    """
    marker = prepared.environment.marker
    if LIBRARY not in [name.lower() for name, _ in marker.distributions]:
        source = prepared.order.source
        script = f"--script {shlex.quote(str(source.path))} " if source.kind == "file" else ""
        raise EnvironmentFailedError(
            f"A worker of Dask's needs {LIBRARY}, and the environment of {prepared.assignment.name!r} has none.",
            where=source.shown,
            hint=f"It is a dependency of the handler's: uv add {script}{LIBRARY}",
        )
    host = f"[{host}]" if ":" in host else host
    api, memory = prepared.script.parents[2], prepared.settings.memory_bytes
    tls = [] if certificates is None else zip(("--tls-ca-file", "--tls-cert", "--tls-key"), map(str, certificates), strict=True)
    words = [
        *(str(prepared.python), "-P", "-s", "-m", "dask", "worker", str(address)),
        *("--nworkers", str(count), "--nthreads", "1", "--nanny"),
        *("--host", host, "--dashboard-address", f"{host}:0", "--no-dashboard"),
        *(() if memory is None else ("--memory-limit", str(memory))),
        *("--resources", f"nectar-{marker.portable}=1"),  # what the handler's daemon wants of a worker
        *(word for pair in tls for word in pair),
        *("--preload", str(prepared.script.parent / "worker" / "nectar_preload.py"), str(api), prepared.assignment.name),
    ]
    loading = prepared.assignment.loading
    own = {**prepared.settings.env, **prepared.order.given.variables()}  # what passes from a shell is that one's, over there
    return Command(words, loading.directory, loading.variables, own)
