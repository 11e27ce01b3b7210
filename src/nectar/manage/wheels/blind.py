"""A Python that says once what it is, and runs nothing: uv resolves by it, and cannot build."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

_TEXT = """\
#!/bin/sh
# uv asks a Python what it is before it does anything else, and remembers that.
mkdir {asked} 2>/dev/null || exit 1
[ "$1 $2 $3" = "-I -B -c" ] || exit 1
case $4 in *"from python.get_interpreter_info import main; main()") ;; *) exit 1 ;; esac
told=$({python} "$@") || exit 1
printf '%s\\n' "$told" | sed -e {said}
"""


def make(directory: Path, python: Path) -> Path:
    """Write it.

    :param python: what it is like.
    """
    place = directory / "python"
    itself = re.sub(r"([\\&#])", r"\\\1", json.dumps(str(place)))
    said = rf's#"\(sys_[a-z_]*executable\)": "[^"]*"#"\1": {itself}#g'
    asked, real, change = (shlex.quote(str(each)) for each in (f"{place}.asked", python, said))
    place.write_text(_TEXT.format(asked=asked, python=real, said=change), encoding="utf-8")
    place.chmod(0o700)
    return place
