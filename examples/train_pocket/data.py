"""Fetch the sprites, and show what Pocket is trained on.

    python -m examples.train_pocket.data                  # fetch the four sets (npm) into training/sprites/
    python -m examples.train_pocket.data --sheet out.png  # 100 random scenes with their captions
    python -m examples.train_pocket.data --held-out       # write held_out.tsv anew, the combinations never trained on

The parts: sprites.py (fetch and keep), things.py and things.tsv (what there is), colours.py (hues that are true),
scenes.py (arrangements and drawing), captions.py (words), stream.py (random scenes without end).
"""

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw

from .scenes.colours import BACKGROUNDS, HUES
from .scenes.scene import SIZE, draw
from .scenes.sprites import FOLDER, Sprites
from .scenes.stream import Scenes
from .scenes.things import COMMON, HERE, held_out, held_out_hue, held_out_pair, held_out_style, table


def held_out_lines() -> list[str]:
    """held_out.tsv: kind, thing, and everything it never meets in training, separated by semicolons.

    The rule covers every pair of things; only pairs of the common ones are listed, each under its first name.
    """
    lines = []
    for i, thing in enumerate(table()):
        hues = {hue for style in thing.turnable for hue in thing.hues(style) if hue != thing.colours.get(style)}
        found = {
            "background": [colour for colour in BACKGROUNDS if held_out(thing.name, colour)],
            "hue": [hue for hue in HUES if hue in hues and held_out_hue(thing.name, hue)],
            "style": [style] if (style := held_out_style(thing)) else [],
            "pair": [t.name for t in table()[i + 1 : COMMON] if held_out_pair(thing.name, t.name)],
        }
        lines += [f"{kind}\t{thing.name}\t{';'.join(values)}" for kind, values in found.items() if values]
    return sorted(lines)


def contact_sheet(path: Path, seed: int = 0, shares: dict[str, float] | None = None) -> None:
    """100 random training scenes with their captions, ten a row."""
    sprites = Sprites()
    sheet = Image.new("RGB", (10 * 140, 10 * 172), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (scene, words) in zip(range(100), Scenes(seed, shares), strict=False):
        x, y = i % 10 * 140 + 6, i // 10 * 172 + 4
        sheet.paste(Image.fromarray(draw(scene, sprites)), (x, y))
        pen.text((x, y + SIZE + 1), "\n".join(textwrap.wrap(words, 23)[:4]), fill="black", spacing=0, font_size=10)
    sheet.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 100 scenes here")
    parser.add_argument("--seed", type=int, default=0, help="of the contact sheet")
    parser.add_argument("--held-out", action="store_true", help="write held_out.tsv")
    args = parser.parse_args()
    if args.held_out:
        (HERE / "held_out.tsv").write_text("\n".join(held_out_lines()) + "\n", encoding="utf-8")
    if args.sheet:
        contact_sheet(args.sheet, args.seed)
    if not args.held_out:
        Sprites()
        print(FOLDER)
