"""Mistakes that authors make, and what each message must hold: which thing it is about, where that is, and what to type next.

Those of ``MODULES`` are a module each of one project, with an entry point of that name: one environment is built for all of them. ``{at}``
stands for the file, and ``{project}`` for the project's directory.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """:ivar code: of the module or file.
    :ivar told: what standard error must hold.
    :ivar arguments: of ``nectar test``, besides the handler.
    :ivar entry: what the entry point names in the module.
    :ivar exits: the exit code.
    """

    code: str
    told: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    entry: str = ":answer"
    exits: int = 1


def run(body: str) -> str:
    """A handler whose function goes like this."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"import asyncio, os, sys, time\nimport nectar\nfrom nectar import handler, Computation\n\n@handler\ndef answer(comp):\n{lines}"


OK = run("return 1")
MARKED = "from nectar import handler\n\n"
FIELDS = "A Computation has comp_id, query, proposer, aggregators, targets, deadline, timestamp, metadata, response_schema."
NAMES = "`from nectar import …` gives Computation, ComputationResult, comp_id, executor, handler, hookimpl, and nectar.testing what tests need."
TERMINAL = "A handler has no terminal: what it is to know comes with the computation, or as a variable (--env NAME=…)."
AT = 'File "{at}", line '

MODULES: dict[str, Mistake] = {
    # What is imported.
    "missing": Mistake(
        f"import requests\n{OK}", (AT + "1", "No module named 'requests'", "   uv add --project mistakes requests\n")
    ),
    "called": Mistake(f"import yaml.nodes\n{OK}", (AT + "1", "No module named 'yaml'", "   uv add --project mistakes pyyaml\n")),
    "late": Mistake(run("import requests"), (AT + "7, in answer", "   uv add --project mistakes requests\n")),
    "extra": Mistake(
        f"import click\n{OK}",
        (AT + "1", "The extra web has it: --extra web here and at launch. Always: uv add --project mistakes click"),
    ),
    "group": Mistake(
        f"import pytest\n{OK}",
        (AT + "1", "It is in the dependency group dev, of which a handler gets nothing: uv add --project mistakes pytest"),
    ),
    "windows": Mistake(
        f"import winreg\n{OK}",
        (AT + "1", "as it is here, has no winreg, which others have: choose another with --python, or requires-python."),
    ),
    "beside": Mistake(
        f"import helpers\n{OK}",
        (AT + "1", "mistakes/src/mistakes/helpers.py lies beside it, in the same package: write `from . import helpers`"),
    ),
    "unpacked": Mistake(
        f"from tools import tool\n{OK}",
        (AT + "1", "mistakes/tools.py is not packed with the project: move it into the project's package"),
    ),
    "part": Mistake(
        f"from mistakes.helper import help\n{OK}",
        (AT + "1", "No module named 'mistakes.helper'", "There is no helper.py in mistakes/src/mistakes. Did you mean helpers?"),
    ),
    "dots": Mistake(f"from ... import helpers\n{OK}", (AT + "1", "beyond top-level package", "It has more dots than packages")),
    "typo": Mistake("from nectar import handlr\n", (AT + "1", "cannot import name 'handlr'", f"Did you mean handler? {NAMES}")),
    "case": Mistake("from nectar import computation\n", (AT + "1", f"Did you mean Computation? {NAMES}")),
    "attribute": Mistake("import nectar\n\n@nectar.hook\ndef answer(comp): ...\n", (AT + "3", f"Did you mean hookimpl? {NAMES}")),
    "elsewhere": Mistake("from nectar.handlers import handler\n", (AT + "1", f"Did you mean handler? {NAMES}")),
    "undefined": Mistake("@handler\ndef answer(comp): ...\n", (AT + "1", "   from nectar import handler\n")),
    "syntax": Mistake("def answer(comp):\n    return (1\n", (AT + "2", "SyntaxError: '(' was never closed")),
    # What is done at import, or needs what a handler has not.
    "asks": Mistake(f"name = input('Name? ')\n{OK}", (AT + "1", "EOFError", TERMINAL)),
    "asks_late": Mistake(run("return int(input())"), (AT + "7", "EOFError", TERMINAL)),
    "main": Mistake(
        f"import sys\n{OK}\nsys.exit(print(answer))\n",
        (AT + "10", "SystemExit", 'is done then goes below `if __name__ == "__main__":`'),
    ),
    "parses": Mistake(
        f"import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('model')\nparser.parse_args()\n{OK}",
        (AT + "4", "SystemExit: 2", 'goes below `if __name__ == "__main__":`'),
    ),
    "leaves": Mistake(run("sys.exit(3)"), (AT + "7", "SystemExit: 3", "A handler returns its answer, or raises an exception")),
    "shell": Mistake(
        f"import os\nkey = os.environ['API_KEY']\n{OK}",
        (
            AT + "2",
            "KeyError: 'API_KEY'",
            'The launching shell has API_KEY; a handler gets it with --env API_KEY, or pass_env = ["API_KEY"]',
        ),
    ),
    "nobody": Mistake(
        run("return int(os.environ['NO_SUCH'])"),
        (AT + "7", "Neither the handler nor this shell has NO_SUCH: --env NO_SUCH=… gives it one."),
    ),
    "file": Mistake(
        run("return len(open('words.txt').read())"),
        (AT + "7", "'words.txt'", "A path that begins with no / is looked for in {project}, where the handler runs."),
    ),
    "data": Mistake(
        f"import pathlib\nwords = pathlib.Path(__file__).with_name('words.dat').read_text()\n{OK}",
        (AT + "2", "words.dat", "mistakes/src/mistakes/words.dat is not packed with the project"),
    ),
    # What is to be the handler.
    "unmarked": Mistake(
        "def answer(comp):\n    return 1\n",
        ("mistakes.unmarked:answer is a function without @handler", "{at}, line 1", "Put @handler"),
    ),
    "nothing": Mistake(
        "import math\n", ("mistakes.nothing has neither a @handler function nor a hook", "{at}", "Put @handler"), entry=""
    ),
    "two": Mistake(
        f"{OK}\n@handler\ndef other(comp):\n    return 2\n",
        ("There are 2 @handler functions: answer, other.", "{at}", '"mistakes.two:answer" as the entry point of a project'),
        entry="",
    ),
    "near": Mistake(
        OK.replace("answer", "analyze"),
        ("mistakes.near has no 'analyse'", "{at}", "Did you mean analyze? Correct", "pyproject.toml"),
        entry=":analyse",
    ),
    "called_it": Mistake(OK, ("has no 'answer()'", "{at}", "Did you mean answer?"), entry=":answer()"),
    "spaces": Mistake(OK, (), entry=" : answer [extra]", exits=0),
    "method": Mistake(
        f"{MARKED}class Answers:\n    @handler\n    def answer(self, comp):\n        return 1\n",
        (AT + "4", "Answers.answer is a method, which is given an object first; move it out of the class"),
        entry=":Answers.answer",
    ),
    "class": Mistake(
        f"{MARKED}@handler\nclass Answers:\n    def __call__(self, comp):\n        return 1\n",
        (AT + "3", "Answers is a class; it goes on a function"),
    ),
    "partial": Mistake(
        f"{MARKED}import functools\nanswer = handler(functools.partial(max, 1))\n",
        (AT + "4", "it goes on a function", "it was given a partial"),
    ),
    "hidden": Mistake(
        f"{MARKED}def timed(f):\n    def inner(comp):\n        return f(comp)\n    return inner\n\n@timed\n@handler\ndef answer(comp):\n    return 1\n",
        (
            "is what a decorator has put in the place of the @handler function answer",
            "{at}, line 4",
            "Put @handler on top",
            "functools.wraps",
        ),
    ),
    "yields": Mistake(
        f"{MARKED}@handler\ndef answer(comp):\n    yield 1\n", (AT + "3", "answer yields; a handler returns one integer")
    ),
    "more": Mistake(
        f"{MARKED}@handler\ndef answer(comp, model):\n    return 1\n",
        (AT + "3", "answer(comp, model) cannot be called with one computation", "`def answer(comp: Computation) -> int`"),
    ),
    "none": Mistake(
        f"{MARKED}@handler\ndef answer():\n    return 1\n", (AT + "3", "answer() cannot be called with one computation")
    ),
    "options": Mistake(
        f"{MARKED}@handler(deadline=5)\ndef answer(comp):\n    return 1\n",
        (AT + "3", "unexpected keyword argument 'deadline'", "@handler takes nothing; settings stand in [tool.nectar]."),
    ),
    "named": Mistake(
        f"{MARKED}@handler('answers')\ndef answer(comp):\n    return 1\n",
        (AT + "3", "it goes on a function, and was given a str; there is nothing to say in parentheses"),
    ),
    "hook": Mistake(
        "import nectar\n\n@nectar.hookimpl\ndef nectar_computes(computation):\n    return 1\n",
        (
            "mistakes.hook.nectar_computes implements nectar_computes, and there is no such hook",
            "{at}",
            "Did you mean nectar_compute?",
        ),
        entry="",
    ),
    "deaf": Mistake(
        f"{OK}\ndef nectar_worker_started(): ...\n",
        ("mistakes.deaf.nectar_worker_started is not called", "@nectar.hookimpl"),
        exits=0,
    ),
    # What it answers.
    "float": Mistake(
        run("return 0.5"),
        (
            "mistakes.float:answer in {project}",
            "the handler returned a float; it must return an int (int(…) or round(…) makes one)",
        ),
    ),
    "bool": Mistake(
        run("return 'a' in comp.query"),
        ("mistakes.bool:answer in {project}", "the handler returned a bool; it must return an int (int(…) makes one)"),
    ),
    "text": Mistake(run("return '7'"), ("mistakes.text:answer in {project}", "the handler returned a str; it must return an int")),
    "no_return": Mistake(
        run("len(comp.query)"),
        ("mistakes.no_return:answer in {project}", "the handler returned None; it must return an int (is a `return` missing?)"),
    ),
    "below": Mistake(run("return -1"), ("-1 is outside 0 … 2**32 - 1: out of the network it comes as 4294967295.",), exits=0),
    "field": Mistake(run("return len(comp.querry)"), (AT + "7", f"Did you mean query? {FIELDS}")),
    "frozen": Mistake(
        run("comp.query = comp.query.lower()"), (AT + "7", "cannot assign to field 'query'", "A Computation cannot be changed")
    ),
    "loops": Mistake(
        "import asyncio\nfrom nectar import handler\n\n@handler\nasync def answer(comp):\n    return asyncio.run(asyncio.sleep(0, 1))\n",
        (AT + "6", "A loop runs already: make the handler `async def`, and await there."),
    ),
    "slow": Mistake(
        run("time.sleep(60)"),
        ("mistakes.slow:answer in {project}", "did not answer within 0.2 s", "--computation FILE asks one with another deadline"),
        ("--computation", "short.json"),
    ),
    "dies": Mistake(
        run("os._exit(3)"), ("mistakes.dies:answer in {project}", "The worker ended with exit code 3 before it had an answer.")
    ),
}

