"""Finished cells on disk, by recipe: what was rendered once is never lost and never rendered again."""

import base64
import io
import json
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import diskcache
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from playground import pictures
from playground.disk import PlainDisk, another_name, file_of, is_broken
from playground.engine import Result
from playground.recipe import Recipe

SIZE_LIMIT = 2 * 2**30  # bytes; the least recently used cells go first
IN_MEMORY = 16  # of the pictures that runs start from, the latest, so that they are there also if nothing can be kept
AGAIN = 10.0  # seconds after which a folder that could not be opened is tried once more
LONGEST_NOTE = 500  # characters of what a picture that was made elsewhere says of that
TEXT_KEY = "diffusion-playground"  # of the PNG text chunk


def default_folder() -> Path:
    """PLAYGROUND_CELLS if set, else `cells` beside the package."""
    return Path(os.environ.get("PLAYGROUND_CELLS") or Path(__file__).parent.parent / "cells")


class Store:
    """Safe to share between processes; each cell is one PNG that carries its own recipe and receipt.

    What goes wrong with it stops nobody: pictures are then drawn without being kept, `notice` says so, and it is tried
    again. A folder whose contents are broken is set aside under another name, and a new one takes its place.
    """

    def __init__(self, folder: Path | None = None, size_limit: int = SIZE_LIMIT) -> None:
        self._folder, self._size_limit = folder or default_folder(), size_limit
        self._mending, self._remembering = threading.Lock(), threading.Lock()
        self._pictures: OrderedDict[str, Image.Image] = OrderedDict()
        self._set_aside = ""  # the sentence about it
        self._not_kept = ""  # the sentence about pictures that cannot be kept at the moment
        self._again = 0.0  # `time.monotonic()` from which on a folder that is not open is tried again
        self._cache = self._opened()

    @property
    def folder(self) -> Path:
        """Where the cells are; what else is kept stands beside it."""
        return self._folder

    @property
    def notice(self) -> str:
        """What visitors should know about the store, as one or two sentences; empty where all is well."""
        return " ".join(filter(None, (self._set_aside, self._not_kept)))

    def get(self, recipe: Recipe, fingerprint: str) -> Result | None:
        """The kept result of this recipe by these weights, or None. Unreadable entries count as absent."""
        key = _key(recipe, fingerprint)
        try:
            data = self._try(lambda cache: cache.get(key))
            return None if data is None else from_png(data, recipe)
        except Exception:  # broken entries and pictures raise nearly anything: ValueError, SyntaxError, zlib.error, …
            self._try(lambda cache: cache.delete(key))
            return None

    def has(self, recipe: Recipe, fingerprint: str) -> bool:
        """True where `get` would most likely answer; reads no picture, so it is cheap enough for every keystroke."""
        return bool(self._try(lambda cache: _key(recipe, fingerprint) in cache))

    def put(self, result: Result, fingerprint: str) -> Result:
        """Keep a result, if that can be done; readers see all of it or nothing. Gives it back with its file."""
        data = to_png(result)
        for _ in range(2):  # once more where a new store was begun meanwhile
            if self._try(lambda cache: cache.set(_key(result.recipe, fingerprint), data)):
                self._not_kept = ""
                break
        return replace(result, png=data)

    def put_picture(self, picture: Image.Image) -> str:
        """Keep an RGB picture that runs start from, beside the cells and by the same rules -> its digest."""
        name, buffer = pictures.digest(picture), io.BytesIO()
        picture.save(buffer, "PNG")
        self._try(lambda cache: cache.set(_picture_key(name), buffer.getvalue()))
        self._remember(name, picture)
        return name

    def picture(self, name: str) -> Image.Image | None:
        """The picture of this digest, or None. One that is not what its digest says counts as absent."""
        with self._remembering:
            known = self._pictures.get(name)
        data = self._try(lambda cache: cache.get(_picture_key(name)))  # asked in any case: it is now the latest used
        if known is not None or data is None:
            return known
        try:
            found = Image.open(io.BytesIO(data), formats=["PNG"])
            if max(found.size) > pictures.WHOLE_SIDE:
                raise ValueError("The picture is larger than any that is kept.")
            found = Image.frombytes("RGB", found.size, found.convert("RGB").tobytes())
            if pictures.digest(found) != name:
                raise ValueError("The picture is another one.")
        except Exception:  # as in `get`
            self._try(lambda cache: cache.delete(_picture_key(name)))
            return None
        self._remember(name, found)
        return found

    def _remember(self, name: str, picture: Image.Image) -> None:
        with self._remembering:
            self._pictures[name] = picture
            self._pictures.move_to_end(name)
            while len(self._pictures) > IN_MEMORY:
                self._pictures.popitem(last=False)

    def __len__(self) -> int:
        return self._try(len) or 0

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()

    def _try(self, operation: Callable[[diskcache.Cache], Any]) -> Any:
        """What the operation gives; None where the store cannot do it now."""
        cache = self._cache
        if cache is None and time.monotonic() < self._again:
            return None
        if cache is None or file_of(self._folder) != self._file:  # it was deleted or replaced meanwhile
            cache = self._begun_again(cache)
        if cache is None:
            return None
        try:
            return operation(cache)
        except (sqlite3.Error, diskcache.Timeout, OSError) as problem:
            self._mend(cache, problem)
            return None

    def _mend(self, cache: diskcache.Cache, problem: Exception) -> None:
        """After a failure: a broken folder is replaced; else it is said what was lost."""
        corrupt = isinstance(problem, sqlite3.DatabaseError) and not isinstance(problem, sqlite3.OperationalError)
        if self._cache is not cache:
            return
        if corrupt or is_broken(self._folder):
            self._begun_again(cache)
        else:
            self._not_kept = _not_kept(problem)

    def _begun_again(self, cache: diskcache.Cache | None) -> diskcache.Cache | None:
        """What takes this one's place, opened once for all who met the need."""
        with self._mending:
            if self._cache is cache and time.monotonic() >= self._again:
                if cache is not None:
                    cache.close()  # its connections may remember what is not there any more
                self._cache = self._opened()
            return self._cache

    def _opened(self) -> diskcache.Cache | None:
        begun, self._again = False, time.monotonic() + AGAIN
        try:
            if is_broken(self._folder):
                aside = another_name(self._folder)
                self._folder.rename(aside)
                self._set_aside = f"Earlier pictures could not be read; they were set aside in {aside.name}."
            begun = not (self._folder / diskcache.core.DBNAME).exists()
            cache = diskcache.Cache(
                str(self._folder),
                disk=PlainDisk,
                size_limit=self._size_limit,
                eviction_policy="least-recently-used",
                sqlite_mmap_size=0,  # a file that shrinks under its mapping would end the process
            )
            self._file = file_of(self._folder)
            self._not_kept, self._again = "", 0.0
            return cache
        except (sqlite3.Error, diskcache.Timeout, OSError) as problem:
            self._not_kept = _not_kept(problem)
            if begun and "locked" not in str(problem):  # half of a new one would be taken for a broken one later
                for path in self._folder.glob(f"{diskcache.core.DBNAME}*"):
                    with suppress(OSError):
                        path.unlink()
            return None


