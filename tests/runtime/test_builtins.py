"""What a handler does to the builtins: what it replaces when it is loaded is its own affair, and what it breaks in a run is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.conftest import launched

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_handler_replaces_when_it_is_loaded_stays_and_what_it_breaks_in_a_run_is_put_back(tmp_path: Path) -> None:
    with launched(tmp_path, "patching.py") as running:
        node = running.attached()
        queries = ("one", "all", "two", "and raise", "three")
        for query in queries:
            answer = node.ask(query)
            assert answer["status"] == ("error" if query == "and raise" else "success"), answer
        running.until_logged("loudly: three 5")
        log = running.log()
        for number, query in enumerate(queries, 1):
            assert f"PRINT   {node.alias} {node.alias}-{number}: loudly: {query} {len(query)}" in log
        assert "LookupError: and raise" in log
        assert log.count("started: nectar") == 1
        assert "worker" not in log.lower().replace("/worker/", "")
