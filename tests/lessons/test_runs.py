"""Every kind of run with the real model, and that what is shown before a run is what the shipped model draws."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground import noise
from playground.engine import LocalEngine
from playground.lessons import earlier, numbers
from playground.lessons.command import check
from playground.lessons.runs.contract import Outcome, Preview
from playground.lessons.runs.forward import SIDE
from playground.lessons.runs.kinds import KINDS
from playground.lessons.runs.samples import sample
from playground.lessons.shelf import shelf
from playground.measure.named import MEASURES
from playground.pictures import to_x0
from playground.refusal import Refusal
from playground.store import Store
from tests.lessons.test_reader import GOOD

FEW = {"prompt": "cat", "num_inference_steps": 3}
SMALL = {
    "pictures": {"base": FEW, "axis": "guidance_scale", "values": [1, 3], "seeds": [1, 2]},
    "forward": {"picture": "dusk", "t": [300], "walk": True},
    "film": {"base": {**FEW, "num_inference_steps": 4}, "at": [1, 2], "beside": True},
    "guess": {"picture": "flower", "t": [100, 800]},
    "attention": {"base": {**FEW, "prompt": "red cat"}, "words": ["red", "cat"]},
    "autoencoder": {"picture": "flower"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_gives_a_picture_and_its_numbers_for_every_cell(kind: str, engine: LocalEngine, store: Store) -> None:
    run = KINDS[kind](SMALL[kind], "pocket")
    labels = run.labels(engine.facts)
    *on_the_way, outcome = run.perform(engine, store)
    assert all(isinstance(event, Preview) and 0 <= event.cell < len(labels) for event in on_the_way)
    assert isinstance(outcome, Outcome) and len(outcome.pictures) == len(labels) > 1
    assert set(outcome.values) <= set(run.measures) <= set(MEASURES)
    assert all(len(values) == len(labels) for values in outcome.values.values())


def test_where_the_factors_are_equal_the_noise_is_the_stronger_as_lesson_1_says(engine: LocalEngine) -> None:
    step = shelf()[0].steps[0]
    facts = numbers.facts_of(engine.facts)
    assert f"two factors are equal near t = {facts['half']}" in numbers.filled(step.after, facts, (), {})
    x0 = to_x0(sample(step.run.picture, SIDE))
    at = noise.coefficients("scaled_linear", int(facts["half"]))
    assert at.sqrt_alpha_bar == pytest.approx(at.sqrt_one_minus_alpha_bar, abs=0.01)
    assert x0.abs().max() <= 1 and x0.square().mean() < 0.2  # the power of ε is 1


def test_two_walks_to_one_noise_level_agree_with_the_formula(engine: LocalEngine, store: Store) -> None:
    *_, outcome = KINDS["forward"](SMALL["forward"], "pocket").perform(engine, store)
    expected = noise.coefficients("scaled_linear", 300).sqrt_one_minus_alpha_bar
    assert outcome.values["noise"] == pytest.approx((expected, expected), abs=0.01)
    assert outcome.values["steps"] == (1, 301)


def test_forty_eight_numbers_become_one(engine: LocalEngine, store: Store) -> None:
    *_, outcome = KINDS["autoencoder"](SMALL["autoencoder"], "pocket").perform(engine, store)
    assert outcome.values["shrinkage"][1] == 48 and outcome.values["distance"][2] > 0


def test_the_same_recipe_twice_is_the_same_picture_without_the_store(engine: LocalEngine, store: Store) -> None:
    cells = [{"label": "a", "seed": 1}, {"label": "b", "seed": 1}, {"label": "c", "seed": 2}]
    run = KINDS["pictures"]({"base": FEW, "cells": cells, "again": True}, "pocket")
    *_, outcome = run.perform(engine, store)
    assert outcome.values["distance"][1] == 0 < outcome.values["distance"][2]
    assert len(store) == 0 and outcome.kept == 0


def test_kept_pictures_are_said_to_be_kept(engine: LocalEngine, store: Store) -> None:
    run = KINDS["pictures"](SMALL["pictures"], "pocket")
    *_, first = run.perform(engine, store)
    *_, second = run.perform(engine, store)
    assert (first.kept, second.kept) == (0, 4) and first.values == second.values


def test_another_model_runs_in_its_own_settings_or_says_that_it_cannot(engine: LocalEngine) -> None:
    other = dataclasses.replace(
        engine.facts, name="other", usual=engine.facts.usual.replace(model="other", num_inference_steps=7)
    )
    run = KINDS["pictures"]({**SMALL["pictures"]}, "pocket")
    (recipe, _), _ = run.recipes(other)
    assert (recipe.model, recipe.num_inference_steps, recipe.prompt) == ("other", 7, "cat")
    with pytest.raises(Refusal, match="without guidance"):
        run.labels(dataclasses.replace(other, guidance="none"))
    with pytest.raises(Refusal, match="cross-attention"):
        KINDS["attention"](SMALL["attention"], "pocket").labels(
            dataclasses.replace(other, no_attention="It has no cross-attention.")
        )


def test_what_is_shown_before_a_run_is_there_small_and_by_these_weights(engine: LocalEngine) -> None:
    """Where this fails: python -m examples.render_first_view"""
    files = list(earlier.FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) < 300_000
    facts, names = numbers.facts_of(engine.facts), set()
    for lesson in shelf():
        for i, step in enumerate(lesson.steps):
            if step.run is None:
                continue
            names.add(earlier.name_of(lesson, i))
            labels = step.run.labels(engine.facts)
            shown = earlier.shown_earlier(lesson, i, engine.facts)
            assert shown is not None and len(shown.pictures) == len(labels), earlier.name_of(lesson, i)
            assert "–" not in numbers.filled(step.after, facts, labels, shown.values), earlier.name_of(lesson, i)
            if step.ask:
                assert any(value is not None for value in shown.values[step.ask.measure])
    assert {file.stem for file in files} == names | {Path(earlier.MEASURED).stem}


@pytest.mark.parametrize(("lesson", "step"), [("01-noise", 0), ("02-denoising", 2), ("04-samplers", 2)])
def test_it_is_what_a_run_gives_now(lesson: str, step: int, engine: LocalEngine, store: Store) -> None:
    """Close and not equal: the kept ones may have been drawn in another precision, and WebP blurs the colours of noise.
    So the pictures are held against each other by the means of their parts."""
    (found,) = [one for one in shelf() if one.key == lesson]
    shown = earlier.shown_earlier(found, step, engine.facts)
    *_, outcome = found.steps[step].run.perform(engine, store)
    measure = found.steps[step].ask.measure
    assert shown.values[measure] == pytest.approx(outcome.values[measure], rel=0.02, abs=0.01)
    for kept, now in zip(shown.pictures, outcome.pictures, strict=True):
        parts = [
            np.asarray(picture.convert("RGB").resize((8, 8), Image.Resampling.BOX), np.float32)
            for picture in (kept, now)
        ]
        assert np.abs(parts[0] - parts[1]).mean() < 8


def test_nothing_drawn_by_other_weights_or_for_another_run_is_shown(engine: LocalEngine, tmp_path: Path) -> None:
    lesson = shelf()[0]
    name = earlier.name_of(lesson, 0)
    assert earlier.shown_earlier(lesson, 0, engine.facts) is not None
    assert earlier.shown_earlier(lesson, 0, dataclasses.replace(engine.facts, name="other")) is None
    for changed in ("weights", "run"):
        folder = tmp_path / changed
        shutil.copytree(earlier.FOLDER, folder)
        measured = json.loads((folder / earlier.MEASURED).read_text(encoding="utf-8"))
        measured[name][changed] = "0" * 16
        (folder / earlier.MEASURED).write_text(json.dumps(measured), encoding="utf-8")
        assert earlier.shown_earlier(lesson, 0, engine.facts, folder) is None


def test_the_checker_runs_every_step_and_names_the_line(tmp_path: Path, capsys) -> None:  # noqa: ANN001
    good, bad, beyond = (tmp_path / f"{name}.md" for name in ("good", "bad", "beyond"))
    good.write_text(GOOD, encoding="utf-8")
    assert check([str(good)]) == 0
    said = capsys.readouterr().out
    assert "First step: ran in" in said and "guidance 5" in said and "0 faults." in said
    bad.write_text(GOOD.replace("[1, 5]", "[1, 500]"), encoding="utf-8")
    beyond.write_text(GOOD.replace("{clipped last}", "{clipped 7}"), encoding="utf-8")
    assert check([str(bad), str(beyond)]) == 1
    said = capsys.readouterr().out
    assert "bad.md, line 18: guidance_scale must be" in said
    assert "beyond.md, line 21: {clipped 7} was not measured" in said and "2 faults." in said
