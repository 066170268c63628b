"""What a grid's recordings look like: their latents as strips of small pictures, a frame beside the next."""

from collections.abc import Iterator, Sequence

from PIL import Image
from torch import Tensor

from playground.engine import Decode, Engine
from playground.inside.recordings import Recording
from playground.recipe import Recipe

LONGEST_SIDE = 128  # pixels of a frame
FRAMES_PER_DECODE = 16  # of the quick decoder; a VAE draws one at a time


def drawn_strips(
    engine: Engine, recipes: Sequence[Recipe], recordings: Sequence[Recording | None], visitor: str = ""
) -> Iterator[tuple[int, Image.Image]]:
    """As `strips`, of x̂₀ and x_t of each recording that is there, each drawn by the model that the recipe names."""
    there = [(recipe.model, found) for recipe, found in zip(recipes, recordings, strict=True) if found]
    for model in dict.fromkeys(name for name, _ in there):
        places = [2 * i + k for i, (name, _) in enumerate(there) if name == model for k in (0, 1)]
        latents = [x for name, found in there if name == model for x in (found.x0, found.seen)]
        yield from ((places[i], strip) for i, strip in strips(engine.of(model), latents, visitor))


def strips(engine: Engine, several: Sequence[Tensor], visitor: str = "") -> Iterator[tuple[int, Image.Image]]:
    """Each (F, C, h, w) -> its place among them, and F quick pictures side by side, at most 128 pixels high; as they
    come."""
    size = FRAMES_PER_DECODE if engine.facts.quick_previews else 1
    parts = [(i, part.float()) for i, latents in enumerate(several) for part in latents.split(size)]
    drawn: list[dict[int, list[Image.Image]]] = [{} for _ in several]  # by part
    for answer in engine.ask([Decode(part, quick=True) for _, part in parts], visitor):
        i = parts[answer.cell][0]
        drawn[i][answer.cell] = answer.value
        frames = [frame for part in sorted(drawn[i]) for frame in drawn[i][part]]
        if len(frames) == len(several[i]):
            yield i, _side_by_side(frames)


def _side_by_side(frames: list[Image.Image]) -> Image.Image:
    scale = min(1.0, LONGEST_SIDE / max(frames[0].size))
    size = tuple(max(1, round(side * scale)) for side in frames[0].size)
    whole = Image.new("RGB", (size[0] * len(frames), size[1]))
    for i, frame in enumerate(frames):
        whole.paste(frame.resize(size) if frame.size != size else frame, (i * size[0], 0))
    return whole
