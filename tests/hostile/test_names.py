"""Names cannot escape: of handlers, aliases, entry points and projects."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import nectar
from tests.soak.table import portion

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

NAMES = (
    "..",
    ".",
    "../x",
    "a/../../x",
    "/tmp/x",
    "a..b",
    ".hidden",
    "-rf",
    "a b",
    "a\nb",
    "a\tb",
    "\x1b[31m",
    "\x9b31m",
    "a\x7f",
    "a\u202eb",
    "ümläut",
    "a" * 65,
    "a;id",
    "$(id)",
    "`id`",
    "a|b",
    "a*",
    "%s",
    "a\\b",
    "~root",
    "a:b",
    "",
)
ALIASES = ("..", ".", "../x", "a/b", "/tmp", "nectar", "a\nb", "\x1b[31m", "\x9b31m", "a" * 256, "", "../nectar", "alice/../bob")
ENTRIES = ("..", "../x", "os:system", "os.system", "__import__('os')", "a b", "\x1b[31m", "no_such", "villain:os", "", "handler")


def test_names_cannot_escape(stage: Stage, row: Row) -> None:
    """Refused with 2 or 3, in a sentence, without a control byte of theirs on the terminal, and nothing is made."""
    stage.play()
    commands = [["launch", str(stage.file), name] for name in NAMES]
    commands += [[verb, name] for verb in ("stop", "start", "view") for name in NAMES]
    commands += [["logs", name, "--no-follow"] for name in NAMES]
    commands += [[verb, stage.name, alias] for verb in ("attach", "detach") for alias in ALIASES]
    commands += [["submit", alias, "number 1"] for alias in ALIASES]
    commands += [["launch", str(stage.file), "other", "--attach", alias] for alias in ALIASES]
    commands += [["launch", str(stage.file), "other", "--env", f"NOTES={stage.notes}", "--handler", entry] for entry in ENTRIES]
    count = portion(len(commands), least=20)
    chosen = [commands[index * len(commands) // count] for index in range(count)]
    before = _listing(stage)
    wrong = []
    for command in chosen:
        # What begins with a dash is an option, unless all that follows is said to be none.
        ended = stage.world.run(*(part if part != "-rf" else "./-rf" for part in command), code=None)
        said = ended.stdout + ended.stderr
        fine = ended.returncode in ((1, 2, 3, 4) if "--handler" in command else (2, 3, 4)) or (
            command[0] == "view" and command[1] == ""
        )
        if (
            not fine
            or "Traceback" in said
            or any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in said)
        ):
            wrong.append((command, ended.returncode, said[:300]))
    made = sorted(_listing(stage) ^ before)
    row(
        "names that are none are refused in a sentence, and nothing is made",
        commands=len(chosen),
        wrong=len(wrong),
        files_made=len(made),
    )
    assert not wrong, wrong[:5]
    assert made == []


def test_projects_with_names_that_escape(stage: Stage, row: Row) -> None:
    """A project, or an entry point, that is called so gets nowhere outside."""
    names = ("../escape", "/tmp/escape", "..", "a\\nb", "\\u001b[31m", "a/b", "escape ; touch escape", "$(touch escape)")
    pairs = [("project", name) for name in names] + [("entry", name) for name in names]
    count = portion(len(pairs), least=2)
    outside = [Path("/tmp/escape"), stage.world.directory.parent / "escape"]
    there = [path for path in outside if path.exists()]
    wrong, exits = [], []
    for index in range(count):
        what, name = pairs[index * len(pairs) // count]
        folder = stage.world.directory / f"p{index}"
        (folder / "src" / "inside").mkdir(parents=True)
        (folder / "src" / "inside" / "__init__.py").write_text(
            "from nectar import handler\n\n@handler\ndef inside(comp):\n    return 1\n"
        )
        project, entry = (name, "inside") if what == "project" else ("inside", name)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{project}"\nversion = "1"\n'
            f'[project.entry-points."nectar.handlers"]\n"{entry}" = "inside:inside"\n'
            '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n[tool.uv.build-backend]\nmodule-name = "inside"\n'
        )
        ended = stage.world.run("test", folder, code=None)
        exits.append(ended.returncode)
        said = ended.stdout + ended.stderr
        if "Traceback (most" in said or "\x1b" in said or "Nectar has a bug" in said:
            wrong.append((what, name, ended.returncode, said[-500:]))
    new = [path for path in stage.world.directory.rglob("*escape*") if stage.home.nectar not in path.parents]
    row(
        "a project or an entry point with such a name gets nowhere",
        launches=count,
        exits=exits,
        wrong=len(wrong),
        files_outside=len(new),
    )
    assert not wrong, wrong[:3]
    assert new == []
    assert [path for path in outside if path.exists()] == there


def test_no_shell_and_no_pasted_code(row: Row) -> None:
    """By reading our own source: no shell is ever started, and what `-c` gets is a constant."""
    found = []
    files = sorted(Path(nectar.__file__).parent.rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                shell = any(keyword.arg == "shell" for keyword in node.keywords)
                if shell or name in ("os.system", "os.popen", "eval") or name.startswith("os.spawn"):
                    found.append(f"{file.name}:{node.lineno} {name}")
            if isinstance(node, ast.List):
                parts = [ast.unparse(item) for item in node.elts]
                if "'-c'" in parts and "'git'" not in parts:
                    code = node.elts[parts.index("'-c'") + 1]
                    if not (isinstance(code, ast.Constant) or (isinstance(code, ast.Name) and code.id.isupper())):
                        found.append(f"{file.name}:{node.lineno} -c {ast.unparse(code)}")
    row("no shell, and no -c with text pasted in", files_read=len(files), found=len(found))
    assert found == []


def _listing(stage: Stage) -> set[str]:
    """All names in the world, those of environments that are built for `--handler`, and of locks, aside."""
    locks = {stage.home.start("other"), stage.home.turn("other")}
    apart = (stage.home.envs, stage.home.runtimes, stage.home.builds, stage.home.resolutions, stage.home.logs)
    return {
        str(path)
        for path in stage.world.directory.rglob("*")
        if not any(one == path or one in path.parents for one in apart)
        and "__pycache__" not in path.parts
        and "locks" not in path.parts
        and path not in locks
    }
