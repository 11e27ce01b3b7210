"""The handler of a project, loaded in a test's process as a worker loads it."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import nectar
from nectar.errors import NectarError
from nectar.testing import computation, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

PROJECT = """
    [project]
    name = "Author.One"
    version = "0"

    [tool.nectar]
    concurrency = 4
    env = {WEIGHT = "7"}
    """
ENTRIES = """
    [nectar.handlers]
    {entry}

    [nectar.plugins]
    hooks = author_hooks
    """
HANDLER = """
    import asyncio
    import logging
    import os
    import pathlib
    import sys

    import nectar

    log = logging.getLogger("author")
    log.addHandler(logging.StreamHandler())

    @nectar.handler
    def length(comp):
        comp.targets.clear()
        print("asked", file=sys.stderr)
        return len(comp.query)

    @nectar.handler
    def strange(comp):
        return comp.query

    here = weight = None

    @nectar.handler
    def where(comp):
        log.warning("logged %s", nectar.comp_id.get())
        return len(os.environ["WEIGHT"] + pathlib.Path("here").read_text())

    meet = None

    @nectar.handler
    async def meeting(comp):
        global meet
        meet = meet or asyncio.Barrier(3)
        async with asyncio.timeout(30):
            await meet.wait()
        print(comp.comp_id == nectar.comp_id.get())
        return len(comp.query)

    @nectar.handler
    async def alone(comp):
        print(comp.comp_id == nectar.comp_id.get())
        return 1
    """
HOOKS = """
    import nectar

    @nectar.hookimpl
    async def nectar_worker_started():
        print("started")

    @nectar.hookimpl(wrapper=True)
    def nectar_compute(computation):
        return (yield) * 2

    @nectar.hookimpl
    def nectar_worker_stopping():
        print("stopped")
    """


SINGLE = """
    # /// script
    # dependencies = []
    #
    # [tool.nectar]
    # env = {MORE = "1"}
    # concurrency = 2
    # ///
    import os

    import nectar

    @nectar.handler
    def length(comp):
        print("asked")
        return len(comp.query) + int(os.environ["MORE"])

    @nectar.handler
    def other(comp):
        return 1
    """


class Author:
    """A project, and what an installation of it leaves on the path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("pyproject.toml", PROJECT)
        self.write("author_one.py", HANDLER)
        self.write("author_hooks.py", "")
        self.write("here", "abc")

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def install(self, *entries: str) -> None:
        self.write("author_one-0.dist-info/METADATA", "Metadata-Version: 2.1\nName: Author.One\nVersion: 0\n")
        text = textwrap.dedent(ENTRIES).format(entry="\n".join(f"{entry} = author_one:{entry}" for entry in entries))
        self.write("author_one-0.dist-info/entry_points.txt", text)


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Author(tmp_path)
    logging.getLogger("author").handlers.clear()
    for name in [name for name in sys.modules if name.startswith("author_")]:
        del sys.modules[name]


def test_hooks_are_called_as_in_a_worker(author: Author, capsys: pytest.CaptureFixture[str]) -> None:
    author.write("author_hooks.py", HOOKS)
    author.install("length")
    question = computation("abc")
    with worker(project=author.directory) as loaded:
        assert loaded.printed == "started\n"
        assert loaded.ask(question) == 6
        assert question.targets  # the handler has one of its own
        loaded.begin()
        assert loaded.ask_all(["a", "bc"]) == [2, 4]
        assert loaded.printed == "asked\n" * 2
    assert loaded.printed.endswith("stopped\n")
    assert capsys.readouterr().out.split() == ["started", "stopped"]


def test_what_looks_after_answers_is_called_before_they_are_returned(author: Author) -> None:
    author.write(
        "author_hooks.py",
        """
        import nectar

        @nectar.hookimpl
        async def nectar_answered(computation, result):
            print(computation.query, result.status, result.value, result.error)
            if computation.query == "bad":
                raise OSError("no hold")
        """,
    )
    author.install("length", "strange")
    with worker("length", project=author.directory) as loaded:
        assert loaded.ask("abc") == 3
        assert loaded.ask_all(["a", "bc"], concurrency=2) == [1, 2]
        with pytest.raises(OSError, match="no hold"):
            loaded.ask("bad")
        said = [line for line in loaded.printed.splitlines() if line != "asked"]
    assert (said[0], sorted(said[1:3])) == ("abc success 3 None", ["a success 1 None", "bc success 2 None"])
    with worker("strange", project=author.directory) as loaded:
        with pytest.raises(TypeError, match="str"):
            loaded.ask("x")
        assert loaded.printed.startswith("x error None TypeError: ")


