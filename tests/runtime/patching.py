"""A handler that replaces builtins: when it is loaded, or all of them in a run."""

import builtins

import nectar

_print = builtins.print
vars(builtins)["print"] = lambda *words: _print("loudly:", *words)


@nectar.handler
def patching(comp: nectar.Computation) -> int:
    print(comp.query, len(comp.query))
    if comp.query == "all":
        vars(builtins).update(dict.fromkeys(vars(builtins)))
    elif comp.query == "and raise":
        error = LookupError(comp.query)
        vars(builtins).update(dict.fromkeys(vars(builtins).keys() - {"BaseException"}))
        raise error
    return 1
