"""A run over several models: each is read once, each cell is what its own model draws, one fault stops no other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from playground import Recipe, Sweep, open_engine
from playground.engine import Done, Failed, Guest, House, LocalEngine, Several
from playground.inside.recordings import Recordings
from playground.inside.strips import drawn_strips, strips
from playground.models.own_sizes import with_own_sizes
from playground.refusal import Refusal
from playground.render import check_cost, missing, render, undrawable
from playground.sources.given import Source, source
from playground.store import Store
from playground.ui.compare.telling import cost
from tests.reference import TOLERANCE, largest_difference

FIRST, SECOND, THIRD = "sd15-tiny", "zero-snr-tiny", "sd21-tiny"  # made for 64, 64 and 96 pixels


class Reading:
    """Opens models, and knows which were read; `fails` names one that cannot be."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.fails = ""

    def __call__(self, which: Source) -> LocalEngine:
        if which.name == self.fails:
            raise Refusal(f"{which.name} cannot be read.")
        self.read.append(which.name)
        return open_engine(which, torch.device("cpu"), torch.float32, "torch")


@pytest.fixture(scope="module")
def reading() -> Reading:
    return Reading()


@pytest.fixture(scope="module")
def several(reading: Reading, folders: dict[str, Path]) -> Iterator[Several]:
    house = House(reading)
    guests = {name: Guest(house, source(folders[name])) for name in (FIRST, SECOND, THIRD)}
    for name, guest in guests.items():
        guest.say_others({other: f"/m/{other}/" for other in guests if other != name})
    yield Several(guests[FIRST], guests)
    house.close()


@pytest.fixture
def base(several: Several) -> Recipe:
    return several.facts.usual.replace(prompt="cat", num_inference_steps=2, sampler="ddim")


def drawn(engine: Several, recipes: list[Recipe]) -> dict[int, Done | Failed]:
    return {event.cell: event for event in engine.run(recipes, previews=False) if isinstance(event, Done | Failed)}


def test_each_model_is_read_once_and_draws_what_it_draws_alone(
    several: Several, reading: Reading, engines: dict[str, LocalEngine], base: Recipe
) -> None:
    several.render(base.replace(model=SECOND))  # which is in memory now
    reading.read.clear()
    recipes = Sweep(base, {"seed": [1, 2], "model": [FIRST, SECOND]}).recipes()
    done = drawn(several, recipes)
    assert reading.read == [FIRST]
    for cell, recipe in enumerate(recipes):
        alone = np.asarray(engines[recipe.model].render(recipe).image).astype(int)
        assert done[cell].result.recipe == recipe and largest_difference(done[cell].result, alone) <= TOLERANCE


def test_a_model_that_cannot_be_read_fails_its_own_cells_only(several: Several, reading: Reading, base: Recipe) -> None:
    several.render(base)
    reading.fails = SECOND
    done = drawn(several, Sweep(base, {"model": [SECOND, FIRST], "seed": [1, 2]}).recipes())
    assert [done[i].reason for i in (0, 1)] == [f"{SECOND} cannot be read."] * 2
    assert isinstance(done[2], Done) and isinstance(done[3], Done)
    with pytest.raises(Refusal, match="cannot be read"):
        several.render(base.replace(model=SECOND))
    reading.fails = ""


def test_a_run_that_is_closed_between_two_models_leaves_the_house_free(several: Several, base: Recipe) -> None:
    with closing(several.run(Sweep(base, {"model": [FIRST, SECOND]}).recipes(), previews=False)) as events:
        next(event for event in events if isinstance(event, Done))
    assert several.render(base.replace(seed=9)).image.size == (64, 64)


