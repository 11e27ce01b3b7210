"""``nectar test``: what an author sees without a network."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from nectar.testing.sample import sample
from tests import needs
from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv

WHATEVER = "from nectar import handler\n@handler\ndef h(comp): return eval(comp.query)\n"
"""A handler that answers with what it is asked for: one environment for all such answers."""


@pytest.mark.parametrize("kind", ["file", "package"])
def test_the_lines_that_scripts_read(world: World, kind: str) -> None:
    world.file("my_handler.py")
    handler = "my_handler.py" if kind == "file" else world.project()
    lines = world.run("test", handler).stdout.splitlines()
    assert lines[:5] == [
        f"🧪 Testing handler: {handler}",
        "✅ Handler loaded successfully",
        "📝 Creating mock computation...",
        "🔄 Executing handler...",
        "✅ Result: 84",
    ]
    assert re.fullmatch(r"⏱️  Execution time: \d+\.\d{3}s", lines[5])
    assert lines[6:] == ["✅ Handler test passed!"]
    assert not world.home.registry.exists()


@pytest.mark.once
def test_it_uses_the_environment_that_launch_uses(world: World) -> None:
    before = environments(world)
    world.file("h.py", TWICE.replace("* 2", "* 333"))  # no other test has built it
    world.run("test", "h.py")
    (built,) = environments(world) - before
    world.run("launch", "h.py")
    assert environments(world) - before == {built}
    assert world.registry()["h"]["environment"] == built


def environments(world: World) -> set[str]:
    return {path.name for path in world.home.envs.glob("[!.]*")}


@pytest.mark.once
def test_every_field_of_the_mock_computation_is_there(world: World) -> None:
    world.file(
        "h.py",
        """
        from nectar import handler

        @handler
        def h(comp):
            fields = [comp.comp_id, comp.query, comp.proposer, comp.aggregators, comp.targets, comp.deadline, comp.timestamp]
            assert all(fields) and comp.metadata is not None and comp.response_schema == "integer"
            return len(comp.query)
        """,
    )
    assert "✅ Result: 42\n" in world.run("test", "h.py").stdout


def test_what_is_changed_in_one_run_reaches_no_other(world: World) -> None:
    world.file("h.py", WHATEVER)
    change = "comp.targets.append('x') or comp.metadata.update(seen=1) or len(comp.targets) + len(comp.metadata)"
    assert "3 times" in world.run("test", "h.py", "--query", change, "--repeat", "3", "--expect", "5").stdout


@pytest.mark.once
def test_a_question_of_ones_own(world: World) -> None:
    world.file("h.py")
    assert "✅ Result: 6\n" in world.run("test", "h.py", "--query", "abc").stdout
    question = {**json.loads(sample("abcd").to_json()), "added": 1}
    world.file("question.json", json.dumps(question))
    assert "✅ Result: 8\n" in world.run("test", "h.py", "--computation", "question.json").stdout
    assert "✅ Result: 8\n" in world.run("test", "h.py", "--computation", "-", input=json.dumps(question)).stdout
    for text in ("no json", "[]", '{"query": 3}'):
        world.file("question.json", text)
        assert "question.json" in world.run("test", "h.py", "--computation", "question.json", code=2).stderr
    world.run("test", "h.py", "--computation", "absent.json", code=3)
    world.run("test", "h.py", "--computation", "-", "--query", "q", code=2)


@pytest.mark.once
def test_an_expectation(world: World) -> None:
    world.file("h.py")
    assert world.run("test", "h.py", "--expect", "84").stdout.endswith("✅ Handler test passed!\n")
    ended = world.run("test", "h.py", "--expect", "85", code=1)
    assert "✅ Result: 84\n" in ended.stdout
    assert "passed" not in ended.stdout
    assert "84" in ended.stderr
    assert "85" in ended.stderr


@pytest.mark.once
def test_as_json(world: World) -> None:
    world.file("h.py")
    fields = world.json("test", "h.py")
    assert fields["result"] == {"value": 84}
    assert fields["status"] == "success"
    assert fields["passed"] is True
    fields = world.json("test", "h.py", "--expect", "1", code=1)
    assert fields["passed"] is False
    assert fields["error"]["message"]
    world.file("h.py", "raise ValueError('no')\n")
    assert "no" in world.json("test", "h.py", code=1)["error"]["detail"]


@pytest.mark.parametrize("value", [-1, pytest.param(2**32, marks=pytest.mark.once), pytest.param(10**30, marks=pytest.mark.once)])
def test_a_value_that_the_network_changes_gets_a_warning(world: World, value: int) -> None:
    world.file("h.py", WHATEVER)
    ended = world.run("test", "h.py", "--query", str(value))
    assert f"✅ Result: {value}\n" in ended.stdout
    assert str(value % 2**32) in ended.stderr
    assert world.json("test", "h.py", "--query", str(value))["warnings"]


@pytest.mark.once
@pytest.mark.parametrize("value", [0, 2**32 - 1])
def test_one_that_it_does_not_change_gets_none(world: World, value: int) -> None:
    world.file("h.py", WHATEVER)
    ended = world.run("test", "h.py", "--query", str(value))
    assert f"✅ Result: {value}\n" in ended.stdout
    assert "⚠️" not in ended.stderr


def test_a_handler_that_raises(world: World) -> None:
    file = world.file("h.py", "from nectar import handler\n@handler\ndef h(comp):\n    return 1 / 0\n")
    ended = world.run("test", "h.py", code=1)
    assert ended.stdout.endswith("🔄 Executing handler...\n")
    assert f'File "{file}", line 4, in h' in ended.stderr
    assert "ZeroDivisionError: division by zero" in ended.stderr
    assert "nectar/runtime" not in ended.stderr


@pytest.mark.once
@pytest.mark.parametrize(("value", "kind"), [("1.5", "float"), ("None", "None"), ("'7'", "str"), ("True", "bool")])
def test_an_answer_that_is_no_integer(world: World, value: str, kind: str) -> None:
    world.file("h.py", WHATEVER)
    assert kind in world.run("test", "h.py", "--query", value, code=1).stderr


def test_a_handler_that_ends_its_process_or_never_answers(world: World) -> None:
    world.file("h.py", "import os\nfrom nectar import handler\n@handler\ndef h(comp): os._exit(3)\n")
    assert "ended with exit code 3" in world.run("test", "h.py", code=1).stderr
    text = json.dumps({**json.loads(sample("q").to_json()), "deadline": 1})
    world.file("h.py", "import time\nfrom nectar import handler\n@handler\ndef h(comp): time.sleep(600)\n")
    world.run("test", "h.py", "--computation", "-", input=text, code=1)


@pytest.mark.once
def test_what_it_prints_is_shown_and_is_no_data(world: World) -> None:
    world.file("h.py", "from nectar import handler\n@handler\ndef h(comp):\n    print('something \\x1b[2J')\n    return 1\n")
    ended = world.run("test", "h.py")
    assert "something" not in ended.stdout
    assert "something \\x1b[2J" in ended.stderr


def test_an_interrupt_leaves_nothing(world: World) -> None:
    world.file(
        "h.py",
        "import pathlib, time\nfrom nectar import handler\n@handler\ndef h(comp):\n    pathlib.Path(__file__).with_name('running').touch()\n    time.sleep(600)\n",
    )
    process = world.fork("test", "h.py")
    until((world.directory / "running").exists, "it runs")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130


@pytest.mark.once
def test_one_of_several_entry_points(world: World) -> None:
    project = world.project()
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("my-handler-pkg = ", "one = 'my_handler_pkg:answer'\ntwo = "))
    ended = world.run("test", project, code=2)
    assert "--handler" in ended.stderr
    assert "one" in ended.stderr
    assert "two" in ended.stderr
    assert "✅ Result: 84\n" in world.run("test", project, "--handler", "two").stdout
    assert "three" in world.run("test", project, "--handler", "three", code=2).stderr


POOLED = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from nectar import Computation, handler
    from sibling import square

    def cube(n: int) -> int:
        return n * square(n)

    @handler
    def analyze(comp: Computation) -> int:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(comp.query)) as pool:
            return sum(pool.map(square, range(4))) + sum(pool.map(cube, range(4)))
"""


