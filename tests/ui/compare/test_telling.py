"""What is said of a run in numbers, and what is said of a grid."""

import re
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from playground import Recipe, Sweep
from playground.engine import Done, Failed, Keep, LocalEngine, Step, Waiting
from playground.export.finished import FinishedGrid
from playground.labels import common_of
from playground.models.elsewhere import Elsewhere
from playground.samplers import SAMPLERS
from playground.ui.compare.caption import alt_of, caption, fixed, place_label, say
from playground.ui.compare.grid import empty, folded
from playground.ui.compare.telling import cost, oddities, progress, summary, work
from playground.ui.shared import sure
from playground.ui.shared.sure import CROWD
from playground.ui.shared.waits import roughly, waits_for
from playground.ui.shared.words import AXES, ONE_STEP


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.3, "under 1 s"),
        (1.2, "under 2 s"),
        (3, "2–4 s"),
        (12, "8–15 s"),
        (47, "30–60 s"),
        (100, "1–3 minutes"),
        (15 * 60, "10–20 minutes"),
        (5 * 3600, "more than an hour"),
    ],
)
def test_an_estimate_is_a_range_of_round_numbers(seconds: float, said: str) -> None:
    assert roughly(seconds).replace("\u00a0", " ") == said


def asks_first(engine: LocalEngine, sweep: Sweep, page: str) -> str:
    return sure.question(engine, sweep.recipes(), page, what="grid")


def test_among_many_a_long_grid_is_asked_about_once_more_with_the_wait(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sure, "LONGEST", float("inf"))  # on a slow machine this grid would be asked about also alone
    long = Recipe(num_inference_steps=1000)
    grid = Sweep(long, {"seed": list(range(12))})
    with ExitStack() as stack:
        runs = (engine.run([long.replace(seed=100 + i)], previews=False, visitor=f"v{i}") for i in range(CROWD))
        others = [stack.enter_context(closing(run)) for run in runs]
        for run in others[1:]:
            assert any(isinstance(event, Step) for event in run)
        assert asks_first(engine, grid, "me") == ""  # too few wait
        assert any(isinstance(event, Step) for event in others[0])
        said = asks_first(engine, grid, "me").replace("\u00a0", " ")
        assert said.startswith("4 other runs are under way. This grid would take ")
        time = r"((under )?[\d–]+ (s|minutes)|more than an hour)"
        assert re.search(
            rf"take {time} of this machine, shared with them, and be finished in {time}\. Run it all", said
        )
        assert asks_first(engine, grid, "v0") == ""  # its own run, whose place it takes, is none of them
        assert asks_first(engine, Sweep(long, {"seed": [1]}), "me") == ""
        assert asks_first(engine, Sweep(Recipe(), {"seed": [1, 2]}), "me") == ""


