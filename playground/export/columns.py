"""A grid as a film along its columns: one frame for each value, all rows side by side in it."""

from PIL import Image

from playground.export import animation
from playground.export.finished import FinishedGrid
from playground.labels import named
from playground.refusal import Refusal

SECONDS = 0.8  # that a value is looked at
KINDS = {"gif": animation.to_gif, "webp": animation.to_webp, "mp4": animation.to_mp4}


def frames(grid: FinishedGrid) -> list[Image.Image]:
    """RGB pictures of one size. Values of which a picture is missing, or has another shape, are left out.

    Raises Refusal where fewer than two are left.
    """
    axis, (width, height) = grid.axes[-1], next(result.image.size for result in grid.results if result is not None)
    found, foot = [], grid.fixed
    for c, label in enumerate(axis.labels):
        column = grid.results[c :: len(axis.labels)]
        if all(r is not None and r.image.width * height == r.image.height * width for r in column):
            rows = [" · ".join(filter(None, (row, named(axis.key, label)))) for row in grid.rows]
            row = list(zip(rows, (r.image for r in column if r), strict=True))
            found.append(animation.sheet([row], foot))
    if len(found) < 2:
        raise Refusal("A film needs at least two values whose pictures are all there and have one shape.")
    return found


def to_film(grid: FinishedGrid, kind: str) -> bytes:
    """`kind` is a key of KINDS."""
    return KINDS[kind](frames(grid), SECONDS)
