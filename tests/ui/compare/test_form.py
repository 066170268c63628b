"""Every field's errors stand beside the field, as one sentence; nothing runs and nothing changes."""

import math
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from playground import Recipe, Sweep
from playground.sweep import MOST_CELLS
from playground.ui.compare.reading import (
    VALUES,
    lora_varied,
    read_form,
    slots_of,
    typed_values,
    values_slot,
)
from playground.ui.shared.files import PictureFiles
from playground.ui.shared.shipped import examples

GOOD: dict[str, Any] = {
    "prompt": "red apple",
    "negative_prompt": "",
    "sampler": "ddim",
    "num_inference_steps": 20.0,  # as a number field gives it
    "guidance_scale": 5,
    "seed": 7.0,
    "columns": "guidance_scale",
    VALUES: {"guidance_scale": "1, 3, 5"},
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
    found = errors(columns=axis, **{VALUES: {axis: typed}})
    assert list(found) == [values_slot(axis)]
    assert found[values_slot(axis)].endswith(".") and len(found[values_slot(axis)]) < 200


def test_several_wrong_fields_are_all_told_at_once() -> None:
    found = errors(seed=-1, num_inference_steps=0, **{VALUES: {"guidance_scale": "x"}})
    assert set(found) == {"seed", "num_inference_steps", values_slot("guidance_scale")}


def test_the_varied_field_itself_is_not_checked() -> None:
    assert errors(guidance_scale=math.nan) == {}


def typed(sweep: Sweep) -> dict[str, Any]:
    """What the form holds when it asks for this sweep."""
    slots = slots_of(sweep)
    keys = [key for key in slots.values() if key]
    editors = {key: typed_values(key, values) for key, values in zip(keys, sweep.axes.values(), strict=True)}
    return {**sweep.base.to_dict(), **slots, VALUES: editors, "lora": lora_varied(sweep), "seeds": sweep.seeds}


TWO = {"num_inference_steps": [4, 8], "guidance_scale": [1, 5]}


@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(Recipe(prompt="red apple"), TWO),
        Sweep(Recipe(prompt="red apple"), dict(reversed(TWO.items()))),
        Sweep(Recipe(prompt="red apple"), {"sampler": ["ddim", "euler"], **TWO}),
        Sweep(Recipe(prompt="red apple"), {"words.red apple": ["red apple", "cat", ""], "size": [64, 128]}),
        Sweep(Recipe(prompt="cat"), {"guidance_rescale": [0, 0.5], "loras.ink": [0, 1]}, seeds=3),
        Sweep(Recipe(sampler="ddim", clip_skip=2), {"eta": [0, 0.5], "shift": [1, 3]}),
        Sweep(Recipe(sampler="ddim", eta=0.5), {"clip_skip": [0, 1]}),
        Sweep(Recipe(true_cfg_scale=4), {"guidance_scale": [1, 3.5]}),
        Sweep(Recipe(prompt="cat"), {"true_cfg_scale": [1, 2.5]}),
        Sweep(Recipe(prompt="red apple", prompt_weights=True), {"words.apple": ["apple", "(apple:1.4)", "[apple]"]}),
    ],
)
def test_several_axes_read_back_in_their_order(sweep: Sweep) -> None:
    read = read_form(typed(sweep), Recipe()).sweep
    assert read == sweep and read.digest() == sweep.digest() and list(read.axes) == list(sweep.axes)


def test_two_axes_need_two_different_things() -> None:
    assert list(errors(rows="guidance_scale")) == ["rows"]
    assert list(errors(columns="seed", seeds=2.0, **{VALUES: {"seed": "1, 2"}})) == ["seeds"]
    assert list(errors(seeds=None)) == list(errors(seeds=0)) == list(errors(seeds=2.5)) == ["seeds"]
    assert list(errors(columns=["seed"])) == ["columns"] and list(errors(rows="nope")) == ["columns"]


def test_words_to_be_exchanged_must_stand_in_the_prompt() -> None:
    found = errors(columns="words", **{VALUES: {"words": "pear\ncat"}})
    assert found == {values_slot("words"): "The prompt does not have “pear”, which is to be exchanged."}


def test_errors_are_in_the_words_of_the_form() -> None:
    assert errors(num_inference_steps=None) == {
        "num_inference_steps": "Steps must be a whole number from 1 to 1,000; the field is empty."
    }
    assert errors(sampler="pndm", num_inference_steps=1) == {
        "num_inference_steps": "Steps must be at least 2 for the sampler PLMS."
    }
    assert errors(guidance_rescale=3)["guidance_rescale"].startswith("Guidance rescale must be from 0 to 1")
    assert errors(true_cfg_scale=0.5) == {"true_cfg_scale": "True CFG scale must be from 1 to 20, not 0.5."}


def test_too_many_pictures_are_told_at_an_axis() -> None:
    lists = {"guidance_scale": ", ".join(map(str, range(20))), "seed": ", ".join(map(str, range(20)))}
    found = errors(rows="seed", **{VALUES: lists})
    assert found == {
        values_slot("guidance_scale"): f"A grid can have at most {MOST_CELLS} pictures; this one would have 400."
    }


def test_what_an_editor_shows_reads_back_as_the_same_sweep() -> None:
    for example in examples(("lcm", "pixel_art")):
        assert read_form(typed(example.sweep), Recipe()).sweep == example.sweep


def test_examples_with_loras_are_shown_where_the_model_has_them() -> None:
    titles = [example.title for example in examples(("lcm", "pixel_art"))]
    assert set(titles) - {example.title for example in examples()} == {"Four steps", "Style"}
    assert {example.title for example in examples(("lcm",))} == set(titles) - {"Style"}


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


def test_what_the_model_has_no_use_for_is_said_at_its_own_field(page: Page) -> None:
    page.locator("#everything-else button").first.click()
    eta, skip = (page.locator(f"#field-{name} input") for name in ("eta", "clip-skip"))
    eta.fill("0.5")
    eta.blur()
    expect(page.locator("#error-eta")).to_contain_text(
        "Eta must be 0 with the sampler DPM++ 2M: only DDIM has it, so choose that one."
    )
    eta.fill("0")
    skip.fill("9")
    skip.blur()
    expect(page.locator("#error-clip-skip")).to_contain_text("Clip skip must be at most 2 for this model.")
    expect(page.locator("#error-eta")).not_to_contain_text("Eta")
    expect(page.locator("#field-shift")).to_have_count(0)  # of flow matching
    page.get_by_role("radio", name="Clip skip").check()
    expect(page.locator("#error-clip-skip")).not_to_contain_text("Clip skip")  # the axis takes its place
    expect(page.locator("#cost")).to_contain_text("3 pictures")
