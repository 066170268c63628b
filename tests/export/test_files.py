"""What a grid is taken away as opens where it is meant to, and says what was drawn."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from playground import Recipe, Sweep
from playground.engine import LocalEngine
from playground.export import columns, sheet
from playground.export.bundle import table as table_of
from playground.export.bundle import to_zip
from playground.export.finished import FinishedGrid, finished
from playground.export.reading import read_picture
from playground.export.sheet import pages
from playground.refusal import Refusal
from playground.store import from_png
from tests.export.conftest import BASE


def test_the_sheet_holds_every_picture_pixel_by_pixel(row: FinishedGrid) -> None:
    (page,) = pages(row)
    levels = np.asarray(page)
    for i, result in enumerate(row.results):
        enlarged = np.asarray(result.image.resize((256, 256), Image.Resampling.NEAREST))
        x = sheet.MARGIN + i * (256 + sheet.GAP)
        tops = range(levels.shape[0] - 255)
        assert sum(np.array_equal(levels[y : y + 256, x : x + 256], enlarged) for y in tops) == 1


def test_the_seed_is_said_to_be_fixed_also_where_it_is_zero() -> None:
    said = FinishedGrid(Sweep(Recipe(prompt="apple", seed=0), {"num_inference_steps": [2, 3]}), ()).fixed
    assert "Seed: 0" in said and "rescale" not in said and "Steps" not in said


def test_long_labels_wrap_and_never_run_out_of_their_column(table: FinishedGrid) -> None:
    letters = sheet.font(sheet.TEXT)
    for text in [*table.rows, "a" * 200, "", "日本語 " * 40]:
        lines = sheet.wrapped(text, letters, 150)
        assert all(letters.getlength(line) <= 150 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_huge_grid_becomes_several_pages_with_nothing_lost(row: FinishedGrid, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(sheet, "MOST_SIDE", 900)
    sheets = pages(row)
    assert len(sheets) == 2 and all(max(page.size) <= 900 for page in sheets)


def test_cells_of_several_sizes_are_fitted_into_one_frame(row: FinishedGrid) -> None:
    small = row.results[0]
    large = replace(small, image=small.image.resize((192, 96)))
    assert pages(FinishedGrid(row.sweep, (small, large, None)))[0].size == pages(row)[0].size


def test_a_cell_of_another_shape_keeps_its_shape_in_the_sheet(row: FinishedGrid) -> None:
    small = row.results[0]
    wide = replace(small, image=Image.new("RGB", (128, 32), "red"))
    sheet_ = np.asarray(pages(FinishedGrid(row.sweep, (small, wide, None)))[0]).astype(int)
    red = (sheet_ == [255, 0, 0]).all(axis=2)
    assert red.any(axis=0).sum() == 4 * red.any(axis=1).sum() == 256


def test_a_film_takes_models_of_several_sizes_and_one_shape(row: FinishedGrid) -> None:
    small = row.results[0]
    large = replace(small, image=small.image.resize((2 * small.image.width, 2 * small.image.height)))
    wide = replace(small, image=small.image.resize((2 * small.image.width, small.image.height)))
    assert len(columns.frames(FinishedGrid(row.sweep, (small, large, wide)))) == 2


def test_the_films_have_a_frame_for_every_value(row: FinishedGrid, table: FinishedGrid, tmp_path: Path) -> None:
    for kind in ("gif", "webp"):
        film = Image.open(io.BytesIO(columns.to_film(row, kind)))
        assert film.n_frames == 3
    path = tmp_path / "film.mp4"
    path.write_bytes(columns.to_film(row, "mp4"))
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert frames >= 3 and seconds >= 2.4
    assert len(columns.frames(table)) == 2  # the third column lacks a picture
    lonely = FinishedGrid(row.sweep, (row.results[0], None, None))
    with pytest.raises(Refusal, match="at least two values"):
        columns.frames(lonely)


def test_the_zip_holds_everything_and_its_pictures_restore_it(table: FinishedGrid, engine: LocalEngine) -> None:
    archive = zipfile.ZipFile(io.BytesIO(to_zip(table)))
    names = archive.namelist()
    pictures = [name for name in names if name.startswith("cells/")]
    assert len(pictures) == 5 and {"grid.png", "grid.html", "cells.csv", "recipe.json"} <= set(names)
    assert [from_png(archive.read(name)).recipe for name in pictures] == table.recipes[:5]
    assert Sweep.from_dict(json.loads(archive.read("recipe.json"))["sweep"]) == table.sweep
    assert read_picture(archive.read("grid.png"), engine.facts).sweep == table.sweep
    rows = pd.read_csv(io.BytesIO(archive.read("cells.csv")))
    assert list(rows["file"].fillna("")) == [*pictures, ""] and list(rows["seed"]) == [1, 2, 3] * 2
    assert rows["evaluations"].iloc[0] == table.results[0].evaluations and pd.isna(rows["evaluations"].iloc[5])
    assert to_zip(table) == to_zip(table)


def test_the_table_names_the_settings_of_every_cell(row: FinishedGrid) -> None:
    rows = table_of(row)
    assert list(rows["guidance_scale"]) == ["1", "3", "9"]
    assert list(rows["recipe.guidance_scale"]) == [1.0, 3.0, 9.0] and set(rows["recipe.seed"]) == {7}


def test_a_grid_without_any_picture_is_refused() -> None:
    with pytest.raises(Refusal, match="press Run first"):
        finished(Sweep(BASE, {"seed": [1]}), lambda recipe: None)