def test_what_a_model_cannot_draw_fails_alone_and_the_rest_is_kept(
    several: Several, store: Store, base: Recipe
) -> None:
    recipes = Sweep(base, {"model": [FIRST, SECOND], "sampler": ["pndm", "ddim"]}).recipes()
    assert list(undrawable(several, recipes)) == [2]  # its schedule ends in pure noise, which PNDM does not know
    events = [event for event in render(several, store, recipes, previews=False) if isinstance(event, Done | Failed)]
    failed = [event for event in events if isinstance(event, Failed)]
    assert [event.cell for event in failed] == [2] and failed[0].reason.startswith("sampler must be one of")
    assert missing(several, store, recipes) == [] and len(store) == 3
    again = list(render(several, store, recipes))
    assert [event.stored for event in again if isinstance(event, Done)] == [True] * 3
    with pytest.raises(Refusal, match="sampler must be one of"):
        undrawable(several, Sweep(base, {"model": [SECOND], "sampler": ["pndm", "ddim"]}).recipes())
    with pytest.raises(Refusal, match=f"model must be {FIRST} on this page; {SECOND} has its own"):
        several.check(base.replace(model=SECOND))  # as the views ask
    with pytest.raises(Refusal, match=f"model must be one of {FIRST}, {SECOND}, {THIRD}"):
        undrawable(several, [base.replace(model="nobody")])


def test_an_estimate_is_unknown_while_a_model_was_not_measured(several: Several, store: Store, base: Recipe) -> None:
    several.render(base)
    recipes = Sweep(base.replace(width=96, height=96), {"model": [FIRST, THIRD]}).recipes()
    assert several.estimate(recipes) is None and several.outlook(recipes).unknown == (THIRD,)
    check_cost(several, store, recipes)  # by what is known of the other one
    several.render(recipes[1])
    assert several.estimate(recipes) > 0 and several.outlook(recipes).unknown == ()
    apart = [several.of(recipe.model).outlook([recipe]).seconds for recipe in recipes]
    assert several.outlook(recipes).seconds == pytest.approx(sum(apart))


def test_before_a_run_it_is_said_what_its_models_will_do(
    several: Several, store: Store, base: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = several.of(THIRD)
    monkeypatch.setattr(third, "facts", replace(third.facts, guidance="none", samplers=("ddim",)))
    sweep = Sweep(base.replace(width=96, height=96), {"model": [FIRST, THIRD], "sampler": ["pndm", "ddim"]})
    said = cost(several, sweep, missing(several, store, sweep.recipes()))
    assert "<strong>3 pictures</strong> · " in said and "2 models, read in turn" in said
    assert f"{THIRD} cannot draw 1 of its 2 pictures. Sampler must be one of DDIM for this model, not PLMS." in said
    assert f"{THIRD} is made to draw without guidance, and has the same guidance as the others here." in said
    without = Sweep(base.replace(width=96, height=96, guidance_scale=1), {"model": [FIRST, THIRD]})
    assert "is made to draw without guidance" not in cost(several, without, missing(several, store, without.recipes()))


def test_the_frames_of_a_recording_are_drawn_by_the_model_of_each_cell(
    several: Several, engines: dict[str, LocalEngine], base: Recipe
) -> None:
    recipes, recordings = Sweep(base, {"model": [SECOND, FIRST]}).recipes(), Recordings(several)
    assert list(recordings.record(recipes))
    found = [recordings.get(recipe) for recipe in recipes]
    drawn_ = dict(drawn_strips(several, recipes, found))
    for i, (recipe, recording) in enumerate(zip(recipes, found, strict=True)):
        alone = dict(strips(engines[recipe.model], [recording.x0, recording.seen]))
        assert [drawn_[2 * i + k].tobytes() for k in (0, 1)] == [alone[k].tobytes() for k in (0, 1)]


def test_models_draw_in_their_own_size_where_the_one_asked_for_does_not_fit(several: Several, base: Recipe) -> None:
    def sized(width: int, **axes: list) -> Sweep:
        sweep = Sweep(base.replace(width=width, height=width), axes)
        return with_own_sizes(sweep, lambda name: several.of(name).facts)

    fits = sized(96, model=[FIRST, THIRD])
    assert fits.axes == {"model": [FIRST, THIRD]}  # from half to twice of both
    own = sized(192, model=[FIRST, THIRD])
    assert [(r.model, r.width, r.height) for r in own.recipes()] == [(FIRST, 64, 64), (THIRD, 192, 192)]
    assert with_own_sizes(own, lambda name: several.of(name).facts) == own
    assert sized(192, model=[FIRST], size=[64, 128]).axes["model"] == [FIRST]  # they vary the size themselves
