"""The verbs as a person meets them: in which group, in which words, with which example; and what others call them."""

from __future__ import annotations

GROUPS = {
    "Write a handler": {
        "new": "A handler project, ready to run.",
        "dev": "A project's own .venv, with nectar's API on its path.",
        "test": "Ask a handler once, without a network.",
    },
    "Run it": {
        "launch": "Run a handler as a daemon, in an environment of its own.",
        "attach": "Let a handler answer for nodes.",
        "detach": "Let it answer for them no longer.",
        "stop": "Stop handlers.",
        "start": "Start stopped handlers again.",
        "up": "Start all handlers that should run and do not.",
        "export": "What runs as a hive.toml, for up.",
        "enable": "Have handlers run from the boot on.",
        "disable": "Have them no longer run from the boot on.",
        "restart": "Run handlers as their code is now.",
        "remove": "Forget stopped handlers.",
        "worker": "Share a handler's work on another machine, with Dask.",
    },
    "See how it does": {
        "view": "What handlers there are, and how they do.",
        "logs": "A handler's log, as it grows.",
        "submit": "Ask as a node would, and wait for the answer.",
        "metrics": "Numbers of all handlers, for programs.",
        "dashboard": "A page that shows all handlers as they do.",
    },
    "Look after the machine": {
        "exec": "A command in a handler's environment.",
        "gc": "Remove environments that nothing uses.",
        "doctor": "What could go wrong on this machine.",
        "plugins": "What is installed beside nectar and adds verbs.",
        "completion": "The script with which a shell completes names.",
        "demo": "The whole thing in a temporary data dir, in front of your eyes.",
    },
}
VERBS = {verb: text for group in GROUPS.values() for verb, text in group.items()}

EXAMPLES = {
    "new": "nectar new ./my_handler_pkg",
    "dev": "nectar dev ./my_handler_pkg",
    "test": "nectar test my_handler.py --query 'How many?'",
    "launch": "nectar launch ./my_handler_pkg h01",
    "attach": "nectar attach h01 alice bob",
    "detach": "nectar detach h01 bob",
    "stop": "nectar stop 'h0*' --timeout 5",
    "start": "nectar start --all",
    "up": "nectar up -f hive.toml --dry-run",
    "export": "nectar export > hive.toml",
    "enable": "nectar enable --print",
    "disable": "nectar disable",
    "restart": "nectar restart h01 @bob",
    "remove": "nectar remove h01 --stop",
    "worker": "nectar worker ./my_handler_pkg h01 --connect tls://scheduler.example:8786 --tls ca.pem cert.pem key.pem",
    "view": "nectar view h01",
    "logs": "nectar logs 'h0*' --since 10m --level error",
    "submit": "nectar submit alice 'How many?'",
    "metrics": "nectar metrics --listen 127.0.0.1:9464",
    "dashboard": "nectar dashboard",
    "exec": "nectar exec h01 -- python -VV",
    "gc": "nectar gc --dry-run",
    "doctor": "nectar doctor",
    "plugins": "nectar plugins --json",
    "completion": 'eval "$(nectar completion bash)"',
    "demo": "nectar demo",
}

SYNONYMS = {
    **dict.fromkeys(("status", "ps", "ls", "list"), "view"),
    **dict.fromkeys(("show", "inspect", "describe", "info"), "view NAME"),
    **dict.fromkeys(("top", "watch", "monit"), "view --watch"),
    **dict.fromkeys(("rm", "delete", "del", "destroy", "uninstall"), "remove NAME"),
    **dict.fromkeys(("log", "tail"), "logs NAME"),
    **dict.fromkeys(("run", "deploy", "serve"), "launch HANDLER"),
    **dict.fromkeys(("kill", "terminate"), "stop NAME"),
    **dict.fromkeys(("down", "halt", "shutdown"), "stop --all"),
    **dict.fromkeys(("reload", "update", "upgrade"), "restart NAME"),
    **dict.fromkeys(("init", "create"), "new PATH"),
    **dict.fromkeys(("prune", "clean", "cleanup"), "gc"),
    **dict.fromkeys(("ask", "query"), "submit ALIAS QUERY"),
    **dict.fromkeys(("shell", "ssh"), "exec NAME -- sh"),
    **dict.fromkeys(("web", "ui"), "dashboard"),
    **dict.fromkeys(("stats", "prometheus"), "metrics"),
    "resume": "start NAME",
    "resurrect": "up",
    "save": "export",
    "startup": "enable",
    "unstartup": "disable",
    "check": "view --check",
    "help": "--help",
    "version": "--version",
}
"""What other tools call a verb, and what to type here. None of them runs: a script that says ``rm`` would be read as nobody's."""

EXIT_CODES = {
    0: "done",
    1: "it was tried and failed: the handler raised, --expect differs, submit was answered with an error or a timeout",
    2: "the command line, or a setting, is wrong",
    3: "there is no such handler, alias or path",
    4: "conflict: the name is running, the alias has a handler, the handler is not running, or needs what it is not granted",
    5: "the environment could not be built; uv's own words stand above",
    6: "the daemon, or an engine's scheduler, does not answer, or not in time",
    7: "view --check found something",
    130: "interrupted",
}

VARIABLES = {
    "NECTAR_DATA_DIR": "The data dir, where --data-dir does not name one.",
    "NECTAR_DISABLE_PLUGINS": "Where it is set, no plugin is loaded.",
    "NECTAR_SANDBOX": "Where it is 1, every handler has a wall, unless with --no-sandbox.",
    "NO_COLOR": "Where it is set, nothing is coloured, unless with --color always.",
}
"""Those that nectar reads from the shell, besides uv's."""


def find_meant(word: str, rest: list[str]) -> str | None:
    """The command that somebody meant who typed another tool's verb.

    :param rest: what came behind it; where these are only names, they take the place of those that are to be typed.
    """
    meant = SYNONYMS.get(word)
    if meant is None:
        return None
    verb, *places = meant.split()
    if rest and places != ["--all"] and len(rest) <= 20 and not any(each.startswith("-") for each in rest) and verb in VERBS:
        import shlex

        return f"nectar {verb} {shlex.join(rest)}"
    return f"nectar {meant}"
