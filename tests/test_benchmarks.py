"""That the table of speeds comes out of a run, however small; what is in it is nothing that a test decides."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.table import Figure, Row, draw
from tests.docs.blocks import ROOT
from tests.world import PATIENCE


@pytest.mark.uv
def test_a_run_measures_both_nectar_and_the_floor() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "bench.py"), "--json", "--rounds", "1", "large"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=2 * PATIENCE).stdout)
    (row,) = told["rows"]
    assert row["ours"]["median"] > 0
    assert row["beside"]["median"] > 0
    assert row["ratio"] == row["ours"]["median"] / row["beside"]["median"]


def test_a_row_says_whether_its_goal_is_reached() -> None:
    ours, floor = Figure([3.0, 1.0, 2.0], "ms"), Figure([1.0], "ms")
    rows = [
        Row("quick", ours, floor, most=2),
        Row("many", ours, floor, least=2.5),
        Row("small", ours, floor, most=1, absolute=True),
        Row("seen", ours),
        Row("none", None, most=1, note="not built"),
    ]
    assert [row.reached for row in rows] == [True, False, False, None, None]
    assert draw(["what", "ours", "beside", "ratio", "goal", "reached"], [rows[0].to_cells(), rows[-1].to_cells()]) == (
        "| what  | ours                   | beside        | ratio  | goal  | reached |\n"
        "| ----- | ---------------------- | ------------- | ------ | ----- | ------- |\n"
        "| quick | 2.00 ms (1.00 to 3.00) | 1.00 ms floor | 2.00 x | ≤ 2 x | yes     |\n"
        "| none  | not built              |               |        | ≤ 1 x |         |"
    )
