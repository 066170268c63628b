"""Every field's errors stand beside the field, as one sentence; nothing runs and nothing changes."""

import math
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from playground import Recipe, Sweep
from playground.sweep import lora_of
from playground.ui.compare.grid import empty, html
from playground.ui.compare.reading import VALUES, key_of, read_form, typed_values
from playground.ui.shared.files import PictureFiles
from playground.ui.shared.shipped import examples

GOOD: dict[str, Any] = {
    "prompt": "red apple",
    "negative_prompt": "",
    "sampler": "ddim",
    "num_inference_steps": 20.0,  # as a number field gives it
    "guidance_scale": 5,
    "seed": 7.0,
    "axis": "guidance_scale",
    VALUES: "1, 3, 5",
}


def errors(**changes: Any) -> dict[str, str]:
    reading = read_form({**GOOD, **changes}, Recipe())
    assert (reading.sweep is None) == bool(reading.errors)
    return reading.errors


def test_a_good_form_is_a_sweep() -> None:
    reading = read_form(GOOD, Recipe())
    assert reading.errors == {}
    assert [r.guidance_scale for r in reading.sweep.recipes()] == [1, 3, 5]
    assert reading.sweep.base.seed == 7


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "x" * 100_000),
        ("negative_prompt", "x" * 1001),
        ("num_inference_steps", 0),
        ("num_inference_steps", 10_000),
        ("num_inference_steps", 20.5),
        ("num_inference_steps", None),
        ("seed", -1),
        ("seed", None),
        ("seed", 1e20),
        ("sampler", "nope"),
    ],
)
def test_an_error_stands_at_its_own_field_and_only_there(field: str, value: Any) -> None:
    found = errors(**{field: value})
    assert list(found) == [field] and found[field].endswith(".")


@pytest.mark.parametrize(
    ("axis", "typed"),
    [
        ("guidance_scale", ""),
        ("guidance_scale", "1, 2, x"),
        ("guidance_scale", "-1, 5"),
        ("guidance_scale", "nan, 5"),
        ("guidance_scale", "1e9, 5"),
        ("guidance_scale", "5"),
        ("guidance_scale", ", ".join(map(str, range(500)))),
        ("num_inference_steps", "0, 5"),
        ("num_inference_steps", "10, 10000"),
        ("seed", "1, 99999999999"),
        ("sampler", []),
        ("sampler", ["ddim"]),
        ("sampler", ["ddim", "nope"]),
        ("prompt", ""),
        ("prompt", "x" * 100_000 + "\ncat"),
    ],
)
def test_an_error_in_the_values_stands_at_the_values(axis: str, typed: Any) -> None:
    found = errors(axis=axis, **{VALUES: typed})
    assert list(found) == [VALUES] and found[VALUES].endswith(".") and len(found[VALUES]) < 200


def test_several_wrong_fields_are_all_told_at_once() -> None:
    assert set(errors(seed=-1, num_inference_steps=0, **{VALUES: "x"})) == {"seed", "num_inference_steps", VALUES}


def test_the_varied_field_itself_is_not_checked() -> None:
    assert errors(guidance_scale=math.nan) == {}


def test_what_an_editor_shows_reads_back_as_the_same_sweep() -> None:
    for example in examples(("lcm", "pixel_art")):
        sweep = example.sweep
        axis, values = next(iter(sweep.axes.items()))
        typed = {"axis": key_of(axis), "lora": lora_of(axis), VALUES: typed_values(key_of(axis), values)}
        assert read_form({**sweep.base.to_dict(), **typed}, Recipe()).sweep == sweep


def test_examples_with_loras_are_shown_where_the_model_has_them() -> None:
    titles = [example.title for example in examples(("lcm", "pixel_art"))]
    assert set(titles) - {example.title for example in examples()} == {"Four steps", "Style"}
    assert {example.title for example in examples(("lcm",))} == set(titles) - {"Style"}


@pytest.mark.parametrize("payload", ["<img src=x onerror=alert(1)>", "${alert(1)}", "{{value}}", '"><script>alert(1)'])
def test_what_was_typed_is_text_in_the_grid(payload: str) -> None:
    shown = html(empty(Sweep(Recipe(), {"prompt": [payload, "cat"]})))
    assert "<img" not in shown and "<script" not in shown and payload in unescape(shown)


def test_picture_files_are_written_once_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    files = PictureFiles(most=3)
    paths = [Path(files.path(bytes([i]))) for i in range(3)]
    assert files.path(b"\x00") == str(paths[0])  # shown again, so it is now the newest
    newest = Path(files.path(b"\x09"))
    assert [p.exists() for p in [*paths, newest]] == [True, False, True, True]
    assert not paths[1].parent.exists()
    written = newest.stat().st_mtime_ns
    assert files.path(b"\x09") == str(newest) and newest.stat().st_mtime_ns == written
    assert Path(files.path(b"\x08", "../../up.png")).is_relative_to(tmp_path)  # a name is no way out of the folder
    large = Path(files.path(b"1234", "large.png"))  # more than fits: alone
    assert large.exists() and not any(p.exists() for p in [*paths, newest])
