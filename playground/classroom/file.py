"""The file that keeps the classes: one connection for all threads, its tables, and what is said where it fails."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playground.refusal import Refusal

VERSION = 1
BUSY = 10  # seconds that one writer waits for another process
TABLES = """
CREATE TABLE IF NOT EXISTS classes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL, password BLOB,
  ends REAL NOT NULL, closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS teachers (  -- a browser that may teach it
  class INTEGER NOT NULL REFERENCES classes ON DELETE CASCADE, mark TEXT NOT NULL, PRIMARY KEY (class, mark)
);
CREATE TABLE IF NOT EXISTS members (
  id INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL REFERENCES classes ON DELETE CASCADE,
  number INTEGER NOT NULL, name TEXT NOT NULL, mark TEXT NOT NULL, UNIQUE (class, mark)
);
CREATE TABLE IF NOT EXISTS rounds (
  id INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL REFERENCES classes ON DELETE CASCADE,
  number INTEGER NOT NULL, what TEXT NOT NULL, frozen INTEGER NOT NULL DEFAULT 0,
  revealed INTEGER NOT NULL DEFAULT 0, measured TEXT
);
CREATE INDEX IF NOT EXISTS rounds_of ON rounds (class, number);
CREATE TABLE IF NOT EXISTS answers (
  round INTEGER NOT NULL REFERENCES rounds ON DELETE CASCADE,
  member INTEGER NOT NULL REFERENCES members ON DELETE CASCADE, answer TEXT NOT NULL, PRIMARY KEY (round, member)
);
"""


class File:
    """Opened when it is first needed, and anew after every failure, so that a mended disk is found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def exists(self) -> bool:
        """Whether anything was ever kept."""
        try:
            return self._path.exists()
        except OSError:
            return False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time. Raises Refusal where the file cannot be used now."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = opened(self._path)
                yield self._connection
            except (sqlite3.Error, OSError) as problem:
                self.close()
                raise Refusal(_unkept(problem)) from None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing of it."""
        with self.reading() as sql:
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
            except BaseException:
                sql.execute("ROLLBACK")
                raise
            sql.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def opened(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode, which a crash or a restart leaves whole; the tables are made where there are none.

    Raises sqlite3.Error or OSError where that cannot be done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        if connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
            raise sqlite3.OperationalError("the file is of a newer version")
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _unkept(problem: Exception) -> str:
    """Without the folder's whereabouts, which are nobody's business but the operator's."""
    coded = isinstance(problem, OSError) and problem.errno
    reason = os.strerror(problem.errno) if coded else str(problem) or type(problem).__name__
    return f"Classes cannot be kept here: {reason.lower()}. Everything else on the page works."
