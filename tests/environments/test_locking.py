"""Locks whose files come and go."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from nectar.locks import Busy, held, is_free

PATIENCE = 60.0


def test_one_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    assert is_free(path)
    with held(path):
        assert not is_free(path)
        with pytest.raises(Busy), held(path, wait=False):
            pass
    assert is_free(path)
    with held(path, shared=True), held(path, shared=True, wait=False), pytest.raises(Busy), held(path, wait=False):
        pass


def test_a_directory_that_goes_with_its_lock_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    waits, has = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with held(path, waiting=waits.set):
            has.set()

    thread = threading.Thread(target=wait_for_it)
    with held(path):
        thread.start()
        assert waits.wait(PATIENCE)
        shutil.rmtree(path.parent)
    assert has.wait(PATIENCE)
    thread.join(PATIENCE)
    assert path.is_file()


def test_many_who_make_and_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    inside: list[int] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                with held(path):
                    inside.append(1)
                    assert len(inside) == 1
                    inside.pop()
                    shutil.rmtree(path.parent, ignore_errors=True)
        except BaseException as error:  # told below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_stands_in_the_place_of_its_directory(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "locks"
    if kind == "file":
        directory.write_text("kept")
    else:
        directory.symlink_to(tmp_path / "absent")
    with pytest.raises(FileExistsError, match="locks"), held(directory / "lock"):
        pass
    assert os.listdir(tmp_path) == ["locks"]