def test_a_long_run_is_asked_about_also_alone_and_a_film_by_what_it_keeps(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.render(Recipe(num_inference_steps=2))
    recipe = Recipe(guidance_scale=1, num_inference_steps=100)
    plain, kept = engine.estimate([recipe]), engine.estimate([recipe], Keep(predictions=True))
    monkeypatch.setattr(sure, "LONGEST", (plain + kept) / 2)
    assert sure.question(engine, [recipe]) == ""
    said = sure.question(engine, [recipe], keep=Keep(predictions=True), what="film").replace("\u00a0", " ")
    assert re.fullmatch(
        r"This film would take (under )?[\d–]+ s of this machine, and whoever else runs something meanwhile shares "
        r"it\. Run it all the same",
        said,
    )


def test_what_a_run_waits_for_is_said() -> None:
    assert waits_for(Waiting(1, None)) == "Shared fairly with 1 other run."
    assert waits_for(Waiting(3, 12.0)).replace("\u00a0", " ") == "Shared fairly with 3 other runs, finished in 8–15 s."
    assert waits_for(Waiting(0, None, "x is being read into memory: 3 s.")) == "x is being read into memory: 3 s."


def test_pictures_that_will_be_the_same_are_told_before_the_run(engine: LocalEngine) -> None:
    def told(sweep: Sweep, **facts: Any) -> str:
        return " ".join(oddities(sweep.recipes(), replace(engine.facts, **facts)))

    plain = Recipe(prompt="apple", guidance_scale=1)
    assert told(Sweep(plain, {"negative_prompt": ["", "a"]})).startswith("All pictures will be the same")
    assert told(Sweep(Recipe(prompt="apple"), {"guidance_scale": [0, 1, 5]})).startswith(
        "2 of the 3 pictures will be the same"
    )
    assert told(Sweep(plain.replace(negative_prompt="a"), {"seed": [1, 2]})).startswith(
        "The negative prompt is not used"
    )
    assert told(Sweep(Recipe(prompt="apple", negative_prompt="a"), {"seed": [1, 2]})) == ""
    low = Sweep(plain, {"guidance_scale": [0, 0.5, 1]})
    assert told(low, guided_above=0.0) == ""  # Z-Image, whose scale counts from the prompt's answer
    assert told(low, guidance="embedded", cfg="true_cfg_scale") == ""  # Flux, which is told the scale
    assert told(Sweep(plain, {"negative_prompt": ["", "a"]}), guidance="none", cfg="").startswith(
        "All pictures will be the same: with this model there is no guidance"
    )


def test_guidance_between_two_equal_prompts_is_said_to_change_nothing_and_does_not(engine: LocalEngine) -> None:
    for words, both in (("", "with both prompts empty"), ("cat", "where the negative prompt is the prompt")):
        base = Recipe(prompt=words, negative_prompt=words, num_inference_steps=4, seed=3)
        cells = Sweep(base, {"guidance_scale": [1, 3, 15]}).recipes()
        assert oddities(cells, engine.facts)[0].startswith(f"All pictures will be the same: {both}")
        pictures = [np.asarray(engine.render(recipe).image).astype(int) for recipe in cells]
        assert max(np.abs(picture - pictures[0]).max() for picture in pictures) <= 1  # but for rounding
    mixed = Sweep(Recipe(), {"prompt": ["", "cat"], "guidance_scale": [2, 5]}).recipes()
    assert oddities(mixed, engine.facts)[0].startswith("2 of the 4 pictures will be the same: with both prompts empty")
    assert oddities(mixed, replace(engine.facts, whole="AuraFlowPipeline")) == []


def test_of_a_grid_that_is_kept_in_part_what_is_left_is_counted(engine: LocalEngine) -> None:
    sweep = Sweep(Recipe(num_inference_steps=10), {"seed": [1, 2, 3]})
    assert "<strong>3 pictures</strong> · 60 U-Net evaluations · " in cost(engine, sweep, sweep.recipes())
    assert "(1 kept) · 40 U-Net evaluations left · " in cost(engine, sweep, sweep.recipes()[1:])
    assert cost(engine, sweep, []).endswith("(3 kept) · nothing left to compute</p>")


def test_after_a_run_the_seconds_are_said_only_where_something_was_drawn(engine: LocalEngine) -> None:
    sweep = Sweep(Recipe(num_inference_steps=2), {"seed": [1, 2]})
    first, second = (engine.render(recipe) for recipe in sweep.recipes())
    kept = folded(empty(sweep), Done(0, first, stored=True))
    said = summary(folded(kept, Done(1, second)), 0.34)
    assert said.startswith("2 of 2 pictures in 0.3 s. 4 evaluations, ") and " 1 kept from an earlier run. " in said
    said = summary(folded(kept, Done(1, second, stored=True)), 0.01)
    assert said.startswith("2 of 2 pictures, all kept from an earlier run; nothing was computed. Seconds under ")
    assert summary(empty(sweep), 0.34).startswith("0 of 2 pictures in 0.3 s. Seconds under ")


def test_the_samplers_that_are_said_to_add_noise_are_those_that_do() -> None:
    said = re.search(r"add noise at every step \(([^)]+)\)", AXES["sampler"].look_for).group(1)
    assert said.split(", ") == [row.label for row in SAMPLERS.values() if row.adds_noise]


def test_what_each_sampler_is_said_to_leave_of_one_step_is_what_it_leaves(engine: LocalEngine) -> None:
    said = say(Sweep(Recipe(), {"num_inference_steps": [1, 2]}), engine.facts)
    assert "After one step DDPM, DDIM leave patches; Euler, Euler a, Heun, DPM++ SDE leave an even grey;" in said
    one_step = {key for key, row in SAMPLERS.items() if row.fewest_steps == 1}
    assert {key for keys in ONE_STEP.values() for key in keys} == one_step
    base = Recipe(prompt="strawberry, white background", num_inference_steps=1, seed=3)
    for what, keys in ONE_STEP.items():
        for key in keys:
            picture = np.asarray(engine.render(base.replace(sampler=key)).image).astype(float)
            contrast, fine = picture.std((0, 1)).max(), np.abs(np.diff(picture, axis=0)).mean()
            found = "an even grey" if contrast < 5 else "patches" if fine > 5 else "a blurred picture"
            assert found == what, (key, contrast, fine)


def test_a_caption_names_prompt_axes_and_what_is_fixed(engine: LocalEngine) -> None:
    base = Recipe(prompt="red apple", seed=7, loras={"ink": 0.5, "lcm": 0})
    assert caption(Sweep(base, {"guidance_scale": [1, 3]})) == [
        "“red apple”",
        "Guidance scale 1, 3",
        "fixed: seed 7, DPM++ 2M, 20 steps, 128 × 128, ink 0.5",
    ]
    two = Sweep(base, {"loras.ink": [-1, 1], "sampler": ["ddim", "pndm"]}, seeds=3)
    assert caption(two)[1:] == [
        "Sampler DDIM, PLMS × Weight of ink −1, 1",
        "fixed: seeds 7 to 9, 20 steps, guidance 5, 128 × 128",
    ]
    assert FinishedGrid(two, ()).labels[0] == "ink −1, Sampler DDIM, Seed 7"  # whose weight that is, it says itself
    assert place_label(two.places()[0]) == "Sampler DDIM, ink −1, Seed 7"
    negative = base.replace(negative_prompt="blur", guidance_scale=1)
    unguided = fixed(Sweep(negative, {"seed": [1, 2]}), engine.facts.honours)
    assert "guidance 1" in unguided and not [text for text in unguided if "blur" in text]  # it is not used
    some_guided = fixed(Sweep(negative, {"guidance_scale": [1, 3]}), engine.facts.honours)
    assert "negative prompt “blur”" in some_guided
    assert caption(Sweep(base, {"prompt": ["a", "b"]}))[0] == "Prompt (2 of them)"
    assert caption(Sweep(base, {"seed": list(range(200))}))[1] == "Seed 0, 1, 2, …, 199"


def test_the_sentence_above_says_where_each_axis_lies(engine: LocalEngine) -> None:
    axes = {"seed": [1, 2], "sampler": ["ddim", "euler"], "guidance_scale": [1, 5]}
    facts, seeds = engine.facts, Sweep(Recipe(), {k: axes[k] for k in ("sampler", "guidance_scale")}, seeds=3)
    assert "<h2>Guidance scale across, sampler down, seed from tab to tab. Everything else is" in say(
        Sweep(Recipe(), axes), facts
    )
    few = say(Sweep(Recipe(sampler="lcm", num_inference_steps=4), {"loras.lcm": [0, 1]}), facts)
    assert "LCM is a sampler that jumps to the predicted picture" in few
    assert "with 3 seeds in all cells" in say(seeds, facts)
    assert "Every cell has the same 3 seeds." in say(Sweep(Recipe(), {"guidance_scale": [1, 5]}, seeds=3), facts)


def test_a_scale_beside_the_one_that_the_network_is_told_is_named_where_there_is_one(engine: LocalEngine) -> None:
    own = engine.facts
    flux = replace(own, guidance="embedded", cfg="true_cfg_scale", guided_above=1.0)
    steered = Sweep(Recipe(guidance_scale=3.5, true_cfg_scale=2), {"negative_prompt": ["", "blur"]})
    without = Sweep(Recipe(guidance_scale=3.5), {"negative_prompt": ["", "blur"]})
    assert "It needs a true CFG scale above 1." in say(steered, flux)
    assert "It needs a guidance scale above 1." in say(without, own)
    assert oddities(steered.recipes(), flux) == []
    assert oddities(without.recipes(), flux) == [
        "All pictures will be the same: at true CFG scale 1 there is no guidance, and the negative prompt is not used."
    ]
    scales = Sweep(Recipe(true_cfg_scale=2), {"guidance_scale": [1, 5]})
    assert "is told the scale" in say(scales, flux) and "told" not in say(scales, own)
    assert "This model uses no guidance scale" in say(scales, replace(flux, guidance="none"))
    assert "true CFG 2" in caption(scales)[-1] and "true CFG" not in caption(without)[-1]
    assert common_of(scales.recipes()).count("True CFG scale: 2") == 1 and "True" not in common_of(without.recipes())
    assert caption(Sweep(Recipe(), {"true_cfg_scale": [1, 2]}))[1] == "True CFG scale 1, 2"
    assert alt_of(steered.recipes()[0], "1").count("guidance 3.5, true CFG 2, seed") == 1


def test_what_a_model_does_not_honour_is_not_named_as_fixed(engine: LocalEngine) -> None:
    """Of the pictures of one that was distilled to draw without guidance, and of grids with others beside it."""
    own = engine.facts
    distilled = replace(own, name="klein", guidance="none", cfg="")
    named = {"pocket": own, "klein": distilled}.__getitem__
    base = Recipe(prompt="cat", negative_prompt="blur", guidance_scale=1, seed=7, model="klein")
    sweep = Sweep(base, {"num_inference_steps": [2, 4]})
    assert caption(sweep, distilled.honours)[-1] == "fixed: seed 7, DPM++ 2M, 128 × 128"
    grid = FinishedGrid(sweep, (), named)
    assert "guidance" not in grid.fixed.lower() and "blur" not in grid.fixed and "Seed: 7" in grid.fixed
    assert alt_of(base, "1", distilled.honours) == "1. Prompt: cat. DPM++ 2M, 20 steps, seed 7"
    (cell, _), head = (shown := empty(sweep, facts_of=named)).cells, shown.head
    assert "guidance" not in cell.shown["alt"] and "guidance" not in head["caption"][-1]
    hosted = replace(own, elsewhere=Elsewhere("an example", "model", takes=("seed",)))
    assert fixed(sweep, hosted.honours) == ["seed 7", "128 × 128"]  # what is sent
    both = FinishedGrid(Sweep(base.replace(guidance_scale=5), {"model": ["klein", "pocket"]}), (), named)
    assert "Guidance scale: 5" in both.fixed and "Negative prompt: blur" in both.fixed  # pocket's depends on them


def test_what_is_left_is_told_by_the_speed_of_its_steps_and_not_by_what_went_before(engine: LocalEngine) -> None:
    """Such as reading the model, which may take longer than the whole run."""
    begun = time.perf_counter() - 1000
    grid = empty(Sweep(Recipe(guidance_scale=1), {"seed": [1, 2]}))
    for cell in (0, 1):
        grid = folded(grid, Step(cell, 1, 20, None))
    assert "left" not in progress(grid, begun, engine)
    assert work(grid, engine) == pytest.approx(38)
    first = time.perf_counter() - 4, work(grid, engine)
    assert "left" not in progress(grid, begun, engine, first)
    for cell in (0, 1):
        grid = folded(grid, Step(cell, 5, 20, None))
    said = progress(grid, begun, engine, first)  # 8 evaluations in 4 s, so 30 in 15 s
    assert said.startswith("0 of 2 finished · 1000.") and said.endswith(f"{roughly(15)} left")
    grid = folded(grid, Failed(1, "No."))
    assert work(grid, engine) == pytest.approx(15)
