"""Text inside PNG files: what ours carry, and what is read from any.

A chunk is put into a finished file as it is (W3C PNG specification, third edition, 11.3.3), so that its pixels are
never encoded twice.
"""

import io
import json
import struct
import warnings
import zlib

from PIL import Image

from playground.engine import Result
from playground.export.parameters import to_parameters
from playground.models import Facts
from playground.pictures import DAMAGED, MAX_BYTES, MAX_PIXELS, TOO_LARGE, TOO_MANY_PIXELS
from playground.refusal import Refusal
from playground.store import TEXT_KEY, receipt, to_png
from playground.sweep import Sweep

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = len(SIGNATURE) + 25  # where the first chunk, IHDR, ends
ENGINE_KEY = f"{TEXT_KEY}-engine"  # what drew it
PARAMETERS = "parameters"  # AUTOMATIC1111's key
NOT_A_PNG = "Only a PNG carries a recipe; this file is none."
MEASURED = ("seconds", "shared")  # of a receipt: what belongs to a run, and not to the picture
MOST_SIDE = 16_384  # pixels; a very long picture costs more to decode than its pixels


def cell_png(result: Result, facts: Facts | None = None) -> bytes:
    """The picture with our JSON and, beside it, the text that AUTOMATIC1111 and Civitai read.

    What a run measures is not in it: equal pixels and latents give the same file, byte for byte, whoever else was
    drawing and however long it took. A picture that was made elsewhere carries our JSON only. `facts`, those of the
    engine that drew it, are noted for checks elsewhere.
    """
    told = {key: value for key, value in receipt(result).items() if key not in MEASURED}
    data = with_text(without_text(to_png(result), TEXT_KEY), TEXT_KEY, json.dumps(told, sort_keys=True))
    if not result.elsewhere:  # else they would name settings that made nothing
        data = with_text(data, PARAMETERS, to_parameters(result.recipe, facts))
    if facts is None:
        return data
    drawn_by = {"weights": facts.fingerprint_for(result.recipe), "precision": facts.precision, "device": facts.device}
    return with_text(data, ENGINE_KEY, json.dumps(drawn_by))


def sheet_png(picture: Image.Image, sweep: Sweep) -> bytes:
    """A picture of a whole grid with its sweep inside."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return with_text(buffer.getvalue(), TEXT_KEY, json.dumps({"sweep": sweep.to_dict()}, ensure_ascii=False))


def with_text(png: bytes, key: str, text: str) -> bytes:
    """The file with one more text chunk after its header: tEXt where Latin-1 can say it, as AUTOMATIC1111 writes it,
    else iTXt."""
    try:
        kind, body = b"tEXt", key.encode("latin-1") + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        # without compression, language or translated key
        kind, body = b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:HEADER_END] + chunk + png[HEADER_END:]


def without_text(png: bytes, key: str) -> bytes:
    """One of our own files without its text chunks of that key."""
    kept, at = [png[: len(SIGNATURE)]], len(SIGNATURE)
    while at < len(png):
        end = at + 12 + struct.unpack_from(">I", png, at)[0]  # length, type and checksum are four bytes each
        text = png[at + 4 : at + 8] in (b"tEXt", b"iTXt", b"zTXt")
        if not (text and png[at + 8 : end].startswith(key.encode("latin-1") + b"\0")):
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def texts_of(data: bytes) -> tuple[dict[str, str], Image.Image]:
    """An untrusted PNG -> its texts, and its decoded RGB picture.

    Raises Refusal with one sentence for what is too large, no PNG, or damaged.
    """
    if len(data) > MAX_BYTES:
        raise Refusal(TOO_LARGE)
    if not data.startswith(SIGNATURE) or len(data) < HEADER_END:
        raise Refusal(NOT_A_PNG)
    width, height = struct.unpack(">II", data[16:24])
    if width * height > MAX_PIXELS or max(width, height) > MOST_SIDE:
        raise Refusal(TOO_MANY_PIXELS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=("PNG",))
            picture.load()
    except Exception:  # Pillow's decoder raises OSError, SyntaxError, ValueError, struct.error … for broken files
        raise Refusal(DAMAGED) from None
    return {k: v for k, v in picture.info.items() if isinstance(v, str)}, picture.convert("RGB")
