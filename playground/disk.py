"""The folder of a store on disk: what diskcache may keep in it, and whether a store can be made of it."""

import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import diskcache

COLUMNS = ("key", "raw", "store_time", "expire_time", "access_time", "tag", "size", "mode", "filename", "value")


class PlainDisk(diskcache.Disk):
    """Bytes and text only, inside the folder only: nothing is ever unpickled, whatever lies there."""

    def store(self, value, read, key=diskcache.UNKNOWN):  # noqa: ANN001, ANN201  (diskcache's signature)
        if not isinstance(value, bytes | str):
            raise TypeError("The store keeps bytes and text only.")
        return super().store(value, read, key=key)

    def fetch(self, mode, filename, value, read):  # noqa: ANN001, ANN201
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("The store holds no pickles.")
        if filename is not None and not self._inside(filename):
            raise ValueError("The store has no files outside its folder.")
        return super().fetch(mode, filename, value, read)

    def get(self, key, raw):  # noqa: ANN001, ANN201
        if not raw:
            raise ValueError("The store holds no pickles.")
        return super().get(key, raw)

    def remove(self, file_path):  # noqa: ANN001, ANN201
        if self._inside(file_path):
            super().remove(file_path)

    def _write(self, full_path, iterator, mode, encoding=None):  # noqa: ANN001, ANN202
        try:
            return super()._write(full_path, iterator, mode, encoding)
        except OSError:
            Path(full_path).unlink(missing_ok=True)  # what a full disk had room for
            raise

    def _inside(self, filename: str) -> bool:
        folder = Path(self._directory).resolve()
        return (folder / filename).resolve().is_relative_to(folder)


def file_of(folder: Path) -> tuple[int, int] | None:
    """Which file is the folder's database now. One that is open would go on taking pictures after it was deleted."""
    try:
        found = os.stat(folder / diskcache.core.DBNAME)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_broken(folder: Path) -> bool:
    """True where something lies in the folder's place that no store can be made of. One that is locked, full or not
    ours to read is not broken."""
    if not folder.is_dir():
        return folder.exists()
    database = folder / diskcache.core.DBNAME
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute(f"SELECT {', '.join(COLUMNS)} FROM Cache LIMIT 1")
            return connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]
    except sqlite3.OperationalError as problem:
        return "no such" in str(problem)  # a table or a column
    except sqlite3.DatabaseError:
        return True


def another_name(folder: Path) -> Path:
    """A name beside the folder that nothing has yet."""
    names = (folder.with_name(f"{folder.name}-broken-{n}") for n in count(1))
    return next(name for name in names if not name.exists())