FILES: dict[str, Mistake] = {
    "needs.py": Mistake(
        f"import requests\n{OK}", (AT + "1", "No module named 'requests'", "   uv add --script needs.py requests\n")
    ),
    "relative.py": Mistake(
        f"from . import helper\n{OK}",
        (AT + "1", "A single file is in no package: write `import helper` where it says `from . import helper`."),
    ),
    "dynamic.py": Mistake(
        f"import importlib\nhelper = importlib.import_module('helper')\n{OK}",
        (AT + "2", "helper.py lies beside it and was not taken along", "`import helper`"),
    ),
    "empty.py": Mistake("", ("empty has neither a @handler function nor a hook", "{at}", "Put @handler")),
    "several.py": Mistake(
        f"{OK}\n@handler\ndef other(comp):\n    return 2\n",
        ("There are 2 @handler functions: answer, other.", "{at}", "Choose one: --handler answer"),
    ),
    "block.py": Mistake(f"# /// scripts\n# dependencies = []\n# ///\n{OK}", ("{at}", "# /// script"), exits=5),
    "toml.py": Mistake(f"# /// script\n# dependencies = [\n# ///\n{OK}", ("{at}",), exits=5),
    "notes.txt": Mistake(
        "",
        (
            "This is no handler",
            "{at}",
        ),
        exits=2,
    ),
}

