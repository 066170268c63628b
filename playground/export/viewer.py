"""A whole grid as one HTML file that needs no network and no server: swap axes, lay two cells side by side, find the
same view again by its address."""

import base64
import io
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from playground.engine import Result
from playground.export.finished import FinishedGrid
from playground.labels import fixed_of

HERE = Path(__file__).parent


def to_html(grid: FinishedGrid) -> str:
    """The file's text. Its policy forbids every connection; what people typed is JSON, set as text by the script."""
    data = {
        "fixed": fixed_of(grid.sweep),
        "axes": [{"name": axis.name, "labels": axis.labels} for axis in grid.axes],
        "cells": [_cell(grid, i, result) for i, result in enumerate(grid.results)],
        "sweep": grid.sweep.to_dict(),
    }
    parts = {
        "style": (HERE / "viewer.css").read_text(encoding="utf-8"),
        "script": (HERE / "viewer.js").read_text(encoding="utf-8"),
        "title": escape(" × ".join(axis.name for axis in grid.axes)),
        # "<" would end the element that the data stand in
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
    }
    page = (HERE / "viewer.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page)


def _cell(grid: FinishedGrid, i: int, result: Result | None) -> dict[str, Any]:
    cell: dict[str, Any] = {"label": grid.labels[i], "recipe": grid.recipes[i].to_dict()}
    if result is None:
        return cell
    buffer = io.BytesIO()
    result.image.save(buffer, "PNG", optimize=True)
    return cell | {
        "picture": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        "note": f"{result.seconds:.2f} s · {result.evaluations} evaluations",
    }
