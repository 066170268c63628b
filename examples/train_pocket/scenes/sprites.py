"""Fetch the four sprite sets once and keep them as square RGBA pictures.

Every set becomes two files, training/sprites/STYLE.npy (N, 160, 160, 4) uint8 and STYLE.txt with one code a line, so
that all scripts share the pictures through the page cache instead of loading them. A code is the one the 3D set uses
("2764-fe0f") wherever that set has the emoji, so that `reconstruction_only` means the same thing in every style; a
variant with skin tone is "CODE+TONE".
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .things import STYLES, WORK, table

PACKAGES = {
    "3d": "@lobehub/fluent-emoji-3d@1.1.0",  # MIT
    "flat": "@iconify-json/fluent-emoji-flat@1.2.6",  # MIT
    "cartoon": "@iconify-json/noto@1.2.9",  # Apache-2.0
    "sticker": "@iconify-json/twemoji@1.2.5",  # CC-BY-4.0
}
NAMES_PACKAGE = "emojibase-data@17.0.0"  # names and keywords, MIT
TONES = {"light": "1f3fb", "medium": "1f3fd", "dark": "1f3ff"}  # three of the five, far enough apart to be named
ALL_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
SPRITE_SIZE = 160  # pixels per side of a stored sprite, above the largest drawn size
FOLDER = WORK / "sprites"


def plain(code: str) -> str:
    """A code without variation selectors, which the sets write differently: "2764-fe0f" -> "2764"."""
    return code.lower().replace("-fe0f", "")


def base_and_tone(code: str) -> tuple[str, str | None] | None:
    """(base, tone) of a code: "1f44b-1f3ff" -> ("1f44b", "dark"); None for a tone that is not kept, or a mixture."""
    parts = code.lower().split("-")
    found = {part for part in parts[1:] if part in ALL_TONES}
    if not found:
        return code.lower(), None
    tone = next((name for name, part in TONES.items() if found == {part}), None)
    return None if tone is None else ("-".join(p for p in parts if p not in found), tone)


def resized(picture: Image.Image, side: int) -> Image.Image:
    """RGBA -> RGBA of side x side; Pillow weighs colours by alpha, so no fringe appears."""
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def square_sprite(picture: Image.Image) -> np.ndarray | None:
    """RGBA picture -> (160, 160, 4) uint8, cropped to what is visible and centred; None where nothing is visible."""
    box = picture.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox()
    if box is None:
        return None
    picture = picture.crop(box)
    side = max(picture.size)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(resized(square, SPRITE_SIZE))


def npm_pack(package: str) -> Path:
    """Download one package from the npm registry -> its .tgz in training/."""
    WORK.mkdir(exist_ok=True)
    command = ["npm", "pack", "--silent", package]
    return WORK / subprocess.run(command, cwd=WORK, check=True, capture_output=True, text=True).stdout.split()[-1]


def packed_json(archive: Path, *members: str) -> list:
    """JSON files of an npm package, parsed."""
    with tarfile.open(archive) as opened:
        return [json.load(opened.extractfile(f"package/{member}")) for member in members]


def webp_pictures(archive: Path) -> Iterator[tuple[str, Image.Image]]:
    """The (code, RGBA) pictures of the 3D set."""
    with tarfile.open(archive) as opened:
        for member in sorted(opened.getmembers(), key=lambda m: m.name):
            if member.name.endswith(".webp"):
                yield Path(member.name).stem, Image.open(BytesIO(opened.extractfile(member).read())).convert("RGBA")


def svg_pictures(archive: Path) -> Iterator[tuple[str, Image.Image]]:
    """The (code, RGBA) pictures of an Iconify set, rendered twice as large as they are kept.

    chars.json gives the name of each code point sequence, icons.json the drawing of each name or the name it mirrors.
    """
    import resvg_py  # only needed here, once

    icons, names = packed_json(archive, "icons.json", "chars.json")
    for code, name in sorted(names.items()):
        alias = icons.get("aliases", {}).get(name, {})
        icon = icons["icons"].get(alias.get("parent", name))
        if icon is None:
            continue
        left, top = icon.get("left", 0), icon.get("top", 0)
        width, height = (icon.get(key, icons.get(key, 16)) for key in ("width", "height"))
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
        )
        data = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=2 * SPRITE_SIZE))
        picture = Image.open(BytesIO(data)).convert("RGBA")
        yield code, ImageOps.mirror(picture) if alias.get("hFlip") else picture


def fetch(style: str) -> None:
    """Download one set and store it, unless that was done before."""
    if (FOLDER / f"{style}.txt").exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = {} if style == "3d" else {plain(c): c for c in stored_codes("3d") if "+" not in c}
    archive = npm_pack(PACKAGES[style])
    found: dict[str, np.ndarray] = {}
    for code, picture in (webp_pictures if style == "3d" else svg_pictures)(archive):
        if (named := base_and_tone(code)) is None or (sprite := square_sprite(picture)) is None:
            continue
        base, tone = named
        base = base if style == "3d" and tone is None else known.get(plain(base), plain(base))
        if style == "3d" and tone is None:
            known[plain(base)] = base
        found[f"{base}+{tone}" if tone else base] = sprite
    np.save(FOLDER / f"{style}.npy", np.stack(list(found.values())))
    (FOLDER / f"{style}.txt").write_text("\n".join(found) + "\n")  # last: it says that the set is complete
    archive.unlink()


def stored_codes(style: str) -> list[str]:
    return (FOLDER / f"{style}.txt").read_text().split()


class Sprites:
    """The stored sprites: `of` for a row of things.tsv, `named` for any code."""

    def __init__(self) -> None:
        for style in STYLES:
            fetch(style)
        self.codes = {style: stored_codes(style) for style in STYLES}
        self.pictures = {style: np.load(FOLDER / f"{style}.npy", mmap_mode="r") for style in STYLES}
        self._rows = {style: {plain(c): i for i, c in enumerate(self.codes[style])} for style in STYLES}

    def has(self, style: str, code: str) -> bool:
        return plain(code) in self._rows[style]

    def named(self, style: str, code: str) -> np.ndarray:
        """-> (160, 160, 4) uint8"""
        return np.asarray(self.pictures[style][self._rows[style][plain(code)]])

    def of(self, thing: int, style: str = "3d", tone: str | None = None) -> np.ndarray:
        """-> (160, 160, 4) uint8"""
        code = table()[thing].code
        return self.named(style, f"{code}+{tone}" if tone else code)