def test_parts_run_where_the_hook_says_while_the_handlers_code_runs(author: Author) -> None:
    author.write(
        "author_hooks.py",
        """
        import concurrent.futures
        import nectar

        given = []

        @nectar.hookimpl
        def nectar_executor():
            given.append(concurrent.futures.ThreadPoolExecutor(1, "given"))
            return given[-1]

        @nectar.hookimpl
        def nectar_worker_stopping():
            print(nectar.executor() is given[-1])
        """,
    )
    author.install("parts")
    author.write("pyproject.toml", PROJECT.replace("[tool.nectar]", '[tool.nectar]\n    executor = "parts"'))
    author.write(
        "author_one.py",
        """
        import threading
        import nectar

        @nectar.handler
        def parts(comp):
            return len(nectar.executor().submit(threading.current_thread).result().name)
        """,
    )
    with worker(project=author.directory) as first:
        with worker(project=author.directory) as second:
            assert (first.ask(), second.ask(), first.ask()) == (7, 7, 7)  # given_0
            assert first.ask_all(["a", "b"]) == [7, 7]
            assert nectar.executor().submit(threading.current_thread).result().name.startswith("part_")
        assert second.printed == "True\n"
        assert first.ask() == 7
    for pool in sys.modules["author_hooks"].given:
        with pytest.raises(RuntimeError):
            pool.submit(abs, -1)
    with pytest.raises(RuntimeError, match="without `with`"):
        nectar.executor().shutdown()


