"""Plans run for real on the CPU: what they say that changes no picture changes none, and memory is freed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, PixArtTransformer2DModel, StableDiffusionPipeline
from torch import nn

from playground import open_engine
from playground.command.line import main
from playground.engine import Done, LocalEngine
from playground.models.running import plan as plans
from playground.models.running.plan import AS_IN_FILE, FP8, ONE_PART, TEXTS_LEAVE, Plan
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, largest_difference

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SD3 in half precision, as models are published."""
    made = build_family("sd3-tiny", tmp_path_factory.mktemp("memory"))
    pipeline = DiffusionPipeline.from_pretrained(made).to(torch.float16)
    half = made.with_name("sd3-half")
    pipeline.save_pretrained(half)
    return half


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch, folder: Path, plan: Plan) -> Iterator[LocalEngine]:
    """With this plan, whatever is free."""
    monkeypatch.setattr(plans, "plan", lambda *_: plan)
    engine = open_engine(folder, CPU, torch.float32, "torch")
    yield engine
    engine.close()


def pictures(engine: LocalEngine) -> list:
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=3, width=64, height=64)
    cells = [base, base.replace(prompt="owl", guidance_scale=1.0), base.replace(width=128, height=128, seed=2)]
    found = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    assert len(found) == 3
    again = engine.render(base.replace(prompt="cat"))  # words that a text encoder must come back for
    return [*(found[i] for i in range(3)), again]


def bytes_there(module: nn.Module) -> int:
    return sum(p.nbytes for p in module.parameters() if p.device.type != "meta")


@pytest.fixture(scope="module")
def all_there(folder: Path) -> tuple[list, str]:
    """The pictures and the fingerprint where everything is in memory."""
    with pytest.MonkeyPatch.context() as patch, opened(patch, folder, plans.EVERYTHING) as engine:
        return pictures(engine), engine.facts.fingerprint


@pytest.mark.parametrize("placing", [plans.ALL, TEXTS_LEAVE, ONE_PART])
@pytest.mark.parametrize("storage", [plans.AS_RUN, AS_IN_FILE])
def test_an_exact_plan_changes_no_picture(
    monkeypatch: pytest.MonkeyPatch, folder: Path, all_there: tuple[list, str], placing: str, storage: str
) -> None:
    expected, fingerprint = all_there
    with opened(monkeypatch, folder, Plan(placing, storage)) as engine:
        model = engine.model
        for found, of in zip(pictures(engine), expected, strict=True):
            assert largest_difference(found, np.asarray(of.image).astype(int)) <= 1  # of what stands beside it
        assert engine.facts.fingerprint == fingerprint  # so kept pictures stay
        assert [bytes_there(text) > 0 for text in model.text_encoders] == [placing == plans.ALL] * 3
        assert bool(bytes_there(model.network)) == (placing != ONE_PART)  # the VAE was the last to be called
        kept = {p.dtype for p in model.network.parameters()}
        assert kept == ({torch.float32, torch.float16} if storage == AS_IN_FILE else {torch.float32})


def test_a_transformer_that_comes_block_by_block_draws_the_same(
    monkeypatch: pytest.MonkeyPatch, folder: Path, all_there: tuple[list, str]
) -> None:
    """By diffusers' hooks, which here have nowhere to move the weights to."""
    expected, _ = all_there
    with opened(monkeypatch, folder, Plan(plans.BLOCKS)) as engine:
        assert engine.model.network.transformer_blocks[1]._diffusers_hook.get_hook("group_offloading")
        for found, of in zip(pictures(engine), expected, strict=True):
            assert largest_difference(found, np.asarray(of.image).astype(int)) <= 1  # of what stands beside it


@pytest.mark.parametrize("kind", ["sdxl-tiny", "flux-dev-tiny", "flux2-klein-tiny"])
@pytest.mark.parametrize("placing", [TEXTS_LEAVE, ONE_PART])
def test_tokens_are_put_where_a_text_encoder_runs_not_where_it_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, placing: str
) -> None:
    drawn = []
    for plan in (plans.EVERYTHING, Plan(placing)):
        with opened(monkeypatch, build_family(kind, tmp_path), plan) as engine:
            base = engine.facts.usual.replace(num_inference_steps=2, width=64, height=64)
            drawn.append([engine.render(base.replace(prompt=words)) for words in ("cat", "owl")])
    for expected, found in zip(*drawn, strict=True):
        assert largest_difference(found, np.asarray(expected.image).astype(int)) <= 1