def _not_kept(problem: Exception) -> str:
    """A sentence without the folder's whereabouts, which are nobody's business but the operator's."""
    coded = isinstance(problem, OSError) and problem.errno
    reason = os.strerror(problem.errno) if coded else str(problem) or type(problem).__name__
    return f"Finished pictures are shown, but cannot be kept here: {reason.lower()}."


def to_png(result: Result) -> bytes:
    """A PNG whose text chunk holds recipe, seconds, evaluations and final latents; encoded once."""
    if result.png is not None:
        return result.png
    info = PngInfo()
    info.add_itxt(TEXT_KEY, json.dumps(receipt(result), sort_keys=True))
    buffer = io.BytesIO()
    result.image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def receipt(result: Result) -> dict[str, Any]:
    """What the text chunk of its PNG says, as JSON."""
    told: dict[str, Any] = {
        "recipe": result.recipe.to_dict(),
        "seconds": result.seconds,
        "evaluations": result.evaluations,
        "shared": result.shared,
    }
    if result.elsewhere:
        told["elsewhere"] = result.elsewhere
    if result.x0 is not None:
        told["x0"] = base64.b64encode(result.x0.numpy().astype("<f4").tobytes()).decode()
        told["x0_shape"] = list(result.x0.shape)
    return told


def from_png(data: bytes, recipe: Recipe | None = None) -> Result:
    """The inverse of `to_png`. Raises for anything else, ValueError where it is not of that `recipe`, if one is given.

    Nothing is decoded before it is known to have the size that its recipe says. A file that was taken away does not say
    what its run measured, which is then 0.
    """
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    told = json.loads(image.info[TEXT_KEY])
    found = Recipe.from_dict(told["recipe"])
    if recipe is not None and found != recipe:
        raise ValueError("The picture is of another recipe.")
    if image.size != (found.width, found.height):
        raise ValueError("The picture has another size than its recipe.")
    image.load()
    x0 = None
    if "x0" in told:
        values = np.frombuffer(base64.b64decode(told["x0"]), "<f4").reshape(told["x0_shape"])
        x0 = torch.from_numpy(values.copy())
    return Result(
        Image.frombytes(image.mode, image.size, image.tobytes()),
        found,
        told.get("seconds", 0.0),
        told["evaluations"],
        told.get("shared", 0),
        x0,
        elsewhere=str(told.get("elsewhere", ""))[:LONGEST_NOTE],
        png=data,
    )


def _picture_key(name: str) -> str:
    return f"picture-{name}"


def _key(recipe: Recipe, fingerprint: str) -> str:
    return f"{fingerprint}-{recipe.digest()}"