@pytest.mark.parametrize("where", needs.EITHER_WAY)
def test_a_single_file_with_processes_of_its_own(world: World, where: str) -> None:
    """Whatever way multiprocessing starts them, they find the file and those beside it."""
    world.file("sibling.py", "def square(n: int) -> int:\n    return n * n\n")
    file = world.file("pooled.py", POOLED)
    for way in ("fork", "spawn", "forkserver"):
        world.run("test", file, "--query", way, "--expect", "50", *["--sandbox"] * (where == "walled"))


RESOURCES = """
    import importlib.resources
    import pkgutil

    import words
    from nectar import handler

    @handler
    def looks(comp):
        found = importlib.resources.files(words)
        assert (found / "list.txt").read_text() == "good\\n"
        assert (found / "more" / "list.txt").read_text() == "better\\n"
        assert "list.txt" in [each.name for each in found.iterdir()]
        with importlib.resources.as_file(found / "list.txt") as file:
            assert str(file) == words.__file__.replace("__init__.py", "list.txt")
        assert pkgutil.get_data("words", "list.txt") == b"good\\n"
        return 1
"""


def test_a_single_file_with_data_in_a_package_beside_it(world: World) -> None:
    for name, text in (("__init__.py", ""), ("list.txt", "good\n"), ("more/list.txt", "better\n")):
        world.file(f"words/{name}", text)
    world.run("test", world.file("looks.py", RESOURCES), "--expect", "1")


