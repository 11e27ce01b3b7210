"""What one writes with watchfiles: ``python with_watchfiles.py DIRECTORY``. It looks for changes each millisecond, which is the least."""

import json
import os
import sys
from contextlib import suppress

from watchfiles import watch


def answer(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        question = json.load(file)
    fields = {"comp_id": question["comp_id"], "status": "success", "result": {"value": len(question["query"])}}
    place = path.removesuffix(".pending")
    with open(f"{place}.aside", "w", encoding="utf-8") as file:
        json.dump({**fields, "error": None, "execution_time": None}, file)
    os.rename(f"{place}.aside", f"{place}.complete")
    os.unlink(path)


for changes in watch(sys.argv[1], debounce=1, step=1, rust_timeout=100, yield_on_timeout=True):
    paths = [path for _, path in changes] or [f"{sys.argv[1]}/{name}" for name in os.listdir(sys.argv[1])]
    for path in paths:
        if path.endswith(".pending"):
            with suppress(FileNotFoundError, json.JSONDecodeError):  # answered already, or not whole yet
                answer(path)
