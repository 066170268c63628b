"""Named colours, and sprites turned from one hue to another so that the new colour's name is true.

"True" is always asked the same way: of the eleven named colours, which is nearest in CIE Lab?
"""

import numpy as np

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
HUES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")  # what a sprite may be turned to
TURNABLE = (*HUES, "brown")  # what it may be turned from
VISIBLE = 128  # alpha above which a pixel counts
MOSTLY = 0.5  # share of the visible pixels that must have the one hue
CLEAR = 0.75  # a mean colour has a name if that is this much nearer than the next one
FOREIGN = 0.25  # share that may have other hues, such as an apple's leaf

# sRGB (D65) to XYZ divided by the white point, and back
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
TO_XYZ /= np.array([[0.9505], [1.0], [1.089]])
FROM_XYZ = np.linalg.inv(TO_XYZ)


def lab(rgb) -> np.ndarray:
    """sRGB 0…255 (..., 3) -> CIE Lab (..., 3)"""
    c = np.asarray(rgb, np.float64) / 255
    c = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    xyz = c @ TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), xyz * 7.787 + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def rgb_from_lab(values: np.ndarray) -> np.ndarray:
    """CIE Lab (..., 3) -> sRGB (..., 3) uint8, clipped to what a screen can show"""
    y = (values[..., 0] + 16) / 116
    f = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], -1)
    xyz = np.where(f > 0.2069, f**3, (f - 16 / 116) / 7.787)
    c = (xyz @ FROM_XYZ.T).clip(0, 1)
    c = np.where(c > 0.0031308, 1.055 * c ** (1 / 2.4) - 0.055, 12.92 * c)
    return (255 * c + 0.5).astype(np.uint8)


NAMES = tuple(BACKGROUNDS)
REFERENCES = lab(list(BACKGROUNDS.values()))  # (11, 3)


def nearest_colour(values: np.ndarray) -> str:
    """Lab (3,) -> the nearest named colour"""
    return NAMES[int(np.linalg.norm(REFERENCES - values, axis=-1).argmin())]


def hue_weights(values: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """How much each pixel belongs to the sprite's strongest hue: Lab (H, W, 3), bool (H, W) -> (H, W) in [0, 1].

    Full within 30° of it, nothing beyond 50°, and less where there is hardly any colour: soft, so that no seam shows.
    """
    chroma = np.hypot(values[..., 1], values[..., 2])
    degrees = np.degrees(np.arctan2(values[..., 2], values[..., 1])) % 360
    coloured = visible & (chroma > 18)
    counts = np.bincount((degrees[coloured] / 10).astype(int) % 36, minlength=36).astype(float)
    smooth = sum(np.roll(counts, k) for k in (-3, -2, -1, 0, 1, 2, 3))
    peak = 10 * int(smooth.argmax()) + 5
    near = coloured & (np.abs((degrees - peak + 180) % 360 - 180) < 35)
    if not near.any():
        return np.zeros(visible.shape)
    middle = values[near].mean(0)
    distance = np.abs((degrees - np.degrees(np.arctan2(middle[2], middle[1])) + 180) % 360 - 180)
    return ((50 - distance) / 20).clip(0, 1) * ((chroma - 6) / 12).clip(0, 1)


def area_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean Lab of an area -> (3,)"""
    return (values * weights[..., None]).sum((0, 1)) / max(weights.sum(), 1e-9)


def main_hue(values: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The weights and the mean Lab (3,) of the one hue that a sprite mostly has, or None."""
    weights = hue_weights(values, visible) * visible
    foreign = (visible & (np.hypot(values[..., 1], values[..., 2]) > 25) & (weights < 0.2)).sum()
    mostly = weights.sum() > MOSTLY * visible.sum() and foreign < FOREIGN * visible.sum()
    return (weights, area_mean(values, weights)) if mostly else None


def colour_of(sprite: np.ndarray) -> str | None:
    """The one colour a sprite (H, W, 4) mostly has: a hue if one fills it, else black, grey or white.

    None where there is no such colour, and where it lies between two names, as the gold of most faces does.
    """
    visible, values = sprite[..., 3] > VISIBLE, lab(sprite[..., :3])
    if found := main_hue(values, visible):
        near, next_near = np.sort(np.linalg.norm(REFERENCES - found[1], axis=-1))[:2]
        return nearest_colour(found[1]) if near < CLEAR * next_near else None
    pale = values[visible & (np.hypot(values[..., 1], values[..., 2]) < 12)]
    if len(pale) <= 0.6 * visible.sum():
        return None
    names = [nearest_colour(value) for value in pale[:: max(1, len(pale) // 400)]]
    likeliest = max(set(names), key=names.count)
    return likeliest if names.count(likeliest) > 0.7 * len(names) else None


def recoloured(sprite: np.ndarray, hue: str) -> np.ndarray:
    """Turn the pixels of the sprite's strongest hue to another one: (H, W, 4) -> (H, W, 4).

    Their hue turns by one angle, their chroma scales by one factor and their lightness is bent so that black and white
    stay and the mean becomes the reference's: shading survives, and the mean colour is what the name says.
    """
    values, target = lab(sprite[..., :3]), REFERENCES[NAMES.index(hue)]
    weights = hue_weights(values, sprite[..., 3] > VISIBLE)
    if not weights.any():
        return sprite  # nothing coloured to turn
    mean = area_mean(values, weights * (sprite[..., 3] > VISIBLE))
    turn = np.arctan2(target[2], target[1]) - np.arctan2(mean[2], mean[1])
    stretch = np.hypot(*target[1:]) / max(np.hypot(*mean[1:]), 1e-9)
    a, b = values[..., 1], values[..., 2]
    turned = stretch * np.stack([a * np.cos(turn) - b * np.sin(turn), a * np.sin(turn) + b * np.cos(turn)], -1)
    light = values[..., 0]
    below = light * target[0] / mean[0]
    above = 100 - (100 - light) * (100 - target[0]) / (100 - mean[0])
    new = np.concatenate([np.where(light < mean[0], below, above)[..., None], turned], -1)
    mixed = values + weights[..., None] * (new - values)
    return np.concatenate([rgb_from_lab(mixed), sprite[..., 3:]], -1)


def turns_truly(sprite: np.ndarray) -> bool:
    """True if the sprite mostly has one hue and its area, turned to any other hue, has the colour that is said."""
    visible, values = sprite[..., 3] > VISIBLE, lab(sprite[..., :3])
    if (found := main_hue(values, visible)) is None or nearest_colour(found[1]) not in TURNABLE:
        return False
    others = [hue for hue in HUES if hue != colour_of(sprite)]
    return all(nearest_colour(area_mean(lab(recoloured(sprite, hue)[..., :3]), found[0])) == hue for hue in others)
