"""A whole grid as one HTML file that needs no network and no server: swap axes, lay two cells side by side, step
through the runs, find the same view again by its address."""

import base64
import io
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from playground.engine import Result
from playground.export.finished import FinishedGrid, Steps
from playground.export.png import without_text
from playground.store import TEXT_KEY, to_png

HERE = Path(__file__).parent
FRAMES: str = (HERE / "frames.js").read_text(encoding="utf-8")
STEPS_BYTES = 24 * 2**20  # of all steps' pictures in one file, before base64 makes four letters of three
FRAME_BYTES = 12 * 2**10  # more than one frame takes, even of pure noise
FEWEST_FRAMES, MOST_FRAMES = 2, 40  # of one run
QUALITY = 70  # of WebP


def to_html(grid: FinishedGrid) -> str:
    """The file's text. Its policy forbids every connection; what people typed is JSON, set as text by the script."""
    data = {
        "fixed": grid.fixed,
        "axes": [{"name": axis.name, "labels": axis.labels} for axis in grid.axes],
        "cells": [_cell(grid, i, result) for i, result in enumerate(grid.results)],
        "sweep": grid.sweep.to_dict(),
    }
    parts = {
        "style": (HERE / "viewer.css").read_text(encoding="utf-8"),
        "script": FRAMES + (HERE / "viewer.js").read_text(encoding="utf-8"),
        "title": escape(" × ".join(axis.name for axis in grid.axes)),
        # "<" would end the element that the data stand in
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
    }
    page = (HERE / "viewer.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page)


def frames_each(cells: int, most: int = STEPS_BYTES // FRAME_BYTES) -> int:
    """How many points of its run each of so many cells can show in two views, where a file has room for `most` frames;
    0 where that is too little to step through."""
    each = min(MOST_FRAMES, most // (2 * cells))
    return each if each >= FEWEST_FRAMES else 0


def _cell(grid: FinishedGrid, i: int, result: Result | None) -> dict[str, Any]:
    cell: dict[str, Any] = {"label": grid.labels[i], "recipe": grid.recipes[i].to_dict()}
    if result is None:
        return cell
    if grid.steps and (steps := grid.steps[i]) is not None:
        cell["steps"] = _steps(steps)
    png = without_text(to_png(result), TEXT_KEY)
    return cell | {
        "picture": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "note": f"{result.seconds:.2f} s · {result.elsewhere or f'{result.evaluations} evaluations'}",
    }


def _steps(steps: Steps) -> dict[str, Any]:
    said = {"calls": steps.calls, "of": steps.of, "t": [round(t, 1) for t in steps.timesteps]}
    return said | {"x0": _webp(steps.x0), "xt": _webp(steps.x_t)}


def _webp(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
