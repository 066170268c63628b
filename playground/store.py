"""Finished cells on disk, by recipe: what was rendered once is never lost and never rendered again."""

import base64
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import diskcache
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from playground.engine import Result
from playground.recipe import Recipe

SIZE_LIMIT = 2 * 2**30  # bytes; the least recently used cells go first
TEXT_KEY = "diffusion-playground"  # of the PNG text chunk


def default_folder() -> Path:
    """PLAYGROUND_CELLS if set, else `cells` beside the package."""
    return Path(os.environ.get("PLAYGROUND_CELLS") or Path(__file__).parent.parent / "cells")


class PlainDisk(diskcache.Disk):
    """Bytes and text only: nothing is ever unpickled, whatever lies in the folder."""

    def store(self, value, read, key=diskcache.UNKNOWN):  # noqa: ANN001, ANN201  (diskcache's signature)
        if not isinstance(value, bytes | str):
            raise TypeError("The store keeps bytes and text only.")
        return super().store(value, read, key=key)

    def fetch(self, mode, filename, value, read):  # noqa: ANN001, ANN201
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("The store holds no pickles.")
        return super().fetch(mode, filename, value, read)


class Store:
    """Safe to share between processes; each cell is one PNG that carries its own recipe and receipt."""

    def __init__(self, folder: Path | None = None, size_limit: int = SIZE_LIMIT) -> None:
        self._cache = diskcache.Cache(
            str(folder or default_folder()),
            disk=PlainDisk,
            size_limit=size_limit,
            eviction_policy="least-recently-used",
        )

    def get(self, recipe: Recipe, fingerprint: str) -> Result | None:
        """The kept result of this recipe by these weights, or None. Unreadable entries count as absent."""
        key = _key(recipe, fingerprint)
        try:
            data = self._cache.get(key)
            if data is None:
                return None
            result = from_png(data)
        except (ValueError, OSError, KeyError, TypeError, SyntaxError):
            self._cache.delete(key)
            return None
        return result if result.recipe == recipe else None

    def has(self, recipe: Recipe, fingerprint: str) -> bool:
        """True where `get` would most likely answer; reads no picture, so it is cheap enough for every keystroke."""
        return _key(recipe, fingerprint) in self._cache

    def put(self, result: Result, fingerprint: str) -> Result:
        """Keep a result; readers see all of it or nothing. Gives it back with its file."""
        data = to_png(result)
        self._cache.set(_key(result.recipe, fingerprint), data)
        return replace(result, png=data)

    def __len__(self) -> int:
        return len(self._cache)

    def close(self) -> None:
        self._cache.close()


def to_png(result: Result) -> bytes:
    """A PNG whose text chunk holds recipe, seconds, evaluations and final latents; encoded once."""
    if result.png is not None:
        return result.png
    receipt = {
        "recipe": result.recipe.to_dict(),
        "seconds": result.seconds,
        "evaluations": result.evaluations,
        "shared": result.shared,
    }
    if result.x0 is not None:
        receipt["x0"] = base64.b64encode(result.x0.numpy().astype("<f4").tobytes()).decode()
        receipt["x0_shape"] = list(result.x0.shape)
    info = PngInfo()
    info.add_itxt(TEXT_KEY, json.dumps(receipt, sort_keys=True))
    buffer = io.BytesIO()
    result.image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def from_png(data: bytes) -> Result:
    """The inverse of `to_png`. Raises ValueError, KeyError or OSError for anything else."""
    image = Image.open(io.BytesIO(data))
    image.load()
    receipt = json.loads(image.info[TEXT_KEY])
    x0 = None
    if "x0" in receipt:
        values = np.frombuffer(base64.b64decode(receipt["x0"]), "<f4").reshape(receipt["x0_shape"])
        x0 = torch.from_numpy(values.copy())
    return Result(
        Image.frombytes(image.mode, image.size, image.tobytes()),
        Recipe.from_dict(receipt["recipe"]),
        receipt["seconds"],
        receipt["evaluations"],
        receipt["shared"],
        x0,
        png=data,
    )


def _key(recipe: Recipe, fingerprint: str) -> str:
    return f"{fingerprint}-{recipe.digest()}"
