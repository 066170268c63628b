"""Films as files, opened again by other programs."""

import io
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from playground.export.animation import sheet, to_gif, to_mp4, to_webp

COLOURS = [(200, 30, 40), (30, 160, 60), (40, 50, 210)]


def three_sheets() -> list[Image.Image]:
    return [sheet([[("x_t", Image.new("RGB", (64, 64), c)), ("x0", Image.new("RGB", (128, 128), c))]]) for c in COLOURS]


@pytest.mark.parametrize(("write", "tolerance"), [(to_gif, 40), (to_webp, 12)])
def test_a_film_can_be_taken_away(write, tolerance: int) -> None:  # noqa: ANN001
    sheets = three_sheets()
    saved = Image.open(io.BytesIO(write(sheets)))
    assert saved.n_frames == 3 and saved.size == sheets[0].size and saved.info["loop"] == 0
    for i, colour in enumerate(COLOURS):
        saved.seek(i)
        pixels = np.asarray(saved.convert("RGB")).astype(int)
        for x in (60, pixels.shape[1] - 60):  # the middle of either picture
            assert np.abs(pixels[120, x] - colour).max() <= tolerance


def test_an_mp4_holds_every_frame_and_the_last_one_longer(tmp_path: Path) -> None:
    sheets = [image.resize((image.width - 1, image.height)) for image in three_sheets()]  # an odd width
    (tmp_path / "film.mp4").write_bytes(to_mp4(sheets))
    frames = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    about = next(frames)
    width, height = about["size"]
    assert (width, height) == (sheets[0].width + 1, sheets[0].height) and about["pix_fmt"].startswith("yuv420p")
    shown = [np.frombuffer(frame, np.uint8).reshape(height, width, 3).astype(int) for frame in frames]
    assert len(shown) == 2 + 2.0 / 0.2
    for pixels, colour in zip(shown, [*COLOURS, *[COLOURS[-1]] * 9], strict=True):
        assert np.abs(pixels[120, 60] - colour).max() <= 12
    with pytest.raises(ValueError, match="at least one frame"):
        to_mp4([])
