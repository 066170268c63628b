"""A store that cannot be read or written stops nobody: pictures are drawn, it is said, and a broken one is replaced."""

import os
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from playground.store import AGAIN, Store
from tests.test_store import picture

SIDE = 184  # of pictures that get a file of their own beside the database


def filled(folder: Path, pictures: int) -> None:
    store = Store(folder)
    for seed in range(pictures):
        store.put(picture(seed), "weights")
        store.put(picture(seed, SIDE), "weights")
    store.close()
    with sqlite3.connect(folder / "cache.db") as connection:  # everything in the one file that is then damaged
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 80 pictures, which each test damages a copy of."""
    folder = tmp_path_factory.mktemp("whole") / "cells"
    filled(folder, 40)
    return folder


def truncated(folder: Path) -> None:
    os.truncate(folder / "cache.db", (folder / "cache.db").stat().st_size // 3)


def emptied(folder: Path) -> None:
    os.truncate(folder / "cache.db", 0)


def overwritten(folder: Path) -> None:
    (folder / "cache.db").write_bytes(b"hello " * 10_000)


def random_inside(folder: Path) -> None:
    data = bytearray((folder / "cache.db").read_bytes())
    data[4096:] = np.random.default_rng(0).bytes(len(data) - 4096)
    (folder / "cache.db").write_bytes(data)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


DAMAGES = (truncated, emptied, overwritten, random_inside, a_file)


def kept(store: Store) -> bool:
    store.put(picture(100), "weights")
    found = store.get(picture(100).recipe, "weights")
    return found is not None and np.array_equal(np.asarray(found.image), np.asarray(picture(100).image))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_store_is_set_aside_and_a_new_one_begun(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(whole, tmp_path / "cells")
    damage(folder)
    store = Store(folder)
    for seed in range(40):  # some may still be found until the broken place is met
        for result in (picture(seed), picture(seed, SIDE)):
            found = store.get(result.recipe, "weights")
            assert found is None or np.array_equal(np.asarray(found.image), np.asarray(result.image))
            store.put(result, "weights")
    assert kept(store)
    assert store.notice == "Earlier pictures could not be read; they were set aside in cells-broken-1."
    assert (tmp_path / "cells-broken-1").exists() and (folder / "cache.db").exists()
    store.close()


@pytest.mark.parametrize("damage", DAMAGES[:-1])
def test_a_store_that_breaks_while_it_is_used_is_replaced(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(whole, tmp_path / "cells")
    store = Store(folder)
    assert store.get(picture(0).recipe, "weights") is not None
    damage(folder)
    for suffix in ("-wal", "-shm"):
        (folder / f"cache.db{suffix}").unlink(missing_ok=True)
    for seed in range(40):
        store.has(picture(seed).recipe, "weights")
        store.put(picture(seed), "weights")
    assert kept(store)
    store.close()
    again = Store(folder)  # and what was kept since is there after a restart
    assert kept(again) and len(again) >= 1
    again.close()


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def replaced(folder: Path) -> None:
    (folder / "other").write_bytes(b"hello " * 10_000)
    (folder / "other").rename(folder / "cache.db")


@pytest.mark.parametrize("lost", [removed, replaced])
def test_what_is_kept_after_the_store_was_deleted_or_replaced_is_there_after_a_restart(
    whole: Path, tmp_path: Path, lost: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(whole, tmp_path / "cells")
    store = Store(folder)
    assert store.get(picture(0).recipe, "weights") is not None
    lost(folder)
    assert not store.has(picture(0).recipe, "weights")
    assert kept(store)
    store.close()
    again = Store(folder)
    assert again.get(picture(100).recipe, "weights") is not None
    again.close()


def test_without_a_folder_pictures_are_given_back_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cells")
    result = store.put(picture(1), "weights")
    assert result.png and store.get(picture(1).recipe, "weights") is None and len(store) == 0
    assert not store.has(picture(1).recipe, "weights")
    assert store.notice.startswith("Finished pictures are shown, but cannot be kept here: ")
    store.close()


def test_a_folder_that_could_not_be_opened_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cells")
    (tmp_path / "file").unlink()
    assert not kept(store) and store.notice != ""  # not with each of the calls that a page makes
    now = time.monotonic()
    monkeypatch.setattr("playground.store.time.monotonic", lambda: now + AGAIN)
    assert not store.has(picture(100).recipe, "weights") and store.notice == ""
    assert kept(store)
    store.close()
    again = Store(tmp_path / "file" / "cells")
    assert again.get(picture(100).recipe, "weights") is not None
    again.close()


@contextmanager
def not_root() -> Iterator[None]:
    """Root may write everywhere."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_folder_that_may_only_be_read_is_left_as_it_is() -> None:
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folder is closed to other users
        folder = Path(open_to_all) / "cells"
        filled(folder, 2)
        before = {path.name for path in folder.rglob("*")}
        for path in (Path(open_to_all), folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        with not_root():
            store = Store(folder)
            assert store.put(picture(1), "weights").png
            store.close()
        assert store.notice.startswith("Finished pictures are shown, but cannot be kept here: ")
        assert before == {path.name for path in folder.rglob("*")}
        for path in (Path(open_to_all), folder, *folder.rglob("*")):
            path.chmod(0o755)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow past 20 kB."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, was[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)


def test_where_nothing_more_can_be_written_pictures_are_drawn_and_kept_again_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "cells")
    with full_disk():
        for seed in range(20):
            assert store.put(picture(seed, SIDE), "weights").png
    assert store.notice.startswith("Finished pictures are shown, but cannot be kept here: ")
    store.put(picture(0, SIDE), "weights")
    assert store.notice == "" and store.get(picture(0, SIDE).recipe, "weights") is not None
    assert len(list((tmp_path / "cells").rglob("*.val"))) == 1  # no half of a picture was left behind
    assert not (tmp_path / "cells-broken-1").exists()
    store.close()


def test_a_store_that_a_full_disk_has_no_room_for_is_begun_later(tmp_path: Path) -> None:
    with full_disk():
        for _ in range(2):
            store = Store(tmp_path / "cells")
            assert store.put(picture(0), "weights").png
            assert store.notice.startswith("Finished pictures are shown, but cannot be kept here: ")
            store.close()
    store = Store(tmp_path / "cells")
    assert kept(store) and store.notice == ""
    assert not (tmp_path / "cells-broken-1").exists()
    store.close()


def test_nothing_outside_the_folder_is_read_or_removed_whatever_the_database_says(tmp_path: Path) -> None:
    folder, outside = tmp_path / "cells", tmp_path / "precious.png"
    filled(folder, 1)
    outside.write_bytes(b"precious")
    with sqlite3.connect(folder / "cache.db") as connection:
        connection.execute("UPDATE Cache SET filename = '../precious.png', mode = 2, value = NULL")
    connection.close()
    store = Store(folder)
    assert store.get(picture(0).recipe, "weights") is None
    store.put(picture(0), "weights")
    assert outside.read_bytes() == b"precious"
    store.close()
