"""The pipeline walk: tokens are the model's own, the picture is the engine's, every number is that of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextConfig, CLIPTextModel

from playground import Recipe, open_engine
from playground.engine import Engine
from playground.inside import pipeline
from playground.inside.words import cut

LONG = " ".join(["red apple, blue background"] * 12)


def kinds(engine: Engine, text: str) -> list[str]:
    return [token.kind for token in cut(engine.model, text).tokens]


# words


@pytest.mark.parametrize(
    "text",
    [
        "red apple, blue background",
        "",
        "a Zeppelin über 🍎",
        LONG,
        "北京 <|endoftext|> don't",
        "${x}{{y}}<b>",
        "zz " * 40,
    ],
)
def test_the_tokens_are_those_the_model_reads(engine: Engine, text: str) -> None:
    tokenizer = engine.model.tokenizer
    theirs = tokenizer(text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    words = cut(engine.model, text)
    assert list(words.ids) == theirs["input_ids"]
    assert words.needed == len(tokenizer(text)["input_ids"])
    assert len(words.tokens) == words.limit == tokenizer.model_max_length


def test_marks_text_and_padding_are_told_apart(engine: Engine) -> None:
    assert kinds(engine, "red apple") == ["start", "text", "text", "end"] + ["padding"] * 28
    assert kinds(engine, "") == ["start", "end"] + ["padding"] * 30
    assert kinds(engine, LONG) == ["start"] + ["text"] * 30 + ["end"]


def test_a_known_word_is_one_token_and_an_unknown_one_falls_into_pieces(engine: Engine) -> None:
    words = cut(engine.model, "red Zeppelin")
    assert [(word.text, word.pieces, word.positions) for word in words.words] == [
        ("red", 1, (1,)),
        ("Zeppelin", 5, (2, 3, 4, 5, 6)),
    ]
    assert words.in_pieces == (words.words[1],)
    assert "".join(words.tokens[i].text for i in words.words[1].positions) == "Zeppelin"
    assert [words.tokens[i].piece for i in words.words[1].positions] == ["ze", "p", "pe", "li", "n</w>"]


def test_bytes_that_are_no_character_are_named_so(engine: Engine) -> None:
    words = cut(engine.model, "ü")
    assert [(token.text, token.whole) for token in words.tokens if token.kind == "text"] == [("ü", False)] * 2


def test_what_does_not_fit_is_named_with_the_word_that_is_cut_in_the_middle(engine: Engine) -> None:
    words = cut(engine.model, "apple " * 28 + "Zeppelin banana")
    assert [word.text for word in words.truncated] == ["Zeppelin", "banana"]
    assert len(words.truncated[0].positions) == 2 and words.truncated[1].positions == ()
    assert words.needed == 28 + 5 + 1 + 2
    assert cut(engine.model, "red apple").truncated == ()


def test_a_mark_that_somebody_typed_is_text(engine: Engine) -> None:
    words = cut(engine.model, "a <|endoftext|> b")
    assert [token.kind for token in words.tokens[:5]] == ["start", "text", "text", "text", "end"]
    assert not any(word.unknown for word in words.words)


# the walk


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "red apple, blue background", "num_inference_steps": 5, "seed": 3},
        {"prompt": "a cat", "sampler": "euler_a", "num_inference_steps": 4, "guidance_scale": 1.0},
    ],
)
def test_the_walk_ends_at_the_engines_picture(engine: Engine, changes: dict) -> None:
    recipe = Recipe(**changes)
    *under_way, last = pipeline.walk(engine, recipe)
    result = engine.render(recipe)
    assert torch.allclose(last.latents[None], result.x0, atol=2e-4)
    assert np.abs(np.asarray(last.picture).astype(int) - np.asarray(result.image).astype(int)).max() <= 2
    assert [now.k for now in under_way] == list(range(recipe.num_inference_steps + 1))
    assert [frame.k for frame in last.film] == list(range(1, recipe.num_inference_steps + 1))


def test_the_first_tensors_are_the_encoding_and_the_seeds_noise(engine: Engine) -> None:
    now = pipeline.begin(engine, Recipe(prompt="red apple", seed=11))
    assert torch.allclose(now.embeddings, engine.model.encode("red apple")[0], atol=1e-5)
    noise = randn_tensor((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(11), dtype=torch.float32)
    assert torch.equal(now.noise[None], noise)  # DPM++ starts at unit variance
    assert set(now.milliseconds) == {"tokens", "text_encoder", "noise"} and min(now.milliseconds.values()) > 0


def test_the_milliseconds_of_the_calls_add_up(engine: Engine) -> None:
    *_, last = pipeline.walk(engine, Recipe(prompt="x", num_inference_steps=3))
    took = last.milliseconds
    assert 0 < took["unet_call"] < took["unet"] < 60_000 and took["decoder"] > 0


def test_another_models_recipe_is_refused_before_anything_runs(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"^model must be pocket, which is .*, not 'sd'\.$"):
        next(pipeline.walk(engine, Recipe(model="sd")))


def test_a_run_that_would_take_too_long_is_refused_by_its_first_call(engine: Engine, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(engine, "estimate", lambda recipes: None)
    monkeypatch.setattr(pipeline, "LONGEST", 1e-6)
    calls = pipeline.walk(engine, Recipe(num_inference_steps=9))
    next(calls)
    with pytest.raises(ValueError, match="Use fewer steps or a smaller size"):
        next(calls)


# the boxes


def test_the_boxes_count_the_loaded_weights(engine: Engine) -> None:
    model = engine.model
    parts = {part.key: part for part in pipeline.parts(model, pipeline.begin(engine, Recipe()))}
    for key, module in (("text_encoder", model.text_encoder), ("unet", model.unet)):
        state = [p.detach() for p in module.parameters()]
        assert parts[key].parameters == sum(p.numel() for p in state)
        assert parts[key].bytes == sum(p.untyped_storage().nbytes() for p in state)
        assert parts[key].class_name == type(module).__name__
    encoder = sum(p.numel() for name, p in model.vae.named_parameters() if name.startswith(("encoder", "quant_conv")))
    assert parts["decoder"].parameters == sum(p.numel() for p in model.vae.parameters()) - encoder
    assert (parts["unet"].gives, parts["unet"].dtype) == ((1, 4, 16, 16), "float32")
    assert (parts["text_encoder"].takes, parts["text_encoder"].gives) == ((1, 32), (1, 32, 192))
    assert parts["noise"].bytes == 4 * 4 * 16 * 16 and parts["picture"].gives == (128, 128, 3)


@pytest.mark.parametrize(("width", "height"), [(128, 128), (192, 64)])
def test_the_blocks_have_the_shapes_of_a_real_run(engine: Engine, width: int, height: int) -> None:
    """The shapes come from a run without numbers; here the real U-Net runs with hooks of our own."""
    seen: dict[str, tuple[int, ...]] = {}
    unet = engine.model.unet

    def note(name: str):  # noqa: ANN202
        return lambda m, i, o: seen.update({name: tuple((o[0] if isinstance(o, tuple) else o).shape)})

    hooks = [module.register_forward_hook(note(name)) for name, module in unet.named_modules()]
    try:
        with engine.between_ticks() as model:
            model.predict(torch.zeros(1, 4, height // 8, width // 8), torch.tensor([5.0]), model.encode(""))
    finally:
        for hook in hooks:
            hook.remove()
    blocks = pipeline.unet_blocks(engine.model, height // 8, width // 8)
    assert {block.name: block.gives for block in blocks} == {block.name: seen[block.name] for block in blocks}
    assert sum(block.cross_attention for block in blocks) == sum(n.endswith("attn2") for n, _ in unet.named_modules())
    outside = sum(p.numel() for n, p in unet.named_parameters() if n.startswith(("time_embedding", "conv_norm_out")))
    assert sum(block.parameters for block in blocks) + outside == sum(p.numel() for p in unet.parameters())
    decoded = pipeline.decoder_blocks(engine.model, height // 8, width // 8)
    assert decoded[-1].gives == (1, 3, height, width)


def test_the_heat_map_has_one_pixel_per_value_and_colours_by_sign(engine: Engine) -> None:
    embeddings = engine.model.encode("red apple")[0].float()
    picture, limit = pipeline.heat_map(embeddings)
    assert picture.size == (192, 32)
    assert limit == pytest.approx(np.quantile(embeddings.abs().numpy(), 0.99), rel=1e-4)
    pixels, values = np.asarray(picture).astype(int), embeddings.numpy()
    assert (pixels[..., 0] >= pixels[..., 2] - 2)[values > 0.05 * limit].all()
    assert (pixels[..., 2] > pixels[..., 0])[values < -0.05 * limit].all()
    assert (pixels[values >= limit] == [200, 48, 20]).all() and (pixels[values <= -limit] == [29, 78, 216]).all()


@pytest.fixture(scope="module")
def other(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Another model in diffusers' layout: other widths, 20 tokens, one level less, a VAE of factor 4."""
    folder = tmp_path_factory.mktemp("models") / "other"
    torch.manual_seed(0)
    tokenizer = type(engine.model.tokenizer).from_pretrained(
        Path(pipeline.__file__).parents[1] / "models/pocket/tokenizer"
    )
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
    return open_engine(folder, torch.device("cpu"), torch.float32)


def test_another_model_shows_its_own_boxes(other: Engine) -> None:
    recipe = Recipe(prompt=LONG, model=other.model.name, width=96, height=96, num_inference_steps=2, sampler="euler")
    *_, last = pipeline.walk(other, recipe)
    shapes = {part.key: part.gives for part in pipeline.parts(other.model, last)}
    assert shapes["tokens"] == (1, 20) and shapes["text_encoder"] == (1, 20, 48)
    assert shapes["unet"] == (1, 4, 24, 24) and shapes["decoder"] == (1, 3, 96, 96)
    assert last.picture.size == (96, 96) and len(last.words.truncated) > 0
    assert [block.cross_attention for block in pipeline.unet_blocks(other.model, 24, 24)] == [0, 1, 0, 1, 0, 2, 0]
