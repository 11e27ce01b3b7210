"""Having the operator's browser open an address that nobody else may read."""

from __future__ import annotations

import os
import tempfile
import threading
import webbrowser
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={}">
<title>Nectar</title>
"""


def find() -> webbrowser.BaseBrowser | None:
    """The browser to use; None where there is none but such as would take the terminal, which nobody has asked for."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    takes_terminal = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(browser, webbrowser.BackgroundBrowser)
    return None if takes_terminal and not os.environ.get("BROWSER") else browser


@contextmanager
def lead(address: str) -> Iterator[Path]:
    """A file that leads to an address, for as long as it is needed: on a command line each user of the machine would see that."""
    descriptor, name = tempfile.mkstemp(prefix="nectar-dashboard-", suffix=".html")  # which has the mode 0600
    path = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(PAGE.format(escape(address)))
        yield path
    finally:
        path.unlink(missing_ok=True)


def show(browser: webbrowser.BaseBrowser, path: Path, failed: Callable[[], None]) -> None:
    """Have it open a file, however long it takes to.

    :param failed: called, perhaps in another thread, where it could not be started.
    """

    def open_it() -> None:
        try:
            opened = browser.open(path.as_uri())
        except OSError:
            opened = False
        if not opened:
            failed()

    threading.Thread(target=open_it, daemon=True).start()
