"""What others have written goes, however deep it lies."""

from __future__ import annotations

import os
from pathlib import Path

from nectar.manage.files.removing import remove_tree


def test_whatever_there_is_goes_and_nothing_else(tmp_path: Path) -> None:
    kept, top = tmp_path / "kept", tmp_path / "top"
    kept.write_text("x")
    top.mkdir()
    (top / "link").symlink_to(tmp_path)
    (top / "closed").mkdir()
    (top / "closed" / "file").write_text("x")
    here = os.open(top, os.O_RDONLY)
    for _ in range(1500):  # more than Python's calls may be deep, and than a path may be long
        os.mkdir("directory", dir_fd=here)
        deeper = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.symlink(tmp_path, "link", dir_fd=here)
    os.close(here)
    (top / "closed").chmod(0)
    remove_tree(top)
    assert sorted(tmp_path.iterdir()) == [kept]
    remove_tree(top)  # what is not there
