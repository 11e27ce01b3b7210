"""From an entry point to something that answers: one function, hooks, plugins, and what is wrong with each."""

from __future__ import annotations

import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from nectar.api.computation import ComputationResult
from nectar.errors import NectarError
from nectar.runtime.worker.hooks import PRIVATE_PLUGGY
from nectar.runtime.worker.loader import Handler, load
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGGY = str(Path(pluggy.__file__).parent)


class Code:
    """Modules of an author's, in this process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, name: str, text: str) -> str:
        path = self.path(name)
        Path(path).write_text("import nectar\n" + textwrap.dedent(text))
        return path

    def path(self, name: str) -> str:
        return str(self._directory / f"{name}.py")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = {*sys.modules} - {PRIVATE_PLUGGY}
    sys.modules.pop(PRIVATE_PLUGGY, None)
    yield Code(tmp_path)
    for name in {*sys.modules} - before:
        if name.startswith("author_") or name.partition(".")[0] == PRIVATE_PLUGGY:
            del sys.modules[name]


def ask(handler: Handler, query: str = "abc") -> object:
    return handler.answer(sample(query))


FUNCTION = """
    @nectar.handler
    def answer(comp):
        return len(comp.query)
    """
PLUGIN = """
    class First:
        @nectar.hookimpl
        def nectar_compute(self, computation):
            return 100 if computation.query == "mine" else None

    class Broken:
        def __init__(self):
            raise OSError("no model")

        @nectar.hookimpl
        def nectar_compute(self, computation):
            return 1

    class Wrong:
        @nectar.hookimpl
        def nectar_compute(self, query):
            return 1
    """


@pytest.mark.parametrize("entry", ["author_one:answer", "author_one"])
def test_one_function_is_called_as_it_is_and_without_pluggy(code: Code, entry: str) -> None:
    code.write("author_one", FUNCTION)
    handler = load(entry, [], "/nowhere")
    assert handler.compute is sys.modules["author_one"].answer
    assert ask(handler) == 3
    assert (handler.started(), handler.stopping(), handler.warnings) == (None, None, [])
    assert PRIVATE_PLUGGY not in sys.modules


def test_a_coroutine_is_run_to_its_end_in_one_loop(code: Code) -> None:
    code.write(
        "author_async",
        """
        import asyncio

        loops = set()

        @nectar.handler
        async def answer(comp):
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            return len(loops)
        """,
    )
    handler = load("author_async:answer", [], PLUGGY)
    assert [ask(handler) for _ in range(3)] == [1, 1, 1]


def test_a_coroutine_from_behind_a_decorator_is_run_to_its_end(code: Code) -> None:
    code.write(
        "author_wrapped",
        """
        import asyncio, functools

        def timed(function):
            @functools.wraps(function)
            def call(comp):
                return function(comp)
            return call

        @nectar.handler
        @timed
        async def answer(comp):
            await asyncio.sleep(0)
            return len(comp.query)
        """,
    )
    handler = load("author_wrapped:answer", [], PLUGGY)
    assert ask(handler) == 3
    handler.coroutines.close()


def test_several_coroutines_are_run_in_one_loop_whatever_stands_between(code: Code) -> None:
    code.write(
        "author_many",
        """
        import asyncio

        together = asyncio.Barrier(3)

        @nectar.handler
        async def answer(comp):
            await together.wait()
            return len(comp.query)

        @nectar.hookimpl(wrapper=True)
        def nectar_compute(computation):
            return (yield) + 1
        """,
    )
    direct, hooked = load("author_many:answer", [], PLUGGY), load("author_many", [], PLUGGY)
    assert direct.task is sys.modules["author_many"].answer
    assert hooked.task is None
    loop = hooked.coroutines.loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    with ThreadPoolExecutor(3) as threads:
        assert [*threads.map(lambda query: ask(hooked, query), ["", "a", "ab"])] == [1, 2, 3]
    loop.call_soon_threadsafe(loop.stop)
    running.join()
    loop.close()


def test_a_plugin_is_asked_before_the_function(code: Code) -> None:
    code.write("author_two", FUNCTION)
    code.write("author_plugin", PLUGIN)
    handler = load("author_two:answer", [("first", "author_plugin:First")], PLUGGY)
    assert (ask(handler, "mine"), ask(handler, "other")) == (100, 5)
    assert handler.warnings == []
    assert "pluggy" in str(sys.modules[PRIVATE_PLUGGY].__file__)


def test_a_module_may_have_a_function_and_hooks(code: Code) -> None:
    code.write(
        "author_three",
        FUNCTION
        + """
    told = []

    @nectar.hookimpl
    def nectar_worker_started():
        told.append("started")

    @nectar.hookimpl
    def nectar_worker_stopping():
        told.append("stopping")
    """,
    )
    handler = load("author_three", [], PLUGGY)
    handler.started()
    assert ask(handler) == 3
    handler.stopping()
    assert sys.modules["author_three"].told == ["started", "stopping"]


def test_what_looks_after_answers_is_told_of_its_own_computation(code: Code) -> None:
    code.write(
        "author_after",
        FUNCTION
        + """
    told = []

    @nectar.hookimpl
    async def nectar_answered(computation, result):
        told.append((computation.query, result.value))
    """,
    )
    handler = load("author_after", [], PLUGGY)
    assert handler.answered is not None
    for query in ("abc", "de"):
        answer = ask(handler, query)
        handler.answered(ComputationResult(comp_id="x", status="success", value=int(str(answer))))
    handler.answered(ComputationResult(comp_id="x", status="error", error="It is no question."))
    assert sys.modules["author_after"].told == [("abc", 3), ("de", 2)]
    handler.coroutines.close()


def test_who_looks_after_no_answer_has_nothing_called_after_it(code: Code) -> None:
    code.write("author_one", FUNCTION)
    code.write("author_plugin", PLUGIN)
    assert load("author_one", [], PLUGGY).answered is None
    assert load("author_one", [("first", "author_plugin:First")], PLUGGY).answered is None


@pytest.mark.parametrize(
    ("plugin", "warning"),
    [
        (
            "author_missing",
            "plugin 'it' (author_missing) could not be loaded: ModuleNotFoundError: No module named 'author_missing'",
        ),
        ("author_plugin:No", "plugin 'it' (author_plugin:No) could not be loaded: NectarError: "),
        ("author_plugin:Broken", "plugin 'it' cannot be used: OSError: no model"),
        ("author_plugin:Wrong", "plugin 'it' cannot be used: PluginValidationError: "),
        ("author_both", "plugin 'it' cannot be used: ValueError: "),
    ],
)
def test_a_plugin_that_is_of_no_use_stops_nobody(code: Code, plugin: str, warning: str) -> None:
    code.write("author_plugin", PLUGIN)
    code.write(
        "author_both",
        """
        @nectar.hookimpl
        def nectar_compute(computation):
            return 7
        """,
    )
    handler = load("author_both", [("it", plugin), ("first", "author_plugin:First")], PLUGGY)
    assert (ask(handler, "mine"), ask(handler, "other")) == (100, 7)
    (told,) = handler.warnings
    assert told.startswith(warning)


def test_what_is_raised_by_the_handlers_own_class_comes_out(code: Code) -> None:
    code.write("author_plugin", PLUGIN)
    with pytest.raises(OSError, match="no model"):
        load("author_plugin:Broken", [], PLUGGY)


MARK_IT = "Put @handler (from nectar import handler) above the function that answers."
CORRECT = "Correct what --handler names, or the entry point in pyproject.toml."
CALL_IT = "Write a function that calls it, with @handler above it."
ON_TOP = "Put @handler on top, above the other decorators, or have that one use functools.wraps."


@pytest.mark.parametrize(
    ("entry", "line", "message", "hint"),
    [
        ("odd:nothing", None, "The entry point 'author_odd:nothing' points nowhere: author_odd has no 'nothing'.", CORRECT),
        (
            "odd:plan",
            None,
            "The entry point 'author_odd:plan' points nowhere: author_odd has no 'plan'.",
            f"Did you mean plain? {CORRECT}",
        ),
        ("odd:A.nothing", None, "The entry point 'author_odd:A.nothing' points nowhere: author_odd:A has no 'nothing'.", CORRECT),
        ("odd:plain", 3, "author_odd:plain is a function without @handler.", MARK_IT),
        (
            "odd:A",
            None,
            "author_odd:A is a class without a hook.",
            "Put @handler on a function of the module, or @nectar.hookimpl on a method nectar_compute.",
        ),
        ("odd", None, "There are 2 @handler functions: one, two.", "Choose one: --handler one of a file; "),
        (
            "odd:Started",
            None,
            "author_odd:Started has no nectar_compute, and is no @handler function.",
            "Implement it with @nectar.hookimpl.",
        ),
        ("odd:number", None, "author_odd:number is no function but an int.", MARK_IT),
        ("odd:part", None, "author_odd:part is no function but a functools.partial.", MARK_IT),
        ("odd:sum", None, "author_odd:sum is not written in Python, and has no @handler on it.", CALL_IT),
        ("odd:bound", 22, "author_odd:bound is bound to an object, and has no @handler on it.", CALL_IT),
        (
            "class",
            None,
            "author_class has no @handler function but one in its class Answers.",
            "Move inside out of the class, or name it: ",
        ),
        (
            "class:Answers",
            None,
            "author_class:Answers is a class, and its inside is the handler.",
            'Name that: "author_class:Answers.inside".',
        ),
        (
            "hidden",
            None,
            "author_hidden has no @handler function: its shown is what a decorator has put in the place of the @handler function answer.",
            ON_TOP,
        ),
        (
            "hidden:shown",
            4,
            "author_hidden:shown is what a decorator has put in the place of the @handler function answer.",
            ON_TOP,
        ),
        ("empty", None, "author_empty has neither a @handler function nor a hook.", MARK_IT),
    ],
)
def test_what_is_no_handler_is_told_as_what_it_is(code: Code, entry: str, line: int | None, message: str, hint: str) -> None:
    code.write("author_empty", "")
    code.write(
        "author_class",
        """
        class Answers:
            @staticmethod
            @nectar.handler
            def inside(comp):
                return 1
        """,
    )
    code.write(
        "author_hidden",
        """
        def changing(function):
            def changed(*given):
                return function(*given) + 1
            return changed

        @nectar.handler
        def answer(comp):
            return 1

        shown = changing(answer)
        del answer
        """,
    )
    code.write(
        "author_odd",
        """
        def plain(comp):
            return 1

        @nectar.handler
        def one(comp):
            return 1

        @nectar.handler
        def two(comp):
            return 2

        class A:
            pass

        class Started:
            @nectar.hookimpl
            def nectar_worker_started(self):
                pass

            def other(self, comp):
                return 1

        import functools
        number, part, sum, bound = 7, functools.partial(one), sum, Started().other
        """,
    )
    with pytest.raises(NectarError) as told:
        load(f"author_{entry}", [], PLUGGY)
    path = code.path(f"author_{entry.partition(':')[0]}")
    assert told.value.message == message
    assert told.value.where == (path if line is None else f"{path}, line {line}")
    assert (told.value.hint or "").startswith(hint)


def test_a_function_under_two_names_is_one(code: Code) -> None:
    code.write("author_one", FUNCTION + "\n    again = answer\n")
    assert ask(load("author_one", [], PLUGGY)) == 3


def test_async_hooks_run_in_the_loop_of_the_function(code: Code) -> None:
    code.write(
        "author_loops",
        """
        import asyncio

        loops = []

        @nectar.hookimpl
        async def nectar_worker_started():
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())

        @nectar.hookimpl(specname="nectar_compute")
        async def first(computation):
            loops.append(asyncio.get_running_loop())
            return 100 if computation.query == "mine" else None

        @nectar.handler
        async def answer(comp):
            loops.append(asyncio.get_running_loop())
            return len({*loops})

        class Plugin:
            @nectar.hookimpl
            async def nectar_worker_stopping(self):
                loops.append(asyncio.get_running_loop())
        """,
    )
    handler = load("author_loops", [("it", "author_loops:Plugin")], PLUGGY)
    handler.started()
    assert (ask(handler, "mine"), ask(handler)) == (100, 1)
    handler.stopping()
    assert sys.modules["author_loops"].loops == 5 * [handler.coroutines.loop()]
    assert handler.warnings == []
    handler.coroutines.close()


@pytest.mark.parametrize(
    ("marker", "name", "hint"),
    [
        ("@nectar.hookimpl", "nectar_computes", "Did you mean nectar_compute?"),
        ("@nectar.hookimpl", "nectar_worker_start", "Did you mean nectar_worker_started?"),
        ('@nectar.hookimpl(specname="nectar_compte")', "other", "Did you mean nectar_compute?"),
        (
            "@nectar.hookimpl",
            "elsewhere",
            "There are nectar_compute, nectar_answered, nectar_commands, nectar_executor, nectar_worker_started, nectar_worker_stopping.",
        ),
    ],
)
def test_a_hook_that_there_is_not_is_refused_with_the_nearest(code: Code, marker: str, name: str, hint: str) -> None:
    path = code.write("author_typo", FUNCTION + f"\n    {marker}\n    def {name}():\n        pass\n")
    with pytest.raises(NectarError) as told:
        load("author_typo", [], PLUGGY)
    hook = "nectar_compte" if name == "other" else name
    assert told.value.message == f"author_typo.{name} implements {hook}, and there is no such hook."
    assert (told.value.where, told.value.hint) == (f"{path}, line 7", hint)


def test_of_a_plugin_it_is_a_warning_and_where_it_is_optional_nothing(code: Code) -> None:
    code.write("author_one", FUNCTION)
    code.write(
        "author_typo",
        """
        class Typo:
            @nectar.hookimpl
            def nectar_computed(self, computation):
                return 1

        class Optional:
            @nectar.hookimpl(optionalhook=True)
            def nectar_asked(self):
                pass
        """,
    )
    handler = load("author_one:answer", [("it", "author_typo:Typo"), ("other", "author_typo:Optional")], PLUGGY)
    assert ask(handler) == 3
    assert handler.warnings == [
        "plugin 'it' cannot be used: NectarError: Typo.nectar_computed implements nectar_computed, and there is no such hook."
    ]


UNMARKED = "it has no @nectar.hookimpl on it."
NO_VERBS = (
    "author_one.nectar_commands is not called in a handler: verbs come from what is installed beside nectar, see nectar plugins."
)
NOT_NAMED = (
    "author_one.nectar_worker_started is not called: the entry point is author_one:answer, and hooks are looked for in what it names. "
    'Have it name the module, "author_one", or add one in the group nectar.plugins.'
)


@pytest.mark.parametrize(
    ("entry", "more", "warnings"),
    [
        ("author_one", "", []),
        ("author_one", "def nectar_worker_started(): pass", [f"author_one.nectar_worker_started is not called: {UNMARKED}"]),
        (
            "author_one:answer",
            "def nectar_worker_startd(): pass",
            [f"author_one.nectar_worker_startd is not called: {UNMARKED} Did you mean nectar_worker_started?"],
        ),
        *((entry, "@nectar.hookimpl\ndef nectar_commands(): pass", [NO_VERBS]) for entry in ("author_one", "author_one:answer")),
        ("author_one", "def nectar_path(): pass", []),
        ("author_one", "nectar_compute = 7", []),
        ("author_one", "from nectar.api.hookspecs import nectar_compute", []),
        (
            "author_one:answer",
            "@nectar.hookimpl\ndef nectar_worker_started(): pass",
            [
                NOT_NAMED,
            ],
        ),
        ("author_one", "@nectar.hookimpl\ndef nectar_worker_started(): pass", []),
    ],
)
def test_what_only_seems_to_be_a_hook_is_told(code: Code, entry: str, more: str, warnings: list[str]) -> None:
    code.write("author_one", FUNCTION + textwrap.indent(f"\n{more}\n", "    "))
    handler = load(entry, [], PLUGGY)
    assert ask(handler) == 3
    assert handler.warnings == warnings


def test_hooks_of_a_module_that_is_a_plugin_too_are_called(code: Code) -> None:
    code.write("author_one", FUNCTION + textwrap.indent("\n@nectar.hookimpl\ndef nectar_worker_started(): pass\n", "    "))
    handler = load("author_one:answer", [("it", "author_one")], PLUGGY)
    assert ask(handler) == 3
    assert handler.warnings == []
