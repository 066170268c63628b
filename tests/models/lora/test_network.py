"""LoRAs: the pictures of diffusers with peft, mixed freely in one batch, and a bad file fails only who asked for it."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from playground import Recipe, Sweep
from playground.engine import Done, Failed, LocalEngine
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.inside.film import film
from playground.inside.walk import walk
from playground.models import load_model
from playground.models.lora import adapter
from playground.models.lora.file import read
from playground.models.lora.folder import LoraFiles
from playground.models.lora.rows import Loras
from playground.refusal import Refusal
from playground.render import render
from playground.sources.lora_files import ADAPTER
from playground.store import Store
from tests.engine.support import counted
from tests.reference import TOLERANCE, largest_difference, plain

CPU = torch.device("cpu")
BASE = Recipe(prompt="red apple, blue background", num_inference_steps=5, seed=5)
BLENDS = [{"ink": 1.0}, {"ink": 0.5}, {"ink": -0.5}, {"pixel.v2": 1.0}, {"ink": 0.7, "pixel.v2": 0.4}]


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


def parts_of(engine: LocalEngine) -> dict[str, torch.nn.Module]:
    return {"unet": engine.model.unet, "text_encoder": engine.model.pipeline.text_encoder}


@pytest.fixture
def loop(lora_engine: LocalEngine) -> Loop:
    loop = Loop(lora_engine.model)
    loop.capacity.rows[1, 4, 16, 16] = 32
    return loop


def test_pictures_are_those_of_diffusers_with_peft_alone_and_in_a_mixed_batch(
    lora_engine: LocalEngine, pipeline: StableDiffusionPipeline
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


def test_weight_zero_is_no_lora_at_all(lora_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = lora_engine.render(BASE)
    monkeypatch.setattr(Loras, "added", lambda *_: pytest.fail("the network was touched"))
    zero = lora_engine.render(BASE.replace(loras={"ink": 0, "pixel.v2": 0, "cut": 0}))
    assert torch.equal(zero.x0, expected.x0) and np.array_equal(np.asarray(zero.image), np.asarray(expected.image))


def test_reduced_precision_has_the_same_lora(folder: Path, lora_engine: LocalEngine) -> None:
    reduced, model = load_model(folder, CPU, torch.bfloat16), lora_engine.model
    x, t = torch.randn(2, 4, 16, 16), torch.tensor([500.0, 90.0])
    text = [model.encode("cat")] * 2
    loras = [[("ink", 2.0), ("pixel.v2", 2.0)], []]
    exact, without = model.predict(x, t, text, loras), model.predict(x, t, text)
    rounded = reduced.predict(x, t, text, loras)
    assert (rounded - exact)[0].abs().mean() < 0.25 * (without - exact)[0].abs().mean()
    assert torch.allclose(exact[1], without[1], atol=1e-5)


def test_a_film_and_a_walk_of_a_recipe_with_loras_end_in_its_picture(lora_engine: LocalEngine) -> None:
    recipe = BASE.replace(loras={"ink": 1}, num_inference_steps=3)
    picture = np.asarray(lora_engine.render(recipe).image).astype(int)
    for ending in ([*film(lora_engine, recipe)][-1].result.image, [*walk(lora_engine, recipe)][-1].picture):
        assert np.abs(np.asarray(ending).astype(int) - picture).max() <= TOLERANCE


def test_bad_and_unknown_loras_fail_their_own_cells_with_a_sentence(lora_engine: LocalEngine, store: Store) -> None:
    cells = [BASE, BASE.replace(loras={"cut": 1}), BASE.replace(loras={"nope": 1}), BASE.replace(loras={"ink": 1})]
    events = list(lora_engine.run(cells))
    assert [(e.cell, e.reason) for e in events if isinstance(e, Failed)] == [
        (1, "The LoRA cut cannot be used: it is not a whole safetensors file."),
        (2, "There is no LoRA named 'nope'; known: cut, ink, pixel.v2."),
    ]
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 3]
    with pytest.raises(Refusal, match="There is no LoRA named 'nope'"):
        next(render(lora_engine, store, cells))
    assert len(store) == 0


def test_a_model_without_loras_says_so(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.model, "facts", replace(engine.facts, loras={}))
    with pytest.raises(Refusal, match="There is no LoRA named 'ink'; this model has none."):
        engine.render(BASE.replace(loras={"ink": 1}))


MODULE = "unet.down_blocks.0.resnets.0.conv1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({f"{MODULE}.lora_A.weight": None}, "only one of the two matrices"),
        ({f"{MODULE}.lora_A.weight": torch.zeros(4, 3, 3, 3)}, "other sizes"),
        ({f"{MODULE}.lora_B.weight": torch.tensor(1.0)}, "other sizes"),
        ({f"{MODULE}.lora_B.weight": torch.full((64, 4, 1, 1), torch.nan)}, "not finite"),
        ({f"{MODULE}.lora_B.weight": torch.ones(64, 4, 1, 1, dtype=torch.int8)}, "are whole numbers"),
        ({f"{MODULE}.alpha": torch.tensor(torch.inf)}, "not finite"),
        ({f"{MODULE}.alpha": torch.zeros(2)}, "its alphas or its header"),
        ({"unet.nowhere.lora_A.weight": torch.zeros(4, 3), "unet.nowhere.lora_B.weight": torch.zeros(3, 4)}, "nowhere"),
        ({"text_encoder.x.lora_A.weight": torch.zeros(1)}, "named in a way"),
        ({f"{MODULE}.lora_magnitude_vector": torch.zeros(64)}, "of the kind DoRA"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_reason(
    folder: Path, lora_engine: LocalEngine, tmp_path: Path, changes: dict, reason: str
) -> None:
    good = {k: v for k, v in load_file(folder / "loras" / "ink.safetensors").items() if k.startswith(MODULE)}
    assert len(good) == 2
    save_file({k: v for k, v in (good | changes).items() if v is not None}, tmp_path / "x.safetensors")
    with pytest.raises(Refusal, match="^The LoRA x cannot be used: .*[.]$") as caught:
        LoraFiles([tmp_path], parts_of(lora_engine), StableDiffusionPipeline).check([("x", 1.0)])
    assert reason in str(caught.value)


GOOD = {"peft_type": "LORA", "r": 4, "lora_alpha": 6}


def saved(folder: Path, into: Path) -> Path:
    """One layer as an adapter x of peft, without a config."""
    good = {k: v for k, v in load_file(folder / "loras" / "ink.safetensors").items() if k.startswith(MODULE)}
    (into / "x").mkdir()
    save_file({k.replace("unet.", adapter.PREFIX, 1): v for k, v in good.items()}, into / "x" / ADAPTER)
    return into / "x" / ADAPTER


def test_the_config_beside_an_adapter_says_its_scaling(folder: Path, lora_engine: LocalEngine, tmp_path: Path) -> None:
    """A config that comes, or changes, while the playground runs is as another file."""
    file = saved(folder, tmp_path)

    def opened() -> LoraFiles:
        return LoraFiles([tmp_path], parts_of(lora_engine), StableDiffusionPipeline)

    (change,) = opened().changes("x", "unet").values()
    assert change.scaling == 1.0  # nothing says another
    rank_stabilised = GOOD | {"use_rslora": True, "alpha_pattern": {"resnets.0.conv1": 5}, "rank_pattern": None}
    for config, scaling in ((GOOD, 6 / 4), (rank_stabilised, 5 / math.sqrt(4))):
        before = opened()
        file.with_name(adapter.CONFIG).write_text(json.dumps(config))
        with pytest.raises(Refusal, match="x cannot be used: its file has changed since"):
            before.check([("x", 1.0)])
        (change,) = opened().changes("x", "unet").values()
        assert change.scaling == scaling and opened().digests != before.digests


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", "is not what peft writes"),
        ("[]", "is not what peft writes"),
        ("[" * 100_000, "is not what peft writes"),
        (" " * 2**20 + "{}", "is longer than 1,048,576 bytes"),
        ({"lora_alpha": None}, "needs numbers for lora_alpha"),
        ({"lora_alpha": "6"}, "needs numbers for lora_alpha"),
        ({"lora_alpha": 10**400}, "needs numbers for lora_alpha"),
        ({"lora_alpha": float("nan")}, "needs numbers for lora_alpha"),
        ({"alpha_pattern": {"conv1": [1]}}, "needs numbers for lora_alpha"),
        ({"alpha_pattern": ["conv1"]}, "is not what peft writes"),
        ({"alpha_pattern": {"(conv1": 1}}, "its alphas or its header"),
        ({"alpha_pattern": {r"([\w.]+)+!": 1}}, "too many repeats"),
        ({"alpha_pattern": {".*.*.*!": 1}}, "too many repeats"),
        ({"use_rslora": "no"}, "is not what peft writes"),
        ({"r": 8}, "says other ranks"),
        ({"peft_type": "LOHA"}, "says LOHA"),
        ({"use_qalora": True}, "says use_qalora"),
        ({"init_lora_weights": "pissa_niter_4"}, "began as pissa_niter_4"),
    ],
)
def test_a_config_beside_an_adapter_is_not_trusted(
    folder: Path, lora_engine: LocalEngine, tmp_path: Path, config: dict | str, reason: str
) -> None:
    written = config if isinstance(config, str) else json.dumps(GOOD | config)
    (saved(folder, tmp_path).with_name(adapter.CONFIG)).write_text(written)
    with pytest.raises(Refusal, match="^The LoRA x cannot be used: .*[.]$") as caught:
        LoraFiles([tmp_path], parts_of(lora_engine), StableDiffusionPipeline).check([("x", 1.0)])
    assert reason in str(caught.value)


def test_older_names_and_alphas_mean_the_same(folder: Path, lora_engine: LocalEngine, tmp_path: Path) -> None:
    parts, tensors = parts_of(lora_engine), load_file(folder / "loras" / "pixel.v2.safetensors")
    older = {k.replace("lora_A", "lora.down").replace("lora_B", "lora.up"): v for k, v in tensors.items()}
    modules = {k.removesuffix(".lora_A.weight") for k in tensors if "lora_A" in k}
    save_file(older | {f"{m}.alpha": torch.tensor(2.0) for m in modules}, tmp_path / "x.safetensors")
    paths = folder / "loras" / "pixel.v2.safetensors", tmp_path / "x.safetensors"
    expected, found = (read(path, parts, StableDiffusionPipeline)["unet"] for path in paths)
    assert expected.keys() == found.keys() == {m.removeprefix("unet.") for m in modules}
    for name, change in found.items():
        assert torch.equal(change.down, expected[name].down) and torch.equal(change.up, expected[name].up)
        assert (expected[name].scaling, change.scaling) == (1.0, 0.5)  # α = r where nothing is said; then 2 / 4


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_a_file_in_fp8_keeps_the_network_where_it_runs(
    folder: Path, lora_engine: LocalEngine, tmp_path: Path, kind: torch.dtype
) -> None:
    """Nothing can be added to fp8, so OpenVINO refused the whole network for it."""
    small = {k: v.to(kind) for k, v in load_file(folder / "loras" / "ink.safetensors").items()}
    save_file(small, tmp_path / "x.safetensors")
    for name, change in read(tmp_path / "x.safetensors", parts_of(lora_engine), StableDiffusionPipeline)[
        "unet"
    ].items():
        for own, matrix in ((change.down, "lora_A"), (change.up, "lora_B")):
            assert torch.equal(torch.zeros_like(own.float()) + own, small[f"unet.{name}.{matrix}.weight"].float())


def test_kept_cells_follow_the_files_they_need(
    folder: Path, engine: LocalEngine, lora_engine: LocalEngine, tmp_path: Path
) -> None:
    ink, pixel = BASE.replace(loras={"ink": 1}), BASE.replace(loras={"pixel.v2": 1, "ink": 0})
    model = lora_engine.facts
    assert model.fingerprint == model.fingerprint_for(BASE) == engine.facts.fingerprint  # with and without a folder
    assert model.fingerprint_for(BASE.replace(loras={"ink": 0})) == model.fingerprint
    assert len({model.fingerprint_for(r) for r in (BASE, ink, pixel)}) == 3
    changed = tmp_path / "pocket"
    shutil.copytree(folder, changed)
    for figures in ("evaluation.json", "preview/notes.json", "README.md"):  # no picture depends on them
        (changed / figures).write_text("{}")
    shutil.copy(changed / "loras" / "pixel.v2.safetensors", changed / "loras" / "ink.safetensors")
    loaded = load_model(changed, CPU, torch.float32)
    other = loaded.facts
    assert other.fingerprint == model.fingerprint
    assert other.fingerprint_for(ink) != model.fingerprint_for(ink)
    assert [other.fingerprint_for(r) for r in (BASE, pixel)] == [model.fingerprint_for(r) for r in (BASE, pixel)]
    (changed / "loras" / "ink.safetensors").write_bytes((folder / "loras" / "ink.safetensors").read_bytes())
    with pytest.raises(Refusal, match="ink cannot be used: its file has changed since"):
        loaded.check(ink)
