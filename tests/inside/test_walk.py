"""The pipeline walk: the picture is the engine's, every number is that of the weights."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextConfig, CLIPTextModel

from playground import Recipe, open_engine
from playground.engine import LocalEngine
from playground.engine.contract import NOTHING
from playground.inside import walk
from playground.models import REGISTERED
from playground.refusal import Refusal
from tests.engine.support import counted


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "red apple, blue background", "num_inference_steps": 5, "seed": 3},
        {"prompt": "a cat", "sampler": "euler_a", "num_inference_steps": 4, "guidance_scale": 1.0},
    ],
)
def test_the_walk_ends_at_the_engines_picture(engine: LocalEngine, changes: dict) -> None:
    recipe = Recipe(**changes)
    *under_way, last = walk.walk(engine, recipe)
    result = engine.render(recipe)
    assert torch.allclose(last.latents[None], result.x0, atol=2e-4)
    assert np.abs(np.asarray(last.picture).astype(int) - np.asarray(result.image).astype(int)).max() <= 2
    assert [now.k for now in under_way] == list(range(recipe.num_inference_steps + 1))
    assert [glimpse.k for glimpse in last.film] == list(range(1, recipe.num_inference_steps + 1))


def test_the_first_tensors_are_the_encoding_and_the_seeds_noise(engine: LocalEngine) -> None:
    now = walk.begin(engine, Recipe(prompt="red apple", seed=11))
    assert torch.allclose(now.embeddings, engine.model.encode("red apple")["encoder_hidden_states"][0], atol=1e-5)
    noise = randn_tensor((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(11), dtype=torch.float32)
    assert torch.equal(now.noise[None], noise)  # DPM++ starts at unit variance
    assert set(now.milliseconds) == {"tokens", "text_encoder", "noise"} and min(now.milliseconds.values()) > 0


def test_the_milliseconds_of_the_calls_add_up(engine: LocalEngine) -> None:
    *_, last = walk.walk(engine, Recipe(prompt="x", num_inference_steps=3))
    took = last.milliseconds
    assert 0 < took["unet_call"] < took["unet"] < 60_000 and took["decoder"] > 0


def test_another_models_recipe_is_refused_before_anything_runs(engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match=r"^model must be pocket, which is .*, not 'sd'\.$"):
        next(walk.walk(engine, Recipe(model="sd")))


def test_a_programs_run_that_would_take_too_long_is_refused_by_its_first_call(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(engine, "estimate", lambda recipes, keep=NOTHING: None)
    monkeypatch.setattr(walk, "LONGEST", 1e-6)
    calls = walk.walk(engine, Recipe(num_inference_steps=9), bounded=True)
    next(calls)
    with pytest.raises(Refusal, match="Use fewer steps or a smaller size"):
        next(calls)
    assert engine.outlook([Recipe()]).others == 0  # and it does not go on behind the refusal


def test_a_programs_run_that_is_known_to_take_too_long_is_refused_before_it(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(engine, "estimate", lambda recipes, keep=NOTHING: 601.0)
    monkeypatch.setattr(engine, "ask", lambda *_: pytest.fail("it ran"))
    with pytest.raises(Refusal, match="about 10 minutes here; the limit is 10"):
        next(walk.walk(engine, Recipe(), bounded=True))


def test_where_a_run_takes_too_long_its_beginning_is_still_shown(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    """With it the page opens, also with a large model on a slow machine."""
    monkeypatch.setattr(engine, "estimate", lambda recipes, keep=NOTHING: 601.0)
    assert walk.begin(engine, Recipe(prompt="a cat")).of == 20


def test_a_long_walk_keeps_evenly_spaced_glimpses(engine: LocalEngine) -> None:
    *_, last = walk.walk(engine, Recipe(prompt="a cat", num_inference_steps=20, guidance_scale=1.0))
    assert [glimpse.k for glimpse in last.film] == [2, 5, 8, 10, 12, 15, 18, 20]
    assert len({glimpse.x0.tobytes() for glimpse in last.film}) == walk.GLIMPSES
    assert [glimpse.t for glimpse in last.film] == sorted((glimpse.t for glimpse in last.film), reverse=True)


def test_a_walk_is_batched_with_other_visitors_and_does_not_wait_for_their_grid(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = counted(engine, monkeypatch)
    grid = engine.run([Recipe(seed=s, num_inference_steps=99, guidance_scale=1.0) for s in (1, 2)], previews=False)
    next(grid)
    recipe = Recipe(prompt="a cat", num_inference_steps=3)
    *_, last = walk.walk(engine, recipe)
    assert engine.outlook([recipe]).others == 1  # the grid is still under way
    grid.close()
    assert max(rows) >= 3  # the walk's two rows, and at least one of the grid
    alone = engine.render(recipe)
    assert np.abs(np.asarray(last.picture).astype(int) - np.asarray(alone.image).astype(int)).max() <= 2


def test_a_walk_that_is_left_ends_within_a_call(engine: LocalEngine) -> None:
    under_way = walk.walk(engine, Recipe(prompt="a cat", num_inference_steps=300))
    next(under_way), next(under_way)
    assert engine.outlook([Recipe()]).others == 1
    under_way.close()
    assert engine.outlook([Recipe()]).others == 0


def test_whoever_walks_where_somebody_else_walks_already_sees_the_whole_way(engine: LocalEngine) -> None:
    recipe = Recipe(prompt="a cat", num_inference_steps=9, guidance_scale=1.0)
    first = walk.walk(engine, recipe)
    next(first), next(first)
    *under_way, last = walk.walk(engine, recipe)
    first.close()
    assert [now.k for now in under_way] == list(range(10)) and len(last.film) == walk.GLIMPSES


def test_a_walk_that_leads_nowhere_says_so(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    predict = engine.model.predict
    monkeypatch.setattr(engine.model, "predict", lambda *given: predict(*given) * float("inf"))
    with pytest.raises(Refusal, match="became infinite, so there is no picture"):
        list(walk.walk(engine, Recipe(prompt="a cat", num_inference_steps=2)))


# the boxes


def test_the_boxes_count_the_loaded_weights(engine: LocalEngine) -> None:
    model = engine.model
    parts = {part.key: part for part in walk.parts(engine.anatomy(128, 128), walk.begin(engine, Recipe()))}
    for key, module in (("text_encoder", model.pipeline.text_encoder), ("unet", model.unet)):
        state = [p.detach() for p in module.parameters()]
        assert parts[key].parameters == sum(p.numel() for p in state)
        assert parts[key].bytes == sum(p.untyped_storage().nbytes() for p in state)
        assert parts[key].class_name == type(module).__name__
    encoder = sum(p.numel() for name, p in model.vae.named_parameters() if name.startswith(("encoder", "quant_conv")))
    assert parts["decoder"].parameters == sum(p.numel() for p in model.vae.parameters()) - encoder
    assert (parts["unet"].gives, parts["unet"].dtype) == ((1, 4, 16, 16), "float32")
    assert (parts["text_encoder"].takes, parts["text_encoder"].gives) == ((1, 32), (1, 32, 192))
    assert parts["noise"].bytes == 4 * 4 * 16 * 16 and parts["picture"].gives == (128, 128, 3)


@pytest.fixture(scope="module")
def other(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    """Another model in diffusers' layout: other widths, 20 tokens, one level less, a VAE of factor 4."""
    folder = tmp_path_factory.mktemp("models") / "other"
    torch.manual_seed(0)
    tokenizer = type(engine.model.pipeline.tokenizer).from_pretrained(REGISTERED["pocket"] / "tokenizer")
    tokenizer.model_max_length = 20
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=20, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=24, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(16, 32),
        norm_num_groups=8, cross_attention_dim=48, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8), norm_num_groups=4, latent_channels=4, scaling_factor=0.5,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    StableDiffusionPipeline(
        vae, CLIPTextModel(text), tokenizer, unet, DDIMScheduler(steps_offset=1, clip_sample=False), None, None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return open_engine(folder, torch.device("cpu"), torch.float32, "torch")


def test_another_model_shows_its_own_boxes(other: LocalEngine) -> None:
    prompt = " ".join(["red apple, blue background"] * 12)
    recipe = other.facts.recipe({"prompt": prompt, "num_inference_steps": 2, "sampler": "euler"})
    *_, last = walk.walk(other, recipe)
    anatomy = other.anatomy(recipe.width, recipe.height)
    shapes = {part.key: part.gives for part in walk.parts(anatomy, last)}
    assert shapes["tokens"] == (1, 20) and shapes["text_encoder"] == (1, 20, 48)
    assert shapes["unet"] == (1, 4, 24, 24) and shapes["decoder"] == (1, 3, 96, 96)
    assert last.picture.size == (96, 96) and len(last.words.truncated) > 0
    assert [block.cross_attention for block in anatomy.unet_blocks] == [0, 1, 0, 1, 0, 2, 0]
