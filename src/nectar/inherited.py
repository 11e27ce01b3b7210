"""What a process has from whoever started it, made as nectar's own processes need it.

A mask of blocked signals, ignored signals, limits and open descriptors outlive ``exec``; whoever sets them means its own doings.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
_RAISED = ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NPROC")
"""Soft limits that a daemon, which is there for days and for many aliases, may exhaust."""
_MOST_DESCRIPTORS = 10240
"""What macOS takes where its hard limit is none."""


def settle_signals(numbers: Iterable[int] = frozenset(signal.valid_signals())) -> None:
    """Block no signal, and ignore none of these but those that Python itself ignores."""
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_IGN and number not in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def raise_limits() -> dict[str, int]:
    """Raise this process's soft limits to its hard ones.

    :returns: the soft limits that were raised as they were, by name: what :func:`give_back` takes.
    """
    import resource

    before = {}
    for name in _RAISED:
        limit = getattr(resource, name)
        soft, hard = resource.getrlimit(limit)
        if soft == hard:
            continue
        for wanted in (hard, _MOST_DESCRIPTORS) if name == "RLIMIT_NOFILE" else (hard,):
            try:
                resource.setrlimit(limit, (wanted, hard))
            except (OSError, ValueError):
                continue
            before[name] = soft
            break
    return before


def give_back(limits: Mapping[str, int]) -> None:
    """Have soft limits again as they were: code that nobody here knows may rely on them, as ``select`` does."""
    if not limits:
        return
    import resource

    for name, soft in limits.items():
        limit = getattr(resource, name)
        resource.setrlimit(limit, (soft, resource.getrlimit(limit)[1]))


def open_streams() -> None:
    """Have standard streams where some are closed: no file of ours may get the number of one."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


def keep_owners_rights() -> None:
    """Have a umask that leaves us what we make."""
    os.umask(os.umask(0o077) & ~0o700)