HEAD = '[project]\nname = "h"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = []\n'
ENTRIES = '[project.entry-points."nectar.handlers"]\nh = "h:answer"\n'
BUILD = '[build-system]\nrequires = ["uv_build>=0.9,<100"]\nbuild-backend = "uv_build"\n'
WHOLE = HEAD + ENTRIES + BUILD

PROJECTS: dict[str, Mistake] = {
    "tables": Mistake(
        '[tool.poetry]\nname = "h"\n', ("The project has no [project] table.", "{at}", "[project.entry-points."), exits=5
    ),
    "name": Mistake(WHOLE.replace('name = "h"\n', ""), ("The project has no name.", "{at}", 'name = "'), exits=5),
    "entries": Mistake(HEAD + BUILD, ("no entry point in the group nectar.handlers", "{at}", 'answer = "h:answer"'), exits=5),
    "system": Mistake(HEAD + ENTRIES, ("The project has no [build-system]", "{at}", 'build-backend = "uv_build"'), exits=5),
    "toml": Mistake("[project\n", ("{at}", "line 1"), exits=5),
    "key": Mistake(WHOLE + "[tool.nectar]\nworker = 2\n", ("worker", "[tool.nectar] in {at}", "workers"), exits=2),
    "value": Mistake(WHOLE + '[tool.nectar]\nworkers = "two"\n', ("workers", "[tool.nectar] in {at}"), exits=2),
    "need": Mistake(
        WHOLE + '[tool.nectar]\nneeds = ["netwrok"]\n',
        ("'netwrok' is nothing that can be granted.", "needs in [tool.nectar] in {at}", "Did you mean 'network'?"),
        exits=2,
    ),
    "module": Mistake(
        WHOLE.replace("h:answer", "my_h:answer"),
        ("names the module 'my_h', which the project does not install", "Correct the entry point"),
        exits=5,
    ),
    "unnamed": Mistake(
        WHOLE.replace("h:answer", "other:answer").replace('"h"', '"other"'),
        ("Expected a Python module at: {project}/src/other/__init__.py", "{project} (the whole log is "),
        exits=5,
    ),
    "builds": Mistake(
        WHOLE.replace("uv_build>=0.9,<100", "hatchling").replace('"uv_build"', '"hatchling.build"'),
        ("h would have to be built, which --no-build forbids.", "{project} (the whole log is ", "with --sandbox, behind a wall"),
        ("--no-build",),
        exits=5,
    ),
    "requirement": Mistake(WHOLE.replace("= []", '= ["click=>8"]'), ("pyproject.toml", "click=>8"), exits=5),
}
