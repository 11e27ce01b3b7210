"""What a handler does to the builtins: what it replaces when it is loaded is its own affair, and what it breaks in a run is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.conftest import launched

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_handler_replaces_when_it_is_loaded_stays_and_what_it_breaks_in_a_run_is_put_back(tmp_path: Path) -> None:
    with launched(tmp_path, "patching.py") as running:
        node = running.attached()
        for query in ("one", "all", "two", "and raise", "three"):
            answer = node.ask(query)
            assert answer["status"] == ("error" if query == "and raise" else "success"), answer
        running.until_logged("PRINT   loudly: three 5")
        log = running.log()
        assert [query for query in ("one", "all", "two", "and raise") if f"PRINT   loudly: {query} {len(query)}" not in log] == []
        assert "LookupError: and raise" in log
        assert log.count("started: nectar") == 1
        assert "worker" not in log.lower().replace("/worker/", "")
