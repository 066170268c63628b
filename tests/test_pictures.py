"""Whatever is uploaded becomes a small square RGB picture, or one sentence."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from playground import pictures


def refused(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no warning of Pillow's may escape either
        with pytest.raises(ValueError) as caught:
            pictures.open_picture(path)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and str(path) not in sentence
    return sentence


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_every_format_becomes_a_square_rgb_picture(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (300, 200), (200, 40, 90)).save(path, kind)
    picture = pictures.open_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (256, 256))
    assert np.abs(np.asarray(picture).astype(int) - [200, 40, 90]).max() <= 4


def test_the_centre_is_kept(tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    wide.save(tmp_path / "wide.png")
    assert pictures.open_picture(tmp_path / "wide.png", side=64).getcolors() == [(64 * 64, (0, 0, 255))]


def test_exif_rotation_is_applied_and_metadata_dropped(tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 64), "black")
    ImageDraw.Draw(picture).rectangle((0, 0, 63, 31), fill="white")  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90° clockwise to see it upright"
    picture.save(tmp_path / "turned.png", exif=exif)
    upright = pictures.open_picture(tmp_path / "turned.png", side=64)
    assert upright.getpixel((60, 32)) == (255, 255, 255) and upright.getpixel((3, 32)) == (0, 0, 0)
    assert not upright.getexif()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("clear.tiff" if mode == "PA" else "clear.png")
    if mode == "P":
        Image.new("P", (32, 32), 0).save(path, transparency=0)
    elif mode == "PA":
        Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(path)
    else:
        Image.new(mode, (32, 32), (0,) * len(Image.new(mode, (1, 1)).getbands())).save(path)
    assert pictures.open_picture(path, side=16).getcolors() == [(256, (255, 255, 255))]


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 32896, np.uint16)).save(tmp_path / "deep.png")
    assert pictures.open_picture(tmp_path / "deep.png", side=16).getpixel((8, 8)) == (128, 128, 128)


def test_float_tiff_is_read(tmp_path: Path) -> None:
    grey = np.full((32, 32), 0.5, np.float32)
    grey[0, 0] = np.nan
    Image.fromarray(grey).save(tmp_path / "float.tiff")
    assert pictures.open_picture(tmp_path / "float.tiff", side=32).getpixel((30, 30)) == (128, 128, 128)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=100)
    red, green, blue = pictures.open_picture(tmp_path / "print.jpg", side=16).getpixel((8, 8))
    assert red > 240 and green < 15 and blue < 15


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.gif")
    assert pictures.open_picture(tmp_path / "p.gif", side=16).getpixel((8, 8)) == (10, 200, 30)


def png_header(width: int, height: int) -> bytes:
    """The signature and header of a PNG that promises width × height pixels, and holds none."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    pixels = b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + pixels + struct.pack(">I", zlib.crc32(pixels))


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8_000, 5_001), (1, 40_000_001)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))  # decoding it would fail in another way: there is nothing to decode
    assert refused(path) == "The picture has more than 40 megapixels."


def test_a_whole_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "large.png")
    assert refused(tmp_path / "large.png") == "The picture has more than 40 megapixels."


@pytest.mark.parametrize("size", [(1, 39_000_000), (39_000_000, 1), (16_385, 2)])
def test_a_long_thin_picture_is_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "thin.png").write_bytes(png_header(*size))
    assert refused(tmp_path / "thin.png") == "The picture is longer than 16,384 pixels on one side."


def test_what_would_take_too_much_memory_to_decode_is_refused_and_a_large_photograph_is_not(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png_header(5_000, 4_000))
    assert refused(tmp_path / "large.png").startswith("The picture has more than 16 megapixels; save it smaller")
    Image.new("RGB", (5_000, 4_000), (0, 90, 200)).save(tmp_path / "large.jpg")
    assert pictures.open_picture(tmp_path / "large.jpg").size == (256, 256)


def test_a_text_file_named_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    assert refused(path) == "The picture file is not a PNG, JPEG, WebP, GIF, BMP or TIFF picture."


def test_a_format_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png", "PPM")
    assert "is not a PNG" in refused(tmp_path / "picture.png")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert "is not a PNG" in refused(tmp_path / "empty.png")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(pictures.MAX_BYTES + 1)
    assert refused(tmp_path / "huge.png") == "The picture file is larger than 8 MB."


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "half.png"
    grain = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(grain).save(path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "The picture file is" in refused(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.png")
    refused(tmp_path)


def test_pictures_and_tensors_go_back_and_forth() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    x0 = pictures.to_x0(Image.fromarray(levels))
    assert x0.shape == (3, 8, 8) and x0.min() >= -1 and x0.max() <= 1
    assert np.array_equal(np.asarray(pictures.from_x0(x0)), levels)
    assert pictures.from_x0(torch.full((3, 1, 1), 9.0)).getpixel((0, 0)) == (255, 255, 255)