def test_variables_and_a_python_as_launch_has_them(world: World) -> None:
    file = world.file(
        "reads.py", "import os\nfrom nectar import handler\n@handler\ndef reads(comp): return int(os.environ[comp.query])\n"
    )
    variables = world.file("variables", "A=1\nB=2\n")
    given = ["--env-file", str(variables), "--env", "B=3"]
    assert [
        world.run("test", file, *given, "--query", name, "--json").stdout.count(f'"value": {value}')
        for name, value in (("A", 1), ("B", 3))
    ] == [1, 1]
    assert "it has no B_IS_NOWHERE" in world.run("test", file, "--env", "B_IS_NOWHERE", code=2).stderr
    world.run("test", file, *given, "--query", "A", "--python", "2.7", code=5)


def test_asked_again_and_again_it_says_how_long_it_took_and_one_that_is_wrong_is_told(world: World) -> None:
    text = """
        import time
        from nectar import handler

        asked = []

        @handler
        def counts(comp):
            asked.append(1)
            time.sleep(0.02)
            return len(asked)
    """
    file = world.file("counts.py", text)
    lines = world.run("test", file, "--repeat", "3").stdout.splitlines()
    assert "✅ Result: 1" in lines
    assert re.fullmatch(r"⏱️  3 times: \d+\.\d{3} to \d+\.\d{3}s, median \d+\.\d{3}s", lines[-2])
    assert lines[-1] == "✅ Handler test passed!"
    told = json.loads(world.run("test", file, "--repeat", "3", "--json", "--expect", "1", code=1).stdout)
    assert (told["result"], told["passed"], told["times"]["count"]) == ({"value": 1}, False, 3)
    assert 0.02 <= told["times"]["least"] <= told["times"]["median"] <= told["times"]["most"]
    assert told["error"]["message"] == "The answer is 2, and 1 was expected."


def test_a_directory_of_computations_is_asked_in_one_worker(world: World) -> None:
    file = world.file("twice.py", TWICE)
    directory = world.directory / "computations"
    for name, text in (("short", '{"query": "abc", "expected": 6}'), ("long", '{"query": "abcd", "expected": 8}')):
        world.file(f"computations/{name}.json", text)
    world.file("computations/notes.txt", "none")
    asked = world.run("test", file, "--computations", directory).stdout.splitlines()
    assert asked[-3:] == ["✅ long: 8", "✅ short: 6", "✅ Handler test passed!"]
    world.file("computations/wrong.json", '{"query": "abc", "expected": 7}')
    refused = world.run("test", file, "--computations", directory, code=1)
    assert refused.stdout.splitlines()[-1] == "❌ wrong: The answer is 6, and 7 was expected."
    told = json.loads(world.run("test", file, "--computations", directory, "--json", code=1).stdout)
    assert [(row["name"], row["result"], row["error"] is None) for row in told["computations"]] == [
        ("long", {"value": 8}, True),
        ("short", {"value": 6}, True),
        ("wrong", {"value": 6}, False),
    ]
    assert told["passed"] is False


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        (None, [], "has no file NAME.json"),
        ("{", [], "one.json: it is not JSON"),
        ('{"expected": 1}', ["--query", "abc"], "--computations excludes --query"),
        ('{"expected": 1}', ["--repeat", "2"], "--computations excludes --query"),
    ],
)
def test_what_is_no_directory_of_computations(world: World, content: str | None, more: list[str], says: str) -> None:
    directory = world.directory / "computations"
    if content is not None:
        world.file("computations/one.json", content)
    assert says in world.run("test", world.file("twice.py", TWICE), "--computations", directory, *more, code=2).stderr


@pytest.mark.once
def test_it_warns_of_an_import_that_is_not_declared_and_of_one_that_takes_long(world: World) -> None:
    text = """
        # /// script
        # dependencies = ["pytest"]
        # ///
        import time

        import iniconfig
        import pytest
        from nectar import handler

        import beside

        try:
            import pluggy
        except ImportError:
            pluggy = None
        time.sleep(1.05)

        @handler
        def h(comp):
            import packaging
            return 1
    """
    world.file("beside.py", "import _pytest.config, json\n")
    undeclared, slow = world.json("test", world.file("h.py", text))["warnings"]
    assert undeclared.startswith("h.py imports iniconfig: not declared, and there only because another dependency needs it.")
    assert undeclared.endswith(f"uv add --script {world.directory / 'h.py'} iniconfig")
    assert re.match(r"Loading took [1-9]\d*\.", slow)
