"""Renders the sample pictures of the "Add noise" tab: our own, from formulas, 256 × 256 WebP.

    python examples/images/make.py

Each function paints at SIZE = 4 × 256 pixels and is downsampled, which is what makes its edges smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE, SIZE = 256, 1024
HERE = Path(__file__).parent


def colour(code: str) -> np.ndarray:
    """'#rrggbb' -> (3,) in [0, 1]"""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def ramp(position: np.ndarray, *stops: tuple[float, str]) -> np.ndarray:
    """(H, W) in [0, 1], colour stops -> (H, W, 3), blended smoothly"""
    places, colours = [at for at, _ in stops], np.array([colour(code) for _, code in stops])
    return np.stack([np.interp(position, places, colours[:, c]) for c in range(3)], -1)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """share (H, W): 0 keeps a, 1 takes b"""
    return a + (b - a) * np.clip(share, 0, 1)[..., None]


def smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    x = np.clip((x - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def plane() -> tuple[np.ndarray, np.ndarray]:
    """x to the right and y downwards, both (SIZE, SIZE) in [0, 1]"""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return x, y


def ridge(x: np.ndarray, seed: int, rough: float) -> np.ndarray:
    """A mountain line: octaves of cosine-interpolated random heights."""
    rng, height = np.random.default_rng(seed), np.zeros_like(x)
    for octave in range(7):
        knots = rng.uniform(-1, 1, 3 * 2**octave + 2)
        at = x * 3 * 2**octave
        left = at.astype(int)
        blend = (1 - np.cos((at - left) * np.pi)) / 2
        height += (knots[left] * (1 - blend) + knots[left + 1] * blend) * rough**octave
    return height


def dusk() -> np.ndarray:
    x, y = plane()
    shore, sun = 0.66, (0.63, 0.43)
    mirrored = np.where(y > shore, 2 * shore - y, y)  # the lake shows the sky upside down
    ripple = np.where(y > shore, 0.006 * np.sin(900 * (y - shore) / (0.3 + 3 * (y - shore)) + 9 * x), 0)
    u = np.clip(x + ripple, 0, 0.9999)
    sky = ramp(mirrored, (0, "#26305c"), (0.22, "#5d4a82"), (0.4, "#d9788a"), (0.52, "#f7b98b"), (0.66, "#fde3b4"))
    far = np.hypot(u - sun[0], mirrored - sun[1])
    picture = mix(sky, np.broadcast_to(colour("#ffe9b8"), sky.shape), 0.75 * np.exp(-far * 7))
    picture = mix(picture, np.broadcast_to(colour("#fff6dc"), sky.shape), 1 - smooth(0.047, 0.051, far))
    for base, lift, seed, near, code in (
        (0.50, 0.075, 4, 0.45, "#a86a86"),
        (0.57, 0.060, 8, 0.72, "#6d4a78"),
        (0.635, 0.045, 21, 0.95, "#33305a"),
    ):
        line = base - lift * ridge(u, seed, 0.48)
        inside = smooth(-0.001, 0.002, mirrored - line)
        mist = smooth(0, 0.17, mirrored - line) * (0.5 - 0.35 * near)
        hill = mix(np.broadcast_to(colour(code), sky.shape), np.broadcast_to(colour("#f5c6a5"), sky.shape), mist)
        picture = mix(picture, hill, inside)
    depth = smooth(shore, 1.0, y)
    lake = mix(picture, np.broadcast_to(colour("#1d2247"), sky.shape), 0.18 + 0.6 * depth)
    glitter = np.exp(-(((x - sun[0]) / (0.03 + 0.14 * depth)) ** 2)) * (np.sin(520 * y**1.5 + 24 * x) > 0.35)
    lake = mix(lake, np.broadcast_to(colour("#ffdca8"), sky.shape), 0.55 * glitter * (1 - 0.6 * depth))
    return np.where((y > shore)[..., None], lake, picture)


def sphere() -> np.ndarray:
    """One ball on a table: ray-traced, with a lamp wide enough for a soft shadow."""
    x, y = plane()
    eye, centre, radius = np.array([0.0, 1.5, -5.2]), np.array([0.0, 0.0, 0.0]), 1.0
    ray = np.stack([(x - 0.47) * 2.0, (0.47 - y) * 2.0 - 0.72, np.full_like(x, 2.9)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    lamp = np.array([-3.4, 5.2, -1.6])

    def hit(origin: np.ndarray, way: np.ndarray) -> np.ndarray:
        """distance to the ball, inf where it is missed"""
        off = origin - centre
        b, c = (off * way).sum(-1), (off * off).sum(-1) - radius**2
        root = b * b - c
        near = -b - np.sqrt(np.maximum(root, 0))
        return np.where((root > 0) & (near > 1e-4), near, np.inf)

    def table(origin: np.ndarray, way: np.ndarray) -> np.ndarray:
        down = np.where(way[..., 1] < -1e-4, way[..., 1], -1e-4)
        spot = origin + way * ((-radius - origin[..., 1]) / down)[..., None]
        rng, light = np.random.default_rng(3), np.zeros(spot.shape[:-1])
        for _ in range(24):
            to_lamp = lamp + rng.normal(0, 0.55, 3) - spot
            to_lamp /= np.linalg.norm(to_lamp, axis=-1, keepdims=True)
            light += np.isinf(hit(spot, to_lamp)) / 24
        away = np.hypot(spot[..., 0], spot[..., 2])
        contact = 1 - 0.75 * np.exp(-((away / 0.55) ** 2))
        plank = np.floor(spot[..., 2] / 0.9)
        across = spot[..., 2] + 0.03 * np.sin(spot[..., 0] * 1.7 + plank * 4)
        grain = 0.5 + 0.25 * np.sin(across * 31 + plank) + 0.25 * np.sin(across * 83 + spot[..., 0])
        wood = ramp(grain, (0, "#b88a60"), (1, "#d2a87a")) * (0.93 + 0.10 * np.sin(plank * 2.4))[..., None]
        wood *= (0.72 + 0.28 * smooth(0.0, 0.035, np.abs(spot[..., 2] / 0.9 - np.round(spot[..., 2] / 0.9))))[..., None]
        wood = wood * (0.30 + 0.75 * light)[..., None] * contact[..., None]
        wall = ramp(np.clip(way[..., 1] * 1.2 + 0.45, 0, 1), (0, "#8fa3a8"), (1, "#dfe5e2"))
        return mix(wood, wall, smooth(6.5, 8.0, np.where(way[..., 1] < -1e-3, spot[..., 2], 99)))

    origin = np.broadcast_to(eye, ray.shape)
    distance = hit(origin, ray)
    background = table(origin, ray)
    point = origin + ray * np.where(np.isinf(distance), 0, distance)[..., None]
    normal = (point - centre) / radius
    to_lamp = (lamp - point) / np.linalg.norm(lamp - point, axis=-1, keepdims=True)
    bounce = ray - 2 * (ray * normal).sum(-1, keepdims=True) * normal
    facing = 1 - np.clip(-(ray * normal).sum(-1), 0, 1)
    body = colour("#b3202f") * (0.16 + 0.95 * np.clip((normal * to_lamp).sum(-1), 0, 1))[..., None]
    body += colour("#c98f5c") * (0.16 * np.clip(-normal[..., 1], 0, 1))[..., None]  # light thrown back by the table
    body = mix(body, table(point, bounce), 0.07 + 0.6 * facing**4)
    shine = np.clip((bounce * to_lamp).sum(-1), 0, 1)
    body = mix(body, np.ones_like(body), 0.9 * smooth(0.972, 0.985, shine) + 0.25 * shine**24)
    return np.where(np.isinf(distance)[..., None], background, body)


def bust() -> np.ndarray:
    """A plaster head and shoulders, from a signed distance field walked along each ray."""
    half = SIZE // 2  # two samples per side are enough here
    y, x = np.mgrid[0:half, 0:half] / half
    p = np.stack([(x - 0.48) * 2.5, (0.60 - y) * 2.5, np.full_like(x, -3.0)], -1)  # parallel rays, along z

    def ellipsoid(q: np.ndarray, at: tuple[float, ...], size: tuple[float, ...]) -> np.ndarray:
        off = (q - np.array(at)) / np.array(size)
        return (np.linalg.norm(off, axis=-1) - 1) * min(size)

    def join(a: np.ndarray, b: np.ndarray, soft: float) -> np.ndarray:
        blend = np.clip(0.5 + 0.5 * (b - a) / soft, 0, 1)
        return b + (a - b) * blend - soft * blend * (1 - blend)

    def distance(q: np.ndarray) -> np.ndarray:
        turn = 0.5  # radians: three-quarter view
        c, s = np.cos(turn), np.sin(turn)
        r = np.stack([c * q[..., 0] - s * q[..., 2], q[..., 1], s * q[..., 0] + c * q[..., 2]], -1)
        mirror = np.stack([np.abs(r[..., 0]), r[..., 1], r[..., 2]], -1)
        skull, jaw = ((0, 0.55, 0.10), (0.50, 0.60, 0.58)), ((0, 0.22, -0.20), (0.33, 0.42, 0.3))
        head = join(ellipsoid(r, *skull), ellipsoid(r, *jaw), 0.2)
        head = join(head, ellipsoid(r, (0, 0.34, -0.56), (0.075, 0.17, 0.12)), 0.10)  # nose
        head = join(head, ellipsoid(r, (0, 0.09, -0.455), (0.085, 0.030, 0.06)), 0.05)  # mouth
        head = join(head, ellipsoid(r, (0, -0.09, -0.40), (0.12, 0.09, 0.10)), 0.10)  # chin
        head = join(head, ellipsoid(mirror, (0.15, 0.585, -0.40), (0.15, 0.05, 0.09)), 0.14)  # brow
        head = -join(-head, ellipsoid(mirror, (0.18, 0.46, -0.52), (0.11, 0.06, 0.11)), 0.08)  # eye sockets
        head = join(head, ellipsoid(mirror, (0.17, 0.455, -0.40), (0.085, 0.055, 0.075)), 0.02)  # eyes
        head = join(head, ellipsoid(mirror, (0.50, 0.40, 0.12), (0.05, 0.15, 0.10)), 0.05)  # ears
        neck = ellipsoid(r, (0, -0.25, 0.14), (0.25, 0.60, 0.26))
        chest = ellipsoid(r, (0, -1.00, 0.18), (1.0, 0.48, 0.46))
        return join(head, join(neck, chest, 0.40), 0.10)

    for _ in range(60):
        p[..., 2] += np.clip(distance(p), -1, 1) * 0.7
    step = np.eye(3) * 0.004
    normal = np.stack([distance(p + d) - distance(p - d) for d in step], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    occlusion = sum(np.clip(distance(p + normal * h) / h, 0, 1) for h in (0.08, 0.2, 0.4)) / 3

    def lit(way: tuple[float, float, float]) -> np.ndarray:
        return np.clip((normal * (np.array(way) / np.linalg.norm(way))).sum(-1), 0, 1)

    shade = ramp(
        0.10 + 0.85 * lit((-0.7, 0.4, -0.9)) * (0.4 + 0.6 * occlusion), (0, "#2a2436"), (0.5, "#b08a80"), (1, "#fff3e2")
    )
    shade = shade + colour("#3f6f8c") * (0.65 * lit((1.0, 0.15, 0.35)))[..., None]
    shade *= (0.55 + 0.45 * occlusion)[..., None]
    wall = ramp(np.clip(np.hypot(x - 0.30, y - 0.34) * 1.15, 0, 1), (0, "#7d96a0"), (0.6, "#455b69"), (1, "#273441"))
    inside = (np.abs(distance(p)) < 0.02).astype(float)
    return np.repeat(np.repeat(mix(wall, shade, inside), 2, 0), 2, 1)


def quilt() -> np.ndarray:
    """Patchwork: eight-pointed blocks of cloth, woven, stitched and slightly padded."""
    x, y = plane()
    blocks = 3
    u, v = (x * blocks) % 1 * 4, (y * blocks) % 1 * 4  # each block is 4 × 4 patches
    column, row = u.astype(int), v.astype(int)
    fu, fv = u - column, v - row
    ring = ((column == 0) | (column == 3)).astype(int) + ((row == 0) | (row == 3)).astype(int)
    flip = (column < 2) == (row < 2)
    side = np.where(flip, fu + fv < 1, fu < fv)  # which half of a square cut along its diagonal
    number = (y * blocks).astype(int) * blocks + (x * blocks).astype(int)
    sets = [
        ("#1f4e6b", "#e4b04a", "#f3ead7", "#b5482f"),
        ("#6a2c46", "#7fa88b", "#f3ead7", "#d98a4e"),
        ("#2f5d50", "#d96f5d", "#f3ead7", "#e6c36a"),
    ]
    table = np.array([[colour(code) for code in group] for group in sets])
    group = np.array([0, 1, 2, 2, 0, 1, 1, 2, 0])[number]
    which = np.where(ring == 2, 2, np.where(ring == 1, np.where(side, 2, 0), np.where(side, 1, 3)))
    cloth = table[group, which]
    edge = np.minimum.reduce(
        [fu, 1 - fu, fv, 1 - fv, np.where(ring == 2, 1, np.abs(np.where(flip, fu + fv - 1, fu - fv)) / 1.414)]
    )
    padded = 0.66 + 0.40 * smooth(0, 0.30, edge)
    lean = 0.07 * ((1 - fu) + (1 - fv) - 1)
    weave = 0.035 * (np.sin(x * SIZE * 0.42) * np.sin(y * SIZE * 0.42))
    dots = (np.hypot((x * 48) % 1 - 0.5, (y * 48) % 1 - 0.5) < 0.2) & (which == 0)
    cloth = mix(cloth, np.ones_like(cloth), 0.35 * dots)
    cloth = cloth * (padded + lean + weave)[..., None]
    stitch = (np.abs(edge - 0.12) < 0.014) & (np.sin((fu + 2 * fv) * 40) > -0.2)
    return mix(cloth, np.broadcast_to(colour("#fffaf0"), cloth.shape), 0.55 * stitch)


def flower() -> np.ndarray:
    x, y = plane()
    dx, dy = x - 0.5, y - 0.49
    r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    glow = np.hypot(x - 0.35, y - 0.3)
    picture = ramp(np.clip(glow, 0, 1), (0, "#5d8f6b"), (0.5, "#2d5a4b"), (1, "#12332f"))
    rng = np.random.default_rng(5)
    for _ in range(26):  # light falling through leaves, out of focus
        cx, cy, size = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.02, 0.075)
        disc = 1 - smooth(size * 0.9, size, np.hypot(x - cx, y - cy))
        picture = mix(picture, np.broadcast_to(colour("#b9d69a"), picture.shape), disc * rng.uniform(0.05, 0.22))
    for petals, turn, length, dark, light in (
        (9, 0.00, 0.43, "#a92f6a", "#f08db4"),
        (9, 0.35, 0.36, "#c23f7c", "#f8a9c6"),
        (9, 0.12, 0.27, "#d8558f", "#fcc6da"),
    ):
        wedge = ((angle + turn) * petals / (2 * np.pi)) % 1 - 0.5  # -0.5 .. 0.5 across one petal
        width = np.abs(wedge) * 2
        reach = length * np.cos(np.clip(width, 0, 1) * np.pi / 2) ** 0.42
        inside = smooth(-0.003, 0.003, reach - r)
        vein = 0.06 * np.cos(wedge * 60) * smooth(0.1, 0.3, r / length)
        tone = np.clip(r / length * 0.85 - 0.35 * width**2 + vein + 0.16 * wedge + 0.08, 0, 1)
        petal = ramp(tone, (0, dark), (1, light)) * (1 - 0.35 * width**4)[..., None]
        shadow = smooth(-0.05, 0.03, reach - np.hypot(dx - 0.012, dy - 0.02)) * 0.45
        picture = mix(picture, picture * 0.35, shadow * (1 - inside))
        picture = mix(picture, petal, inside)
    seeds = np.zeros_like(x)
    for i in range(260):  # a sunflower spiral: the golden angle places every seed
        at, way = 0.0058 * np.sqrt(i), i * 2.39996
        bump = np.hypot(dx - at * np.cos(way), dy - at * np.sin(way)) / 0.0062
        seeds = np.maximum(seeds, np.clip(1 - bump**2, 0, 1))
    heart = ramp(np.clip(0.25 + 0.75 * seeds - 2.2 * r, 0, 1), (0, "#6b3512"), (0.6, "#d9962b"), (1, "#ffe08a"))
    return mix(picture, heart, 1 - smooth(0.093, 0.097, r))


def chart() -> np.ndarray:
    """A test chart: fine lines, a star, ramps and words, to see which of them the noise takes first."""
    sheet = Image.new("RGB", (SIZE, SIZE), "#f6f3ea")
    draw = ImageDraw.Draw(sheet)
    ink = "#1d2430"

    def font(size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.load_default(size)  # the face that comes with Pillow

    draw.rectangle((36, 36, SIZE - 37, SIZE - 37), outline=ink, width=5)
    draw.text((76, 64), "What goes first?", font=font(92), fill=ink)
    draw.text((78, 184), "Fine detail is lost long before large shapes.", font=font(41), fill=ink)
    cx, cy, radius = 282, 478, 196
    for spoke in range(0, 36, 2):
        draw.pieslice((cx - radius, cy - radius, cx + radius, cy + radius), spoke * 10, spoke * 10 + 10, fill=ink)
    draw.ellipse((cx - 26, cy - 26, cx + 26, cy + 26), fill="#f6f3ea")
    left = 540
    for gap, top in ((32, 284), (20, 384), (12, 484), (8, 584)):
        for at in range(left, 948 - gap // 2, gap):
            draw.rectangle((at, top, at + gap // 2 - 1, top + 78), fill=ink)
    for i, code in enumerate(("#c8372d", "#e79a2c", "#f2d64b", "#4c9a54", "#2b7fae", "#5a4a9c", "#a84a86")):
        draw.rectangle((78 + i * 124, 716, 78 + i * 124 + 123, 806), fill=code)
    grey = np.repeat(np.linspace(0, 255, 868)[None], 56, 0).astype(np.uint8)
    sheet.paste(Image.fromarray(grey), (78, 822))
    draw.text((78, 896), "abc 0123456789  noise", font=font(56), fill=ink)
    return np.asarray(sheet, dtype=float) / 255


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    paint.__name__: paint for paint in (dusk, sphere, bust, flower, quilt, chart)
}


def main() -> None:
    for name, paint in PICTURES.items():
        large = Image.fromarray((paint().clip(0, 1) * 255).round().astype(np.uint8))
        small = large.resize((SIDE, SIDE), Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(0.6, 40, 0))
        small.save(HERE / f"{name}.webp", quality=92, method=6)


if __name__ == "__main__":
    main()
