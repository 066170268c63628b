"""Sprites, backgrounds and captions that Pocket is trained on.

    python -m examples.train_pocket.data                  # fetch the sprites (npm) into training/sprites.npz
    python -m examples.train_pocket.data --sheet out.png  # 100 random scenes with their captions

A scene is one sprite, shifted, scaled and sometimes mirrored, on one of eleven plain backgrounds; its caption says what
is there and nothing else. Some (thing, background) pairs never occur in training (`held_out`), so that obeying a prompt
can be measured on combinations the model has not seen.
"""

import argparse
import hashlib
import random
import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
WORK = HERE.parent.parent / "training"  # git-ignored: sprites, latents, checkpoints
SPRITE_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"  # MIT
SIZE = 128  # pixels per side of a scene
SPRITE_SIZE = 160  # pixels per side of a stored sprite, above the largest drawn size

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (243, 156, 49),
    "yellow": (250, 220, 70),
    "green": (60, 170, 80),
    "blue": (50, 110, 220),
    "purple": (140, 70, 190),
    "pink": (250, 160, 200),
    "brown": (130, 85, 50),
    "black": (20, 20, 22),
    "grey": (140, 142, 146),
    "white": (250, 250, 250),
}

# The first wording is the one the playground teaches, and the most frequent.
WORDINGS = (
    "{name}, {colour} background",
    "a {name} on a {colour} background",
    "3d render of a {name}, {colour} background",
    "{colour} background, {name}",
)
WORDING_WEIGHTS = (0.55, 0.2, 0.15, 0.1)


@dataclass(frozen=True)
class Scene:
    """One picture to draw, as plain numbers."""

    thing: int  # row of things.tsv
    background: str  # key of BACKGROUNDS
    side: int  # longest side of the sprite, pixels
    dx: int  # shift of the sprite's centre, pixels
    dy: int
    mirrored: bool


def things() -> list[tuple[str, str]]:
    """The (code point file stem, name) pairs of things.tsv, in order."""
    lines = (HERE / "things.tsv").read_text(encoding="utf-8").splitlines()
    return [(code, name) for code, name in (line.split("\t") for line in lines)]


def held_out(name: str, background: str) -> bool:
    """True for the tenth of the (thing, background) pairs that training never shows; the same on every machine."""
    return hashlib.sha256(f"{name}|{background}".encode()).digest()[0] < 26


def reconstruction_only(code: str) -> bool:
    """True for the twentieth of all sprites that the autoencoder never trains on, so that its PSNR is honest."""
    return hashlib.sha256(code.encode()).digest()[1] < 13


def random_scene(rng: random.Random, thing: int, background: str) -> Scene:
    """Small shifts, sizes and a mirror in one of five: enough for seeds to differ, little enough to learn quickly."""
    side = rng.randint(94, 110)
    room = (SIZE - side) // 2 - 2
    shift = min(6, room)
    return Scene(thing, background, side, rng.randint(-shift, shift), rng.randint(-shift, shift), rng.random() < 0.2)


def draw(scene: Scene, sprite: np.ndarray) -> np.ndarray:
    """Composite an RGBA sprite (160, 160, 4) uint8 onto the scene's background -> (128, 128, 3) uint8."""
    pixels = np.asarray(resized(Image.fromarray(sprite), scene.side), np.float32)
    if scene.mirrored:
        pixels = pixels[:, ::-1]
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[:] = BACKGROUNDS[scene.background]
    top = (SIZE - scene.side) // 2 + scene.dy
    left = (SIZE - scene.side) // 2 + scene.dx
    window = canvas[top : top + scene.side, left : left + scene.side]
    alpha = pixels[..., 3:] / 255
    window[:] = window * (1 - alpha) + pixels[..., :3] * alpha
    return canvas.clip(0, 255).astype(np.uint8)


def caption(rng: random.Random, name: str, background: str) -> str:
    """A caption in one of four wordings; one in twenty leaves the background unsaid."""
    if rng.random() < 0.05:
        return name
    return rng.choices(WORDINGS, WORDING_WEIGHTS)[0].format(name=name, colour=background)


def training_pairs() -> list[tuple[int, str]]:
    """Every (thing, background) pair that training may show."""
    return [(i, colour) for i, (_, name) in enumerate(things()) for colour in BACKGROUNDS if not held_out(name, colour)]


def resized(picture: Image.Image, side: int) -> Image.Image:
    """RGBA -> RGBA of side x side; Pillow weighs colours by alpha, so no fringe appears."""
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def square_sprite(data: bytes) -> np.ndarray:
    """webp bytes -> RGBA (160, 160, 4) uint8, cropped to what is visible and centred."""
    picture = Image.open(BytesIO(data)).convert("RGBA")
    picture = picture.crop(picture.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
    side = max(picture.size)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(resized(square, SPRITE_SIZE))


def fetch() -> Path:
    """Download the sprite set once with npm and store it as training/sprites.npz {codes, sprites}."""
    target = WORK / "sprites.npz"
    if target.exists():
        return target
    WORK.mkdir(exist_ok=True)
    name = subprocess.run(
        ["npm", "pack", "--silent", SPRITE_PACKAGE], cwd=WORK, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    codes, sprites = [], []
    with tarfile.open(WORK / name) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            code = Path(member.name).stem
            if not member.name.endswith(".webp") or "-1f3f" in code:  # skin-tone variants stay out for now
                continue
            codes.append(code)
            sprites.append(square_sprite(archive.extractfile(member).read()))
    np.savez(target, codes=np.array(codes), sprites=np.stack(sprites))
    (WORK / name).unlink()
    return target


class Sprites:
    """The stored sprites: `all` for the autoencoder, `of(i)` for row i of things.tsv."""

    def __init__(self) -> None:
        with np.load(fetch()) as stored:
            self.codes, self.all = stored["codes"].tolist(), stored["sprites"]
        row = {code: i for i, code in enumerate(self.codes)}
        self._things = [row[code] for code, _ in things()]

    def of(self, thing: int) -> np.ndarray:
        return self.all[self._things[thing]]


def contact_sheet(path: Path, seed: int = 0) -> None:
    """100 random training scenes with their captions, ten a row."""
    rng, sprites, pairs = random.Random(seed), Sprites(), training_pairs()
    sheet = Image.new("RGB", (10 * 140, 10 * 156), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (thing, colour) in enumerate(rng.sample(pairs, 100)):
        x, y = i % 10 * 140 + 6, i // 10 * 156 + 4
        sheet.paste(Image.fromarray(draw(random_scene(rng, thing, colour), sprites.of(thing))), (x, y))
        pen.text((x, y + SIZE + 2), caption(rng, things()[thing][1], colour)[:24], fill="black")
    sheet.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 100 scenes here")
    args = parser.parse_args()
    print(fetch())
    if args.sheet:
        contact_sheet(args.sheet)