def test_what_does_not_fit_ends_with_a_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "recipe.json").write_text('{"base": {}, "axes": {"seed": [1, 2]}}')
    asked = ["grid", str(tmp_path / "recipe.json"), "-o", str(tmp_path / "out"), "--model", str(folder), "--memory"]
    assert main([*asked, "1MB"]) == 2
    assert (
        "playground: sd3-half does not fit: it needs at least 1.3 MB, and 0.9 MB may be used; --memory 1.5MB would do."
        in capsys.readouterr().err
    )
    assert main([*asked, "much"]) == 2
    assert "--memory needs a size such as 8GB" in capsys.readouterr().err


def test_a_limit_is_kept_to(folder: Path) -> None:
    """By the planner's own way, from the limit that was asked for."""
    engine = open_engine(folder, CPU, torch.float32, "torch", memory=2_000_000)
    assert "take turns and are freed and read again" in engine.facts.memory
    assert sum(map(bytes_there, (*engine.model.text_encoders, engine.model.network, engine.model.vae))) < 1_800_000
    engine.close()


def test_fp8_is_that_of_diffusers_and_is_kept_under_another_fingerprint(
    monkeypatch: pytest.MonkeyPatch, folder: Path, all_there: tuple[list, str]
) -> None:
    plain = DiffusionPipeline.from_pretrained(folder).to(torch.float32)
    plain.transformer.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)
    plain.set_progress_bar_config(disable=True)
    with opened(monkeypatch, folder, Plan(storage=FP8)) as engine:
        expected = plain(
            "red apple", negative_prompt="", num_inference_steps=3, guidance_scale=engine.facts.usual.guidance_scale,
            width=64, height=64, generator=torch.Generator().manual_seed(0),
        ).images[0]  # fmt: skip
        found = pictures(engine)[0]
        assert largest_difference(found, np.asarray(expected).astype(int)) <= TOLERANCE
        assert torch.float8_e4m3fn in {p.dtype for p in engine.model.network.parameters()}
        fp8 = engine.facts.fingerprint
    whole, fingerprint = all_there
    assert fp8 != fingerprint
    assert largest_difference(whole[0], np.asarray(expected).astype(int)) > TOLERANCE


def test_fp8_leaves_in_fp32_what_diffusers_leaves_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In bf16, as on a GPU: PixArt's table of positions."""
    folder = build_family("pixart-sigma-tiny", tmp_path)
    plain = PixArtTransformer2DModel.from_pretrained(folder / "transformer", dtype=torch.bfloat16)
    plain.enable_layerwise_casting(torch.float8_e4m3fn, torch.bfloat16)
    monkeypatch.setattr(plans, "plan", lambda *_: Plan(storage=FP8))
    engine = open_engine(folder, CPU, torch.bfloat16, "torch")
    found, expected = ({n: x.dtype for n, x in each.named_buffers()} for each in (engine.model.network, plain))
    assert found == expected and torch.float32 in found.values()
    engine.close()


def test_tiles_are_those_of_diffusers(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> None:
    """The VAE of this model has 64 pixels, so a picture of 128 is decoded in tiles."""
    plain = StableDiffusionPipeline.from_pretrained(folders["sd15-tiny"], safety_checker=None)
    plain.vae.enable_tiling()
    plain.set_progress_bar_config(disable=True)
    with opened(monkeypatch, folders["sd15-tiny"], Plan(tiled=True)) as engine:
        recipe = engine.facts.usual.replace(
            prompt="cat", sampler="pndm", num_inference_steps=3, width=128, height=128, seed=1
        )
        expected = plain(
            "cat", negative_prompt="", num_inference_steps=3, guidance_scale=recipe.guidance_scale, width=128,
            height=128, generator=torch.Generator().manual_seed(1),
        ).images[0]  # fmt: skip
        tiled = engine.render(recipe)
        assert largest_difference(tiled, np.asarray(expected).astype(int)) <= TOLERANCE
    with opened(monkeypatch, folders["sd15-tiny"], plans.EVERYTHING) as engine:
        whole = np.asarray(engine.render(recipe).image).astype(int)
        assert largest_difference(tiled, whole) > TOLERANCE  # seams
