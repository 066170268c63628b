"""LoRAs: the pictures of diffusers with peft, mixed freely in one batch, and a bad file fails only who asked for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from gradio_client import Client
from peft import LoraConfig, get_peft_model_state_dict
from playwright.sync_api import Browser, expect
from safetensors.torch import load_file, save_file

from playground import Recipe, Sweep, open_engine
from playground.engine import Done, Engine, Failed
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.inside.film import film
from playground.inside.pipeline import walk
from playground.models.latent import REGISTERED, load_model
from playground.models.lora import Loras
from playground.models.lora_file import read
from playground.render import render
from playground.store import Store
from playground.sweep import parse_numbers, value_of
from playground.ui import build_page, launch_options
from playground.ui.compare_form import Form
from playground.ui.form import VALUES, read_form, typed_values
from playground.ui.grid import Grid
from tests.test_engine import TOLERANCE, largest_difference, plain
from tests.test_sharing import counted

CPU = torch.device("cpu")
BASE = Recipe(prompt="red apple, blue background", num_inference_steps=5, seed=5)
BLENDS = [{"ink": 1.0}, {"ink": 0.5}, {"ink": -0.5}, {"pixel.v2": 1.0}, {"ink": 0.7, "pixel.v2": 0.4}]


def make_lora(folder: Path, name: str, seed: int, metadata: bool, **config: object) -> Path:
    """A LoRA with random matrices, made by peft and written by diffusers."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(REGISTERED["pocket"], subfolder="unet")
    unet.add_adapter(LoraConfig(**config))
    for key, parameter in unet.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.05)
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(unet),
        unet_lora_adapter_metadata=unet.peft_config["default"].to_dict() if metadata else None,
        weight_name=f"{name}.safetensors",
    )
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with two good LoRAs and one file cut short."""
    folder = tmp_path_factory.mktemp("models") / "pocket"
    shutil.copytree(REGISTERED["pocket"], folder, ignore=shutil.ignore_patterns("loras"))
    loras = folder / "loras"
    attention = {"r": 4, "lora_alpha": 6, "rank_pattern": {"to_v": 2}, "alpha_pattern": {"attn2.to_v": 5}}
    make_lora(loras, "ink", 1, True, target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1"], **attention)
    others = [
        "to_k",
        "ff.net.0.proj",
        "proj_in",
        "time_emb_proj",
        "linear_1",
        "conv2",
        "conv_out",
        "downsamplers.0.conv",
    ]
    whole = make_lora(loras, "pixel.v2", 2, False, r=4, lora_alpha=9, target_modules=others)
    (loras / "cut.safetensors").write_bytes(whole.read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def lora_engine(folder: Path) -> Engine:
    return open_engine(folder, CPU, torch.float32)


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    for name in ("ink", "pixel.v2"):
        # peft does not allow dots in its own names
        pipeline.load_lora_weights(folder / "loras", weight_name=f"{name}.safetensors", adapter_name=name[:3])
    return pipeline


def by_diffusers(pipeline: StableDiffusionPipeline, recipe: Recipe) -> np.ndarray:
    pipeline.enable_lora()
    pipeline.set_adapters([name[:3] for name, _ in recipe.loras], [weight for _, weight in recipe.loras])
    return plain(pipeline, recipe)


@pytest.fixture
def loop(lora_engine: Engine) -> Loop:
    loop = Loop(lora_engine.model)
    loop.capacity.rows[1, 4, 16, 16] = 32
    return loop


def test_pictures_are_those_of_diffusers_with_peft_alone_and_in_a_mixed_batch(
    lora_engine: Engine, pipeline: StableDiffusionPipeline
) -> None:
    without = lora_engine.render(BASE)
    samplers = ["dpmpp_2m", "lcm", "ddim", "euler_a", "heun"]
    cells = [BASE.replace(loras=b, sampler=s) for b, s in zip(BLENDS, samplers, strict=True)]
    others = [BASE, BASE.replace(guidance_scale=1.0, seed=9), BASE.replace(loras={"ink": 2}, seed=3)]
    mixed = {e.cell: e.result for e in lora_engine.run([*others, *cells]) if isinstance(e, Done)}
    for i, recipe in enumerate(cells, start=len(others)):
        expected = by_diffusers(pipeline, recipe)
        assert largest_difference(without, expected) > 40  # the LoRA can be seen
        assert largest_difference(lora_engine.render(recipe), expected) <= TOLERANCE, recipe.loras
        assert largest_difference(mixed[i], expected) <= TOLERANCE, recipe.loras
    pipeline.disable_lora()
    assert largest_difference(mixed[0], plain(pipeline, BASE)) <= TOLERANCE
    assert not any(module._forward_hooks for module in lora_engine.model.unet.modules())


def test_a_grid_of_weights_is_one_batch_and_shares_only_what_is_equal(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = counted(loop, monkeypatch)
    loop.add(Request(Sweep(BASE, {"loras.ink": [0, 0.5, 1]}).recipes()))
    loop.tick()
    loop.tick()
    assert rows == [6, 6]  # three guided cells in one call; the same noise, but not the same network
    rows.clear()
    loop.fail_all("The next part of the test begins.")
    cells = [BASE, BASE.replace(loras={"ink": 0}), BASE.replace(loras={"ink": 1}), BASE.replace(loras={"ink": 1.0})]
    loop.add(Request([*cells, BASE.replace(loras={"ink": 1, "pixel.v2": 0})]))
    loop.tick()
    assert rows == [4]


def test_weight_zero_is_no_lora_at_all(lora_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = lora_engine.render(BASE)
    monkeypatch.setattr(Loras, "added", lambda *_: pytest.fail("the network was touched"))
    zero = lora_engine.render(BASE.replace(loras={"ink": 0, "pixel.v2": 0, "cut": 0}))
    assert torch.equal(zero.x0, expected.x0) and np.array_equal(np.asarray(zero.image), np.asarray(expected.image))


def test_reduced_precision_has_the_same_lora(folder: Path, lora_engine: Engine) -> None:
    reduced, model = load_model(folder, CPU, torch.bfloat16), lora_engine.model
    x, t = torch.randn(2, 4, 16, 16), torch.tensor([500.0, 90.0])
    text = model.encode("cat").expand(2, -1, -1)
    loras = [[("ink", 2.0), ("pixel.v2", 2.0)], []]
    exact, without = model.predict(x, t, text, loras), model.predict(x, t, text)
    rounded = reduced.predict(x, t, text.to(torch.bfloat16), loras)
    assert (rounded - exact)[0].abs().mean() < 0.25 * (without - exact)[0].abs().mean()
    assert torch.allclose(exact[1], without[1], atol=1e-5)


def test_a_film_and_a_walk_of_a_recipe_with_loras_end_in_its_picture(lora_engine: Engine) -> None:
    recipe = BASE.replace(loras={"ink": 1}, num_inference_steps=3)
    picture = np.asarray(lora_engine.render(recipe).image).astype(int)
    for ending in ([*film(lora_engine, recipe)][-1].result.image, [*walk(lora_engine, recipe)][-1].picture):
        assert np.abs(np.asarray(ending).astype(int) - picture).max() <= TOLERANCE


def test_bad_and_unknown_loras_fail_their_own_cells_with_a_sentence(lora_engine: Engine, store: Store) -> None:
    cells = [BASE, BASE.replace(loras={"cut": 1}), BASE.replace(loras={"nope": 1}), BASE.replace(loras={"ink": 1})]
    events = list(lora_engine.run(cells))
    assert [(e.cell, e.reason) for e in events if isinstance(e, Failed)] == [
        (1, "The LoRA cut cannot be used: it is not a whole safetensors file."),
        (2, "There is no LoRA named 'nope'; known: cut, ink, pixel.v2."),
    ]
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 3]
    with pytest.raises(ValueError, match="There is no LoRA named 'nope'"):
        next(render(lora_engine, store, cells))
    assert len(store) == 0


def test_a_model_without_loras_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    without = Loras(engine.model.unet, None, CPU, torch.float32)
    monkeypatch.setattr(engine.model, "loras", without)
    monkeypatch.setattr(engine.model._network, "loras", without)
    with pytest.raises(RuntimeError, match="There is no LoRA named 'ink'; this model has none."):
        engine.render(BASE.replace(loras={"ink": 1}))


MODULE = "unet.down_blocks.0.resnets.0.conv1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({f"{MODULE}.lora_A.weight": None}, "only one of the two matrices"),
        ({f"{MODULE}.lora_A.weight": torch.zeros(4, 3, 3, 3)}, "other sizes"),
        ({f"{MODULE}.lora_B.weight": torch.tensor(1.0)}, "other sizes"),
        ({f"{MODULE}.lora_B.weight": torch.full((64, 4, 1, 1), torch.nan)}, "not finite"),
        ({f"{MODULE}.alpha": torch.tensor(torch.inf)}, "not finite"),
        ({f"{MODULE}.alpha": torch.zeros(2)}, "its alphas or its header"),
        ({"unet.nowhere.lora_A.weight": torch.zeros(4, 3), "unet.nowhere.lora_B.weight": torch.zeros(3, 4)}, "nowhere"),
        ({"text_encoder.x.lora_A.weight": torch.zeros(1)}, "of the U-Net are known here"),
        ({f"{MODULE}.lora_magnitude_vector": torch.zeros(64)}, "of the U-Net are known here"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_reason(
    folder: Path, lora_engine: Engine, tmp_path: Path, changes: dict, reason: str
) -> None:
    good = {k: v for k, v in load_file(folder / "loras" / "ink.safetensors").items() if k.startswith(MODULE)}
    assert len(good) == 2
    save_file({k: v for k, v in (good | changes).items() if v is not None}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="^The LoRA x cannot be used: .*[.]$") as caught:
        Loras(lora_engine.model.unet, tmp_path, CPU, torch.float32).check([("x", 1.0)])
    assert reason in str(caught.value)


def test_older_names_and_alphas_mean_the_same(folder: Path, lora_engine: Engine, tmp_path: Path) -> None:
    unet, tensors = lora_engine.model.unet, load_file(folder / "loras" / "pixel.v2.safetensors")
    older = {k.replace("lora_A", "lora.down").replace("lora_B", "lora.up"): v for k, v in tensors.items()}
    modules = {k.removesuffix(".lora_A.weight") for k in tensors if "lora_A" in k}
    save_file(older | {f"{m}.alpha": torch.tensor(2.0) for m in modules}, tmp_path / "x.safetensors")
    expected, found = read(folder / "loras" / "pixel.v2.safetensors", unet), read(tmp_path / "x.safetensors", unet)
    assert expected.keys() == found.keys() == {m.removeprefix("unet.") for m in modules}
    for name, change in found.items():
        assert torch.equal(change.down, expected[name].down) and torch.equal(change.up, expected[name].up)
        assert (expected[name].scaling, change.scaling) == (1.0, 0.5)  # α = r where nothing is said; then 2 / 4


def test_kept_cells_follow_the_files_they_need(
    folder: Path, engine: Engine, lora_engine: Engine, tmp_path: Path
) -> None:
    ink, pixel = BASE.replace(loras={"ink": 1}), BASE.replace(loras={"pixel.v2": 1, "ink": 0})
    model = lora_engine.model
    assert model.fingerprint == model.fingerprint_for(BASE) == engine.model.fingerprint  # with and without a folder
    assert model.fingerprint_for(BASE.replace(loras={"ink": 0})) == model.fingerprint
    assert len({model.fingerprint_for(r) for r in (BASE, ink, pixel)}) == 3
    changed = tmp_path / "pocket"
    shutil.copytree(folder, changed)
    for figures in ("evaluation.json", "preview/notes.json", "README.md"):  # no picture depends on them
        (changed / figures).write_text("{}")
    shutil.copy(changed / "loras" / "pixel.v2.safetensors", changed / "loras" / "ink.safetensors")
    other = load_model(changed, CPU, torch.float32)
    assert other.fingerprint == model.fingerprint
    assert other.fingerprint_for(ink) != model.fingerprint_for(ink)
    assert [other.fingerprint_for(r) for r in (BASE, pixel)] == [model.fingerprint_for(r) for r in (BASE, pixel)]
    (changed / "loras" / "ink.safetensors").write_bytes((folder / "loras" / "ink.safetensors").read_bytes())
    with pytest.raises(ValueError, match="ink cannot be used: its file has changed since"):
        other.loras.check(ink.loras)


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
    assert [value_of(cells[7], axis) for axis in ("guidance_scale", "loras.ink", "loras.none")] == [2, 0, 0]
    assert Sweep.from_dict(sweep.to_dict()) == sweep
    for axes in ({"loras.ink": [3]}, {"loras.": [1]}, {"loras.ink": ["x"]}, {"loras.e": [1]}):
        with pytest.raises(ValueError):
            Sweep(Recipe(loras=dict.fromkeys("abcd", 1)), axes)


def test_labels_name_the_lora_and_its_weight() -> None:
    grid = Grid(Sweep(Recipe(), {"loras.ink-2": [-0.5, 0, 1]}))
    assert [cell.label for cell in grid.cells] == ["ink-2 −0.5", "ink-2 0", "ink-2 1"]
    grid = Grid(Sweep(Recipe(), {"loras": [{}, {"b": 1, "a": 0.25}]}))
    assert [cell.label for cell in grid.cells] == ["no LoRA", "a 0.25 + b 1"]


GOOD = {"prompt": "cat", "sampler": "ddim", "num_inference_steps": 20.0, "guidance_scale": 5, "seed": 7.0}
LORA_AXIS = {**GOOD, "axis": "lora_weight", "lora": "ink", VALUES: "0, 0.5"}


def test_the_form_reads_weights_and_the_axis() -> None:
    reading = read_form({**LORA_AXIS, "loras": {"ink": 99, "pixel": 0.5, "lcm": 0, "e": None}}, Recipe())
    assert reading.errors == {}  # the varied LoRA's own weight is not used
    assert [dict(r.loras) for r in reading.sweep.recipes()] == [{"ink": 0, "pixel": 0.5}, {"ink": 0.5, "pixel": 0.5}]
    axis, values = next(iter(reading.sweep.axes.items()))
    assert (axis, typed_values(axis, values)) == ("loras.ink", "0, 0.5")
    assert list(read_form({**LORA_AXIS, "loras": {"pixel": 3}}, Recipe()).errors) == ["loras"]
    assert list(read_form({**LORA_AXIS, VALUES: "0, 3"}, Recipe()).errors) == [VALUES]
    assert read_form({**LORA_AXIS, "lora": None}, Recipe()).errors == {VALUES: "Choose which LoRA to vary."}


def test_what_the_form_is_filled_with_reads_back_as_the_same_sweep() -> None:
    sweep = Sweep(Recipe(prompt="cat", loras={"lcm": 1, "ink": 0.3}), {"guidance_scale": [1, 2]})
    varied = Sweep(Recipe(prompt="cat", loras={"lcm": 1}), {"loras.ink": [0, 0.5, 1]})
    with gr.Blocks():
        form, bare = Form(sweep, ["ink", "lcm"]), Form(Sweep(Recipe(), {"seed": [1, 2]}))
    for wanted in (sweep, varied):
        values = [v["value"] if isinstance(v, dict) and "value" in v else v for v in form.fill(wanted)]
        assert form.read(tuple(values)).sweep == wanted
    assert len(bare.inputs) == len(form.inputs) - 4  # no axis editor, no choice, no two weights
    assert not [c for c in bare.inputs if "lora" in str(c.label).lower()]
    with pytest.raises(ValueError, match="There is no LoRA named 'lcm'; this model has none."):
        bare.fill(varied)


@pytest.fixture(scope="module")
def lora_address(lora_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store(tmp_path_factory.mktemp("cells"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        page = build_page(lora_engine, store)
        _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
        yield url
        page.close()
    store.close()


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
    expect(page.locator("#error-loras")).to_contain_text("loras.pixel.v2 must be from -2 to 2, not 9.", timeout=30_000)
    page.locator("#field-loras").get_by_label("pixel.v2").fill("0.5")
    expect(page.locator("#cost")).to_contain_text("2 values: 0, 1", timeout=30_000)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".dp-cell[data-state=done] figcaption")).to_have_text(["ink 0", "ink 1"], timeout=120_000)
    page.locator(".dp-picture").last.click()
    expect(page.locator(".dp-dialog dl")).to_contain_text("ink 1, pixel.v2 0.5")
    page.close()