def test_the_project_is_that_of_the_calling_file(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    author.install("where")
    monkeypatch.chdir("/")
    program = "from nectar.testing import worker\nwith worker() as loaded: answer = loaded.ask(), loaded.printed"
    names: dict[str, Any] = {}
    (author.directory / "tests").mkdir()
    exec(compile(program, author.directory / "tests" / "test_it.py", "exec"), names)
    assert names["answer"] == (4, "logged 5eed1e55\n")
    assert Path.cwd() == Path("/")
    with pytest.raises(NectarError, match=r"no pyproject.toml with a \[project\]"), worker(project="/"):
        pass
    with pytest.raises(NectarError, match="nothing at this path"), worker(project=author.directory / "nothing"):
        pass


def test_a_single_file(author: Author) -> None:
    author.write("elsewhere/author_single.py", SINGLE)
    file = author.directory / "elsewhere" / "author_single.py"
    with worker("length", project=file) as loaded:
        assert loaded.ask("abc") == 4
        assert loaded.ask_all(["a", "ab"]) == [2, 3]
        assert loaded.printed == "asked\n" * 3
    with worker("other", project=file) as loaded:
        assert loaded.ask() == 1
    with pytest.raises(NectarError, match="There are 2 @handler functions"), worker(project=file):
        pass
    assert str(file.parent) not in sys.path


def test_several_at_once_as_the_settings_say(author: Author) -> None:
    author.install("meeting")
    with worker(project=author.directory) as loaded:
        assert loaded.ask_all(["a", "ab", "abc"]) == [1, 2, 3]
        assert loaded.printed == "True\n" * 3
    author.write("author_hooks.py", HOOKS)
    del sys.modules["author_one"], sys.modules["author_hooks"]
    with worker(project=author.directory) as loaded:
        assert loaded.ask_all([computation("a", comp_id=str(number)) for number in range(3)]) == [2, 2, 2]


def test_one_after_another_each_is_itself(author: Author) -> None:
    author.install("alone")
    with worker(project=author.directory) as loaded:
        assert loaded.ask_all([computation(comp_id="1"), computation(comp_id="2")], concurrency=1) == [1, 1]
        assert loaded.printed == "True\nTrue\n"

        async def test() -> int:
            return loaded.ask(computation(comp_id="3"))

        assert asyncio.run(test()) == 1
        assert loaded.printed == "True\n" * 3


def test_an_answer_that_nectar_would_refuse(author: Author) -> None:
    author.install("strange")
    with worker(project=author.directory) as loaded:
        for ask in (loaded.ask, lambda query: loaded.ask_all([query, query])):
            with pytest.raises(TypeError, match="str"):
                ask("abc")


WORDS = {
    "not installed": ("", (), "nectar dev ."),
    "two entry points": (
        "",
        ("length", "where"),
        "The handler's project has 2 entry points: length, where.*Author.One.*Choose one with handler=, as in worker",
    ),
    "no hook of that name": (
        "import nectar\n@nectar.hookimpl\ndef nectar_worker_startet(): ...",
        ("length",),
        "author_hooks.nectar_worker_startet implements nectar_worker_startet, and there is no such hook.*Did you mean nectar_worker_started?",
    ),
    "no function": ("", ("lenght",), "The entry point 'author_one:lenght' points nowhere.*Correct what"),
}


@pytest.mark.parametrize("case", WORDS)
def test_what_is_wrong_is_told_as_nectar_test_tells_it(author: Author, pytester: pytest.Pytester, case: str) -> None:
    hooks, entries, said = WORDS[case]
    author.write("author_hooks.py", hooks)
    if entries:
        author.install(*entries)
    if case == "no hook of that name":
        with pytest.warns(UserWarning, match="plugin 'hooks' cannot be used"), worker(project=author.directory):
            return
    test = author.directory / "test_it.py"
    test.write_text("def test_it(worker): ...")
    ended = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly", test)
    ended.assert_outcomes(errors=1)
    assert re.search(said, ended.stdout.str(), re.DOTALL), ended.stdout.str()
    assert "Traceback" not in ended.stdout.str()
    assert "loaded.py" not in ended.stdout.str()


FAILS = """
    import nectar
    import pytest
    from nectar.testing import ask

    @nectar.handler
    async def fails(comp):
        raise LookupError(comp.query)

    @pytest.mark.parametrize("number", [1, 2])
    def test_worker(worker, number):
        worker.ask_all(["a", "b"], concurrency=number)

    def test_ask():
        ask(fails)

    def test_refused():
        ask(nectar.handler(lambda comp: "a"))
    """


def test_a_traceback_begins_with_the_authors_lines(author: Author, pytester: pytest.Pytester) -> None:
    author.write("author_hooks.py", "import nectar\n@nectar.hookimpl\ndef nectar_compute(computation): raise LookupError()")
    author.install("length")
    author.write("test_it.py", FAILS)
    ended = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--tb=short", author.directory / "test_it.py")
    ended.assert_outcomes(failed=4)
    files = re.findall(r"^([\w/.-]+\.py):\d+: in", ended.stdout.str(), re.MULTILINE)
    assert {Path(file).name for file in files} == {"test_it.py", "author_hooks.py"}


TESTS = """
    import pytest

    def test_first(worker):
        assert worker.ask("abc") == 3
        assert worker.printed == "asked\\n"

    def test_second(worker):
        assert worker.printed == ""

    @pytest.mark.nectar(handler="where")
    def test_another(worker):
        assert worker.ask() == 4

    @pytest.mark.nectar(handel="where")
    def test_misspelt(worker): ...
    """


def test_the_fixture_loads_once(author: Author, pytester: pytest.Pytester) -> None:
    author.write("author_hooks.py", "import nectar\n@nectar.hookimpl\ndef nectar_worker_started(): print('it is loaded')")
    author.install("length", "where")
    author.write("test_it.py", "import pytest\npytestmark = pytest.mark.nectar(handler='length')\n" + textwrap.dedent(TESTS))
    ended = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers", "-s", author.directory / "test_it.py")
    ended.assert_outcomes(passed=3, errors=1)
    assert ended.stdout.str().count("it is loaded") == 2  # an entry point each
    ended.stdout.fnmatch_lines(["*takes project= and handler=, not ('handel',)*"])
