"""Each measure moves with what it is named after and with nothing that it is said not to see."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground import Sweep
from playground.engine import LocalEngine
from playground.export.finished import FinishedGrid
from playground.measure.diversity import diversity
from playground.measure.seed_noise import effect
from playground.measure.table import COLUMNS, measured
from playground.ui.compare.effects import curve, lacking
from tests.export.conftest import BASE, drawn


@pytest.fixture(scope="module")
def guidance(engine: LocalEngine) -> FinishedGrid:
    base = BASE.replace(num_inference_steps=8)
    sweep = Sweep(base, {"guidance_scale": [1, 5, 20], "seed": [1, 2, 3]})
    return FinishedGrid(sweep, drawn(engine, sweep.recipes()), lambda _: engine.facts)


def test_the_table_of_a_guidance_grid(guidance: FinishedGrid) -> None:
    table = measured(guidance)
    assert list(table.columns) == ["Guidance scale", "Seed", *COLUMNS]
    assert list(table["Guidance scale"]) == [1] * 3 + [5] * 3 + [20] * 3 and list(table["Seed"]) == [1, 2, 3] * 3
    assert list(table["evaluations"]) == [8] * 3 + [16] * 6
    assert list(table["distance"][:3]) == [0, 0, 0] and (table["distance"][3:] > 0).all()
    means = table.groupby("Guidance scale").mean()
    assert means["saturation"][20] > means["saturation"][1] and means["fit"][5] > means["fit"][1]
    assert means["diversity"][1] == pytest.approx(diversity([np.asarray(r.image) for r in guidance.results[:3]]))


def test_what_cannot_be_measured_is_left_out(guidance: FinishedGrid) -> None:
    one = FinishedGrid(Sweep(BASE, {"sampler": ["ddim", "euler"]}), (guidance.results[0], None))
    table = measured(one)
    assert list(table["Sampler"]) == ["DDIM"] and "diversity" not in table


def _table(rows: dict[float, list[float]]) -> pd.DataFrame:
    return pd.DataFrame([{"A": a, "Seed": s, "m": v} for a, values in rows.items() for s, v in enumerate(values)])


def test_another_models_pictures_are_not_judged_by_this_ones_towers(guidance: FinishedGrid) -> None:
    own = guidance.results[0]
    other = replace(
        own, image=own.image.resize((64, 64)), recipe=own.recipe.replace(model="other", width=64, height=64)
    )
    large = {"model": "other", "width": 64, "height": 64}
    facts = {name: replace(guidance.facts_of(name), folder=folder) for name, folder in (("other", ""), ("away", ""))}
    facts[own.recipe.model] = guidance.facts_of(own.recipe.model)
    sweep = Sweep(own.recipe, {"model": [own.recipe.model, large, "away"]})
    grid = FinishedGrid(sweep, (own, other, None), facts.__getitem__)
    table = measured(grid)
    assert list(table["fit"].isna()) == [False, True] and list(table["distance"].isna()) == [False, True]
    assert list(curve(table, grid.axes[0], "fit")["value"]["Model"]) == ["pocket"]
    said = lacking(table, len(grid.recipes))
    assert "1 of 3 pictures are not there" in said and "a model that brings its own CLIP towers" in said
    assert "of another size than the first has no distance" in said
    assert lacking(measured(guidance), len(guidance.recipes)) == ""


def test_bars_begin_at_0_in_the_order_of_the_grid(engine: LocalEngine) -> None:
    sweep = Sweep(BASE.replace(num_inference_steps=2), {"sampler": ["lcm", "ddim", "heun"], "seed": [1, 2]})
    grid = FinishedGrid(sweep, drawn(engine, sweep.recipes()), lambda _: engine.facts)
    table, axis = measured(grid), grid.axes[0]
    bars = curve(table, axis, "evaluations")
    assert bars["sort"] == ["LCM", "DDIM", "Heun"] and bars["y_lim"] == [0, None] and bars["x_label_angle"] == 0
    table["fit"] = -0.25  # a cosine; its bars hang from 0
    assert curve(table, axis, "fit")["y_lim"] == [-0.25, None]
    assert curve(table.replace("LCM", "a red apple on a blue table"), axis, "fit")["x_label_angle"]
    assert not {"sort", "y_lim"} & curve(table, grid.axes[1], "fit").keys()  # a line


def test_an_effect_larger_than_the_seeds_and_one_within_them() -> None:
    clear = effect(_table({1: [0.0, 0.1, 0.2, 0.3], 5: [1.0, 1.2, 1.1, 1.4]}), "A", "m")
    assert clear is not None and not clear.within_seed_noise and clear.change == pytest.approx(1.025)
    assert clear.low < 1.025 < clear.high and "more than the seeds differ" in clear.sentence("Fit", "Guidance")
    unclear = effect(_table({1: [0.0, 1.0, 0.5], 5: [0.9, 0.1, 0.6]}), "A", "m")
    assert unclear is not None and unclear.within_seed_noise and "within seed noise" in unclear.sentence("Fit", "A")
    assert effect(_table({1: [0.0, 1.0], 5: [0.9, 0.1]}), "A", "m") is None
    assert effect(_table({1: [0.0, 1.0, 2.0]}), "A", "m") is None


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=8), st.floats(-3, 3))
def test_a_constant_shift_is_found_exactly(noise: list[float], shift: float) -> None:
    found = effect(_table({1: noise, 2: [n + shift for n in noise]}), "A", "m")
    assert found is not None and found.change == pytest.approx(shift, abs=1e-9)
    assert found.low == pytest.approx(shift, abs=1e-9) and found.high == pytest.approx(shift, abs=1e-9)
