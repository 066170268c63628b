"""A film as one file: a GIF, which every program opens, a WebP, which keeps all colours, or an MP4, for slides."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

from playground.export.letters import INK, LINE, PAPER, QUIET, font, lines, wrapped

SIDE = 256  # pixels of one picture's longer side
GAP = 8
CAPTION = 22  # pixels above each picture
TEXT, SMALL = 13, 12  # pixels of a letter's height, above a picture and below all
FRAME_SECONDS = 0.2
HOLD_SECONDS = 2.0  # of the last frame, the finished picture


def sheet(rows: Sequence[Sequence[tuple[str, Image.Image]]], foot: str = "") -> Image.Image:
    """Rows of (caption, picture), equally many and equally shaped -> one RGB picture with the captions above, and the
    foot below in as many lines as it needs."""
    width, height = rows[0][0][1].size
    scale = SIDE / max(width, height)
    cell = (round(width * scale), round(height * scale))
    across = len(rows[0]) * (cell[0] + GAP) + GAP
    below, tall = wrapped(foot, font(SMALL), across - 2 * GAP) if foot else [], round(SMALL * LINE)
    above = len(rows) * (cell[1] + CAPTION + GAP) + GAP
    paper = Image.new("RGB", (across, above + tall * len(below) + (GAP if below else 0)), PAPER)
    draw = ImageDraw.Draw(paper)
    for j, row in enumerate(rows):
        for i, (caption, picture) in enumerate(row):
            x, y = GAP + i * (cell[0] + GAP), GAP + j * (cell[1] + CAPTION + GAP)
            draw.text((x, y), caption, INK, font(TEXT))
            paper.paste(picture.convert("RGB").resize(cell, Image.Resampling.BICUBIC), (x, y + CAPTION))
    lines(draw, (GAP, above), below, font(SMALL), tall, QUIET)
    return paper


def to_gif(frames: Sequence[Image.Image], seconds: float = FRAME_SECONDS) -> bytes:
    """Frames of one size, shown so long each -> an endless GIF. Each frame has its own 256 colours, so colours are
    approximate."""
    return _saved(frames, "GIF", seconds, optimize=False)


def to_webp(frames: Sequence[Image.Image], seconds: float = FRAME_SECONDS) -> bytes:
    """Frames of one size -> an endless animated WebP in true colour."""
    return _saved(frames, "WEBP", seconds, quality=90, method=0)


def to_mp4(frames: Sequence[Image.Image], seconds: float = FRAME_SECONDS) -> bytes:
    """Frames of one size -> H.264 with halved colour resolution (yuv420p), which is what every player takes.

    An odd width or height grows by one pixel of paper. Raises ValueError where there is nothing to save.
    """
    _check(frames)
    width, height = (side + side % 2 for side in frames[0].size)
    held = [*frames, *[frames[-1]] * round(HOLD_SECONDS / seconds - 1)]
    with tempfile.TemporaryDirectory() as folder:  # the index of an MP4 is written last, so a pipe would not do
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=1 / seconds,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=["-crf", "18", "-preset", "veryfast", "-movflags", "+faststart"],
        )
        writer.send(None)
        for frame in held:
            paper = Image.new("RGB", (width, height), PAPER)
            paper.paste(frame)
            writer.send(paper.tobytes())
        writer.close()
        return path.read_bytes()


def _check(frames: Sequence[Image.Image]) -> None:
    if not frames:
        raise ValueError("A film needs at least one frame.")


def _saved(frames: Sequence[Image.Image], kind: str, seconds: float, **options: object) -> bytes:
    """Raises ValueError where there is nothing to save."""
    _check(frames)
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * HOLD_SECONDS)]
    if kind == "GIF":
        frames = [_with_palette(frame) for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=list(frames[1:]), duration=milliseconds, loop=0, **options
    )
    return buffer.getvalue()


def _with_palette(frame: Image.Image) -> Image.Image:
    """256 colours by octree (sixty times as fast as Pillow's median cut), dithered so that gradients stay smooth."""
    colours = frame.quantize(256, Image.Quantize.FASTOCTREE)
    return frame.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
