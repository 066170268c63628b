"""A whole grid in one ZIP: every picture with its recipe inside, the sheet, the page that needs no network, the table,
and the recipe itself."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from playground.engine import Result
from playground.engine.contract import Pictures
from playground.export.document import to_json
from playground.export.finished import FinishedGrid
from playground.export.png import cell_png, sheet_png
from playground.export.sheet import pages
from playground.export.viewer import to_html
from playground.recipe import Recipe

DATE = (1980, 1, 1, 0, 0, 0)  # of every file inside, so that the same grid gives the same ZIP


def file_name(recipe: Recipe) -> str:
    """What a picture's file is called; the same recipe always has the same name."""
    return f"{stem(recipe)}.png"


def stem(recipe: Recipe) -> str:
    """The same for any kind of file: the model's name, the seed, and the beginning of the recipe's digest."""
    return f"{Path(recipe.model).name}-{recipe.seed}-{recipe.digest()[:8]}"


def table(grid: FinishedGrid) -> pd.DataFrame:
    """One row for each cell: its values on the axes, its file, and what it took."""
    return pd.DataFrame([_row(grid, i, result) for i, result in enumerate(grid.results)])


def files(grid: FinishedGrid, starts: Pictures | None = None) -> dict[str, bytes]:
    """Name -> contents of everything that a grid is taken away as, films aside; `starts` are the pictures that its runs
    are given, as far as they are kept."""
    found = {given_name(name): png_of(picture) for name, picture in (starts or {}).items()}
    found |= {
        f"cells/{i:03d}-{file_name(r.recipe)}": cell_png(r, grid.facts_of and grid.facts_of(r.recipe.model))
        for i, r in enumerate(grid.results)
        if r is not None
    }
    sheets = [sheet_png(page, grid.sweep) for page in pages(grid)]
    found |= {f"grid-{i + 1}.png" if len(sheets) > 1 else "grid.png": sheet for i, sheet in enumerate(sheets)}
    found["grid.html"] = to_html(grid).encode()
    found["cells.csv"] = table(grid).to_csv(index=False).encode()
    found["recipe.json"] = to_json(grid.sweep).encode()
    return found


def given_name(digest: str) -> str:
    """What the file of a picture that runs are given is called; chosen on the page again, it is the same picture."""
    return f"given-{digest[:12]}.png"


def png_of(picture: Image.Image) -> bytes:
    """The pixels and nothing else."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def to_zip(grid: FinishedGrid, starts: Pictures | None = None) -> bytes:
    """Those files as one ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files(grid, starts).items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _row(grid: FinishedGrid, i: int, result: Result | None) -> dict[str, Any]:
    recipe, row = grid.recipes[i], {"cell": i}
    step = len(grid.recipes)
    for axis in grid.axes:
        step //= len(axis.values)
        row[axis.key] = axis.labels[i // step % len(axis.values)]
    row["file"] = f"cells/{i:03d}-{file_name(recipe)}" if result else ""
    if result is not None:
        row |= {"seconds": result.seconds, "evaluations": result.evaluations, "shared": result.shared}
        row |= {"origin": result.elsewhere} if result.elsewhere else {}
    return row | {f"recipe.{name}": value for name, value in recipe.to_dict().items()}
