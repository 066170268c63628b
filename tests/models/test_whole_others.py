"""Pipelines that are called as they are and are made otherwise than most: with parts that diffusers ships beside its
pipeline, in pixels, with a tokenizer that does not say where it cuts, calling back as formerly or not at all."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sentencepiece
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    IFPipeline,
    KolorsPipeline,
    LDMTextToImagePipeline,
    UNet2DConditionModel,
    VQModel,
)
from diffusers.pipelines.deepfloyd_if import IFWatermarker
from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
from safetensors.torch import load_file, save_file
from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

from playground import open_engine
from playground.engine import Done, LocalEngine, Step
from playground.refusal import Refusal
from playground.sources.parts import index_of, needed
from tests.models.tiny import BETAS, place
from tests.models.tiny_families import WIDTH, clip, vae
from tests.reference import called, largest_difference

CPU = (torch.device("cpu"), torch.float32, "torch")


def unet(side: int, channels: int, answered: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=side, in_channels=channels, out_channels=answered, block_out_channels=(16, 32), layers_per_block=1,
        norm_num_groups=8, cross_attention_dim=WIDTH, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def deepfloyd() -> DiffusionPipeline:
    """In pixels, with a watermark from a part of diffusers' own; it calls back with the number of the step alone."""
    tokenizer = ByT5Tokenizer()  # bytes, in Python
    config = T5Config(vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=2 * WIDTH, num_layers=2, num_heads=4)
    watermarker = IFWatermarker()
    watermarker.watermark_image.uniform_(0, 255)
    return IFPipeline(
        tokenizer, T5EncoderModel(config), unet(64, 3, 6), DDPMScheduler(variance_type="learned_range"), None, None,
        watermarker, requires_safety_checker=False,
    )  # fmt: skip


def latent_diffusion() -> DiffusionPipeline:
    """The first of its kind, whose text encoder is one of diffusers' own; it tells nothing of its steps."""
    tokenizer, _ = clip()
    config = LDMBertConfig(
        vocab_size=len(tokenizer), encoder_layers=1, encoder_ffn_dim=WIDTH, encoder_attention_heads=4, head_dim=8,
        d_model=WIDTH,
    )  # fmt: skip
    vq = VQModel(block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, num_vq_embeddings=16,
                 down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
    scheduler = DDIMScheduler(**BETAS, steps_offset=1)
    return LDMTextToImagePipeline(vq, LDMBertModel(config), tokenizer, unet(32, 4, 4), scheduler)


def kolors() -> DiffusionPipeline:
    """Around SDXL's kind of U-Net, with a language model that diffusers ships and a sentencepiece tokenizer."""
    texts = ["red apple, blue background", "a cat on a boat", "green tree by the lake", "two dogs and a yellow hat"]
    words = place() / "words.model"  # copied from there when the pipeline is saved
    with words.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=file, vocab_size=40, hard_vocab_limit=False, minloglevel=2
        )
    config = ChatGLMConfig(
        num_layers=2, padded_vocab_size=64, hidden_size=WIDTH, ffn_hidden_size=WIDTH, kv_channels=8,
        num_attention_heads=4, seq_length=256, multi_query_attention=True, multi_query_group_num=2, add_qkv_bias=True,
        original_rope=True,
    )  # fmt: skip
    encoder = ChatGLMModel(config)
    for parameter in encoder.parameters():  # which it leaves without numbers
        torch.nn.init.normal_(parameter, std=0.3)
    network = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=48,
        attention_head_dim=(2, 4), transformer_layers_per_block=(1, 2), use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=8, encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="text_proj", projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(**BETAS, steps_offset=1)
    return KolorsPipeline(vae(4, scaling_factor=0.13025), encoder, ChatGLMTokenizer(str(words)), network, scheduler)


