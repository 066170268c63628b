"""The model card's rows of pictures: each is a sweep, drawn by the shipped weights.

python -m examples.train_pocket.strips              # all of them, into playground/models/pocket/card/
python -m examples.train_pocket.strips guidance     # one
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from playground import Recipe, Sweep, open_engine

from .scoring.drawn import Drawings
from .text import POCKET

CARD = POCKET / "card"  # pictures that the model card shows
GAP, LINE = 6, 13  # pixels between pictures, and of a line of text
LETTERS = 21  # that fit above a picture
LORA_WEIGHTS = [0.0, 0.4, 0.8, 1.2]


@dataclass(frozen=True)
class Strip:
    """One row of pictures."""

    name: str  # of the file
    title: str
    sweep: Sweep
    loras: tuple[str, ...] = ()  # files that must be there


APPLE = "red apple, blue background"
STRIPS = (
    Strip("guidance", "Guidance", Sweep(Recipe(APPLE, seed=7), {"guidance_scale": [1, 2, 3, 5, 8, 12, 20]})),
    Strip("steps", "Steps", Sweep(Recipe(APPLE, seed=7), {"num_inference_steps": [1, 2, 4, 8, 16, 32, 64]})),
    Strip("seeds", "Seeds", Sweep(Recipe("cat, yellow background"), {"seed": [1, 2, 3, 4, 5, 6, 7]})),
    Strip(
        "negative",
        "Negative prompt, where the prompt leaves the background unsaid",
        Sweep(
            Recipe("rocket", seed=4),
            {"negative_prompt": ["", *(f"{c} background" for c in ("blue", "white", "black", "green", "pink", "red"))]},
        ),
    ),
    Strip(
        "composed",
        "Composed",
        Sweep(
            Recipe(seed=1),
            {
                "prompt": [
                    "three bananas, pink background",
                    "blue apple, white background",
                    "cat to the left of car, green background",
                    "guitar above rocket, yellow background",
                    "green hat and red car, grey background",
                    "pizza, flat icon, purple background",
                    "owl, sticker, orange background",
                ]
            },
        ),
    ),
    Strip(
        "failures",
        "What it cannot do: written text, more than four, relations that it never saw",
        Sweep(
            Recipe(seed=1),
            {
                "prompt": [
                    "the word hello, white background",
                    "a sign that says stop, grey background",
                    "five bananas, blue background",
                    "seven stars, black background",
                    "cat inside a box, yellow background",
                    "cat riding a bicycle, green background",
                    "dog between two cats, pink background",
                ]
            },
        ),
    ),
    Strip(
        "lcm",
        "LCM LoRA, guidance 1",
        Sweep(
            Recipe(APPLE, sampler="lcm", guidance_scale=1.0, seed=7, loras={"lcm": 1.0}),
            {"num_inference_steps": [1, 2, 3, 4, 6, 8]},
        ),
        ("lcm",),
    ),
)


def style_strips(folder: Path = POCKET / "loras") -> list[Strip]:
    """One for every LoRA that is there, the LCM one aside: its weight from none to more than it was trained with."""
    names = sorted(path.stem for path in folder.glob("*.safetensors") if path.stem != "lcm")
    base = Recipe(APPLE, seed=7)
    return [
        Strip(f"lora_{name}", f"Style LoRA “{name}”", Sweep(base, {f"loras.{name}": LORA_WEIGHTS}), (name,))
        for name in names
    ]


def strips(folder: Path = POCKET / "loras") -> list[Strip]:
    """Those whose LoRAs are there."""
    there = {path.stem for path in folder.glob("*.safetensors")}
    return [strip for strip in (*STRIPS, *style_strips(folder)) if set(strip.loras) <= there]


def expression(sweep: Sweep) -> str:
    """The sweep as Python, with `Recipe` and `Sweep` from `playground`: what a reader can run."""
    usual = Recipe()
    changed = [f for f in fields(Recipe) if getattr(sweep.base, f.name) != getattr(usual, f.name)]
    values = {f.name: getattr(sweep.base, f.name) for f in changed}
    if "loras" in values:
        values["loras"] = dict(values["loras"])
    # JSON writes texts, numbers, lists and objects of them as Python does, with the quotes that this repository uses
    said = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"Sweep(Recipe({said}), {json.dumps(sweep.axes, ensure_ascii=False)})"


def label(value: Any) -> str:  # noqa: ANN401
    """A value of an axis as it stands above its picture."""
    return "none" if value == "" else f"{value:g}" if isinstance(value, int | float) else str(value)


def row(pictures: Sequence[Image.Image], labels: Sequence[str], wide: bool = False) -> Image.Image:
    """Pictures side by side, each under its label of at most two lines; `wide` labels stay on one, as long as it is."""
    lines = [[text] if wide else _two_lines(text) for text in labels]
    top = GAP + LINE * max(len(parts) for parts in lines)
    side = pictures[0].width
    sheet = Image.new("RGB", (len(pictures) * (side + GAP) + GAP, top + side + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (picture, parts) in enumerate(zip(pictures, lines, strict=True)):
        x = GAP + i * (side + GAP)
        sheet.paste(picture, (x, top))
        pen.text((x, GAP // 2), "\n".join(parts), fill="black", font_size=11, spacing=1)
    return sheet


def beside(columns: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one height, one beside another."""
    sheet = Image.new("RGB", (sum(c.width for c in columns), max(c.height for c in columns)), "white")
    x = 0
    for one in columns:
        sheet.paste(one, (x, 0))
        x += one.width
    return sheet


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows of one width, one above another."""
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), "white")
    y = 0
    for one in rows:
        sheet.paste(one, (0, y))
        y += one.height
    return sheet


def save(picture: Image.Image, name: str, quality: int = 85) -> Path:
    """As WebP, under 100 kB for up to sixty pictures."""
    CARD.mkdir(exist_ok=True)
    path = CARD / f"{name}.webp"
    picture.save(path, quality=quality, method=6)
    return path


def draw(drawings: Drawings, strip: Strip) -> Path:
    axis = next(iter(strip.sweep.axes.values()))
    return save(row(drawings.of(strip.sweep.recipes()), [label(value) for value in axis]), strip.name)


def _two_lines(text: str) -> list[str]:
    """Broken at a space, and cut where even two lines do not hold it."""
    if len(text) <= LETTERS:
        return [text]
    at = text.rfind(" ", 0, LETTERS + 1)
    at = at if at > 0 else LETTERS
    rest = text[at:].strip()
    return [text[:at], rest if len(rest) <= LETTERS else rest[: LETTERS - 1] + "…"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of the strips; all, where none is given")
    args = parser.parse_args()
    there = {strip.name: strip for strip in strips()}
    if unknown := set(args.names) - set(there):
        raise SystemExit(f"There is no strip {min(unknown)!r}; there are {', '.join(there)}.")
    drawings = Drawings(open_engine("pocket"))
    for name in args.names or there:
        print(draw(drawings, there[name]))


if __name__ == "__main__":
    main()
