"""Pictures from outside: opened with suspicion, turned into a small square RGB picture, and to tensors and back."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from playground.refusal import Refusal

SIDE = 256  # pixels per side of every picture the page shows
WHOLE_SIDE = 1024  # pixels of the longer side of a picture that is kept whole
MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000  # in the file
MAX_DECODED = 16_000_000  # pixels to decode; of large JPEGs these are fewer than in the file
MAX_SIDE = 16_384  # pixels; a longer and thinner one costs far more memory than its pixels
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow knows many more, several of them rarely looked after

TOO_LARGE = "The picture file is larger than 8 MB."
TOO_MANY_PIXELS = "The picture has more than 40 megapixels."
TOO_MUCH_TO_DECODE = "The picture has more than 16 megapixels; save it smaller, or as a JPEG."
TOO_LONG = "The picture is longer than 16,384 pixels on one side."
NOT_A_PICTURE = "The picture file is not a PNG, JPEG, WebP, GIF, BMP or TIFF picture."
DAMAGED = "The picture file is damaged and cannot be read."

# Pillow warns about large pictures while it reads the header, before we can refuse them ourselves.
# Warning filters are global to the process, so one thread at a time may change them.
_filters = threading.Lock()
# One of 16 megapixels takes up to 300 MB while it is decoded, so two at a time, whoever brings them.
_decoding = threading.BoundedSemaphore(2)


def open_picture(path: str | Path, side: int = SIDE) -> Image.Image:
    """path of an untrusted file -> RGB picture of side × side pixels, the centre of the original.

    Only the first frame is read. EXIF rotation is applied, transparency is laid on white, 16-bit and CMYK become
    8-bit RGB, metadata is dropped. Raises Refusal with one sentence for anything else: more than 8 MB, more than
    40 megapixels, more than 16 that would have to be decoded (JPEGs are decoded at a fraction of their size), a side of
    more than 16,384 pixels (all known from the header, nothing is decoded), another format, a damaged file.
    """
    return _opened(path, side, _square)


def open_whole(path: str | Path) -> Image.Image:
    """The same -> all of the picture, in RGB, reduced to at most WHOLE_SIDE pixels on its longer side; one that is as
    small already keeps its pixels."""
    return _opened(path, WHOLE_SIDE, _reduced)


def whole_of(answer: bytes | Image.Image) -> Image.Image:
    """The same of what another machine sent: a file's bytes, or a picture that is opened and not decoded yet; in its
    own size."""
    return _opened(answer, MAX_SIDE, _reduced)


def fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """RGB picture -> width × height pixels: its centre, cut to that shape and resized by Lanczos; one that has the size
    keeps its pixels."""
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def digest(picture: Image.Image) -> str:
    """RGB picture -> 64 hexadecimal digits over its size and pixels, whatever file they came in."""
    return hashlib.sha256(f"{picture.width}x{picture.height}:".encode() + picture.convert("RGB").tobytes()).hexdigest()


def _opened(
    given: str | Path | bytes | Image.Image, side: int, shaped: Callable[[Image.Image, int], Image.Image]
) -> Image.Image:
    try:
        if not isinstance(given, Image.Image):
            if (len(given) if isinstance(given, bytes) else Path(given).stat().st_size) > MAX_BYTES:
                raise Refusal(TOO_LARGE)
            given = _header(io.BytesIO(given) if isinstance(given, bytes) else given)
        with given as picture:
            if picture.format not in FORMATS:
                raise Refusal(NOT_A_PICTURE)
            if picture.width * picture.height > MAX_PIXELS:
                raise Refusal(TOO_MANY_PIXELS)
            picture.draft("RGB", (side * 2, side * 2))  # JPEG only: large photographs at a fraction of their size
            if max(picture.size) > MAX_SIDE:
                raise Refusal(TOO_LONG)
            if picture.width * picture.height > MAX_DECODED:
                raise Refusal(TOO_MUCH_TO_DECODE)
            with _decoding:
                return shaped(picture, side)
    except UnidentifiedImageError:
        raise Refusal(NOT_A_PICTURE) from None
    except Image.DecompressionBombError:
        raise Refusal(TOO_MANY_PIXELS) from None
    except Refusal:
        raise
    except Exception:  # decoders of broken files raise nearly anything: OSError, SyntaxError, struct.error, …
        raise Refusal(DAMAGED) from None


def _header(path: str | Path | io.BytesIO) -> Image.Image:
    """path or bytes -> a lazily opened picture: its format and size are known, its pixels are still encoded."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(path, formats=FORMATS)


def _square(picture: Image.Image, side: int) -> Image.Image:
    picture = ImageOps.exif_transpose(picture)
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    centre = _eight_bit_rgb(picture.crop((left, top, left + short, top + short)))
    return centre.resize((side, side), Image.Resampling.LANCZOS)


def _reduced(picture: Image.Image, longest: int) -> Image.Image:
    whole = _eight_bit_rgb(ImageOps.exif_transpose(picture))
    if max(whole.size) > longest:
        scale = longest / max(whole.size)
        whole = whole.resize(tuple(max(1, round(side * scale)) for side in whole.size), Image.Resampling.LANCZOS)
    return Image.frombytes("RGB", whole.size, whole.tobytes())  # without what the file said besides


def _eight_bit_rgb(picture: Image.Image) -> Image.Image:
    """Any mode -> RGB, transparency on white."""
    if picture.mode.startswith(("I", "F")):
        return _stretched(picture).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _stretched(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit or float greys -> 8-bit greys. Pillow's own convert() would clip everything above 255 to white."""
    grey = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    if picture.mode == "F":
        white = max(float(grey.max()), 1.0)
    else:
        white = 65535.0 if grey.max() <= 65535 else float(grey.max())
    return Image.fromarray((grey.clip(0, white) * (255 / white)).round().astype(np.uint8), "L")


def to_x0(picture: Image.Image) -> torch.Tensor:
    """RGB picture -> x₀ (3, H, W) float32 in [-1, 1]"""
    levels = torch.from_numpy(np.array(picture.convert("RGB")))  # (H, W, 3) uint8
    return levels.permute(2, 0, 1).float() / 127.5 - 1


def from_x0(x: torch.Tensor) -> Image.Image:
    """(3, H, W), values outside [-1, 1] clipped -> RGB picture"""
    levels = ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