MADE: dict[str, Callable[[], DiffusionPipeline]] = {
    "if-tiny": deepfloyd,
    "ldm-tiny": latent_diffusion,
    "kolors-tiny": kolors,
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalEngine]]:
    engines = {}
    for name, make in MADE.items():
        torch.manual_seed(3)
        folder = tmp_path_factory.mktemp("others") / name
        make().save_pretrained(folder)
        engines[name] = open_engine(folder, *CPU)
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.mark.parametrize(
    ("kind", "own_part", "told"),
    [
        ("if-tiny", ("watermarker", "deepfloyd_if"), [(1, 4), (2, 4), (3, 4), (4, 4)]),
        ("ldm-tiny", ("bert", "latent_diffusion"), []),
        ("kolors-tiny", ("text_encoder", "kolors"), [(1, 4), (2, 4), (3, 4), (4, 4)]),
    ],
)
def test_a_picture_is_the_pipelines_own(
    opened: dict[str, LocalEngine], kind: str, own_part: tuple[str, str], told: list[tuple[int, int]]
) -> None:
    engine = opened[kind]
    facts = engine.facts
    assert index_of(Path(facts.folder))[own_part[0]][0] == own_part[1]
    assert facts.whole and facts.side == 64  # of IF, which has no latents, the side of its network
    pipeline = DiffusionPipeline.from_pretrained(facts.folder)
    pipeline.set_progress_bar_config(disable=True)
    recipe = facts.usual.replace(prompt="red apple", num_inference_steps=4, seed=3, guidance_scale=3.0)
    events = list(engine.run([recipe]))
    assert [(event.k, event.of) for event in events if isinstance(event, Step)] == told
    (done,) = (event.result for event in events if isinstance(event, Done))
    expected = called(pipeline, recipe, width=64, height=64)
    assert expected.std() > 3 and largest_difference(done, expected) == 0
    assert done.evaluations == 8 and engine.loop.seconds_per_evaluation > 0


def test_stop_ends_a_picture_where_it_calls_back_as_formerly(opened: dict[str, LocalEngine]) -> None:
    engine = opened["if-tiny"]
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=900)
    with closing(engine.run([recipe, recipe.replace(seed=2)])) as events:
        assert next(events).k == 1
    assert engine.render(recipe.replace(num_inference_steps=2)).evaluations == 4 and not engine.loop.requests[1:]


def test_of_a_tokenizer_that_does_not_say_where_it_cuts_nothing_is_said(opened: dict[str, LocalEngine]) -> None:
    for kind in ("if-tiny", "kolors-tiny"):
        assert not opened[kind].words("red apple").tokens and not opened[kind].words("a" * 2000).truncated
    assert len(opened["ldm-tiny"].words("red apple").tokens) == opened["ldm-tiny"].facts.tokens


def test_a_part_may_be_of_what_diffusers_ships_and_of_nothing_else() -> None:
    needed({"text_encoder": ["kolors", "ChatGLMModel"]}, [], "it")
    for name in ("kolors", "diffusers", "transformers"):  # which a file of that name would stand in for
        with pytest.raises(Refusal, match="^it needs code of its own for its text_encoder, which is not run here"):
            needed({"text_encoder": [name, "ChatGLMModel"]}, [f"text_encoder/{name}.py"], "it")
    for name in ("kolors.text_encoder", "../pipelines/kolors", "pipelines", "os", "pipeline_utils", "", "own"):
        with pytest.raises(Refusal, match="^it needs code of its own for its text_encoder, which is not run here"):
            needed({"text_encoder": [name, "ChatGLMModel"]}, [], "it")


@pytest.mark.parametrize(("kind", "part"), [("kolors-tiny", "text_encoder"), ("ldm-tiny", "bert")])
def test_weights_that_such_a_part_lacks_are_never_made_up(
    opened: dict[str, LocalEngine], kind: str, part: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(opened[kind].facts.folder, tmp_path / "half")
    file = next((folder / part).glob("*.safetensors"))
    save_file(dict(list(load_file(file).items())[1:]), file, metadata={"format": "pt"})
    with pytest.raises(Refusal, match=f"^half is no whole model: 1 weight of its {part} is missing, "):
        open_engine(folder, *CPU)


def test_a_package_that_a_part_needs_and_that_is_not_here_is_one_sentence(
    opened: dict[str, LocalEngine], tmp_path: Path
) -> None:
    """As a tokenizer does that cuts Japanese by fugashi."""
    folder = tmp_path / "japanese"
    shutil.copytree(opened["ldm-tiny"].facts.folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps(index | {"tokenizer": ["transformers", "BertJapaneseTokenizer"]})
    )
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"word_tokenizer_type": "mecab"}')
    (folder / "tokenizer" / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n")
    with pytest.raises(Refusal, match="^The model in japanese cannot be loaded: .*fugashi") as caught:
        open_engine(folder, *CPU)
    assert "\n" not in str(caught.value)
