"""LoRAs in recipes, on the axis of a sweep, in the form and on the page."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from playground import Recipe, Sweep
from playground.engine import Engine, LocalEngine
from playground.store import Store
from playground.sweep import parse_numbers
from playground.ui.compare.form import Form
from playground.ui.compare.grid import empty
from playground.ui.compare.reading import VALUES, read_form, typed_values, values_slot
from tests.conftest import whole_page


def test_recipes_without_loras_keep_the_digests_they_had_before_there_were_any() -> None:
    assert Recipe().digest() == "edfbc61fd56ded50015c64f5db476891d0e8ae906f447a4cb4b0062996af166b"
    recipe = Recipe(
        prompt="red apple, blue background ✓", negative_prompt="cat", sampler="euler_a", num_inference_steps=12,
        guidance_scale=7, seed=3, loras={},
    )  # fmt: skip
    assert recipe.digest() == "06293cad62c082c9b96bf82e1b39b6caa2cc100af06f5a61fa71ff4da3789c7a"
    assert "loras" not in recipe.to_dict()


def test_loras_in_a_recipe_have_one_order_and_one_json_form() -> None:
    recipe = Recipe(loras={"pixel": -1, "ink": 0.5})
    assert recipe == Recipe(loras={"ink": 0.5, "pixel": -1.0}) and len({recipe, recipe.replace(seed=0)}) == 1
    assert recipe.to_dict()["loras"] == {"ink": 0.5, "pixel": -1.0}
    assert Recipe.from_json(recipe.to_json()) == recipe and '"loras": {"ink": 0.5, "pixel": -1.0}' in recipe.to_json()
    assert Recipe(loras={"ink": -0.0}).digest() == Recipe(loras={"ink": 0}).digest() != Recipe().digest()


@pytest.mark.parametrize(
    ("loras", "part"),
    [
        ({"ink": 2.5}, "loras.ink must be from -2 to 2, not 2.5"),
        ({"ink": float("nan")}, "loras.ink must be a number from -2 to 2"),
        ({"ink": True}, "loras.ink must be a number"),
        ({"ink": "1"}, "loras.ink must be a number"),
        ({"ink": None}, "loras.ink must be a number"),
        ({"": 1}, "names of 1 to 64 plain characters"),
        ({"x" * 65: 1}, "names of 1 to 64 plain characters"),
        ({"a\nb": 1}, "names of 1 to 64 plain characters"),
        ({3: 1}, "names of 1 to 64 plain characters"),
        ({str(i): 1 for i in range(5)}, "at most 4 entries; this one has 5"),
        (["ink"], "must be an object"),
        ("ink", "must be an object"),
        (("ink",), "must be an object"),
        (None, "must be an object"),
    ],
)
def test_loras_that_are_not_names_and_weights_get_one_sentence(loras: object, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        Recipe(loras=loras)
    assert part in str(caught.value) and len(str(caught.value)) < 200 and str(caught.value).endswith(".")


def test_an_axis_sets_one_weight_and_leaves_the_others() -> None:
    values = parse_numbers("-1, -0.5, .., 1", "loras.ink")
    sweep = Sweep(Recipe(loras={"ink": 2, "lcm": 1}), {"guidance_scale": [1, 2], "loras.ink": values})
    cells = sweep.recipes()
    assert [dict(c.loras) for c in cells[:5]] == [{"ink": w, "lcm": 1} for w in (-1, -0.5, 0, 0.5, 1)]
    assert sweep.places()[7] == {"guidance_scale": 2, "loras.ink": 0}
    assert Sweep.from_dict(sweep.to_dict()) == sweep
    for axes in ({"loras.ink": [3]}, {"loras.": [1]}, {"loras.ink": ["x"]}, {"loras.e": [1]}):
        with pytest.raises(ValueError):
            Sweep(Recipe(loras=dict.fromkeys("abcd", 1)), axes)


def test_labels_name_the_lora_and_its_weight() -> None:
    grid = empty(Sweep(Recipe(), {"loras.ink-2": [-0.5, 0, 1]}))
    assert [cell.shown["label"] for cell in grid.cells] == ["ink-2 −0.5", "ink-2 0", "ink-2 1"]
    grid = empty(Sweep(Recipe(), {"loras": [{}, {"b": 1, "a": 0.25}]}))
    assert [cell.shown["label"] for cell in grid.cells] == ["no LoRA", "a 0.25 + b 1"]


GOOD = {"prompt": "cat", "sampler": "ddim", "num_inference_steps": 20.0, "guidance_scale": 5, "seed": 7.0}
LORA_AXIS = {**GOOD, "columns": "lora_weight", "lora": "ink", VALUES: {"lora_weight": "0, 0.5"}}


def test_the_form_reads_weights_and_the_axis() -> None:
    reading = read_form({**LORA_AXIS, "loras": {"ink": 99, "pixel": 0.5, "lcm": 0, "e": None}}, Recipe())
    assert reading.errors == {}  # the varied LoRA's own weight is not used
    assert [dict(r.loras) for r in reading.sweep.recipes()] == [{"ink": 0, "pixel": 0.5}, {"ink": 0.5, "pixel": 0.5}]
    axis, values = next(iter(reading.sweep.axes.items()))
    assert (axis, typed_values("lora_weight", values)) == ("loras.ink", "0, 0.5")
    assert list(read_form({**LORA_AXIS, "loras": {"pixel": 3}}, Recipe()).errors) == ["loras"]
    assert list(read_form({**LORA_AXIS, VALUES: {"lora_weight": "0, 3"}}, Recipe()).errors) == [
        values_slot("lora_weight")
    ]
    assert read_form({**LORA_AXIS, "lora": None}, Recipe()).errors == {
        values_slot("lora_weight"): "Choose which LoRA to vary."
    }


def test_what_the_form_is_filled_with_reads_back_as_the_same_sweep(engine: Engine) -> None:
    sweep = Sweep(Recipe(prompt="cat", loras={"lcm": 1, "ink": 0.3}), {"guidance_scale": [1, 2]})
    varied = Sweep(Recipe(prompt="cat", loras={"lcm": 1}), {"loras.ink": [0, 0.5, 1]})
    with gr.Blocks():
        form = Form(sweep, replace(engine.facts, loras={"ink": "", "lcm": ""}))
        bare = Form(Sweep(Recipe(), {"seed": [1, 2]}), replace(engine.facts, loras={}))
    for wanted in (sweep, varied):
        updates = form.fill(wanted)
        shown = {component: updates[component].get("value", component.value) for component in form.inputs}
        assert form.read(shown).sweep == wanted
    assert len(bare.inputs) == len(form.inputs) - 4  # no axis editor, no choice, no two weights
    assert not [c for c in bare.inputs if "lora" in str(c.label).lower()]
    with pytest.raises(ValueError, match="There is no LoRA named 'lcm'; this model has none."):
        bare.fill(varied)


@pytest.fixture(scope="module")
def lora_address(lora_engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Store(tmp_path_factory.mktemp("cells"))) as store:
        with whole_page(lora_engine, store, tmp_path_factory.mktemp("gradio")) as url:
            yield url


def test_programs_can_vary_a_weight(lora_address: str, lora_engine: Engine, tmp_path: Path) -> None:
    client = Client(lora_address, verbose=False, download_files=str(tmp_path))
    base = {"num_inference_steps": 2, "loras": {"pixel.v2": 0.5}}
    files, cells = client.predict({"base": base, "axes": {"loras.ink": [0, 1]}}, api_name="/render_grid")
    assert [c["recipe"]["loras"] for c in cells] == [{"ink": w, "pixel.v2": 0.5} for w in (0, 1)] and len(files) == 2
    expected = lora_engine.render(Recipe.from_dict(cells[1]["recipe"]))
    assert cells[1]["digest"] == expected.recipe.digest()
    with pytest.raises(Exception, match="There is no LoRA named 'nope'; known: cut, ink, pixel.v2."):
        client.predict({"base": base, "axes": {"loras.nope": [0, 1]}}, api_name="/render_grid")


def test_a_visitor_can_vary_a_weight(browser: Browser, lora_address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(lora_address)
    page.locator("#vary").get_by_role("radio", name="LoRA weight").check(timeout=60_000)
    page.locator("#vary-lora input").click()
    page.get_by_role("option", name="ink", exact=True).click()
    page.locator("#values-lora-weight").get_by_role("textbox").fill("0, 1")
    page.get_by_role("button", name="Everything else").click()
    page.locator("#field-num-inference-steps input").fill("2")
    page.locator("#field-loras").get_by_label("pixel.v2").fill("9")
    expect(page.locator("#error-loras")).to_contain_text(
        "The weight of pixel.v2 must be from -2 to 2, not 9.", timeout=30_000
    )
    page.locator("#field-loras").get_by_label("pixel.v2").fill("0.5")
    expect(page.locator("#error-values-lora-weight")).to_contain_text("2 values: 0, 1", timeout=30_000)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".dp-cell[data-state=done] figcaption")).to_have_text(["ink 0", "ink 1"], timeout=120_000)
    page.locator(".dp-picture").last.click()
    expect(page.locator(".dp-dialog dl")).to_contain_text("ink 1, pixel.v2 0.5")
    page.close()
