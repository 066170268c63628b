"""Fit to the prompt for any model: CLIP's towers where its folder has both, and a sentence where it has not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from playground import Sweep
from playground.engine import LocalEngine
from playground.export.finished import FinishedGrid
from playground.lessons.expecting import main_axis
from playground.measure.adherence import Adherence
from playground.measure.clip_pair import ClipPair
from playground.measure.fit import NOBODY, brings, judge
from playground.measure.table import measured
from playground.models import REGISTERED
from playground.ui.compare.effects import said
from tests.export.conftest import drawn

SIDE, WIDTH = 32, 24
PROMPTS = ["red apple", "a cat", "red apple"]
RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 256, (h, 40, 3), np.uint8)) for h in (40, 64, 40)]


@pytest.fixture(scope="module")
def whole() -> CLIPModel:
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(REGISTERED["pocket"], subfolder="tokenizer")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length, **ids}
    config = CLIPConfig(
        text_config={**small, **text, "projection_dim": WIDTH},
        vision_config={**small, "image_size": SIDE, "patch_size": 8, "projection_dim": WIDTH},
        projection_dim=WIDTH,
    )
    return CLIPModel(config).eval()


@pytest.fixture
def folder(whole: CLIPModel, tmp_path: Path) -> Path:
    """Laid out as SDXL's: the second text encoder is the one with a projection."""
    text = CLIPTextModelWithProjection(whole.config.text_config)
    text.load_state_dict(whole.state_dict(), strict=False)
    vision = CLIPVisionModelWithProjection(whole.config.vision_config)
    vision.load_state_dict(whole.state_dict(), strict=False)
    text.save_pretrained(tmp_path / "text_encoder_2")
    vision.save_pretrained(tmp_path / "image_encoder")
    CLIPTokenizer.from_pretrained(REGISTERED["pocket"], subfolder="tokenizer").save_pretrained(tmp_path / "tokenizer_2")
    return tmp_path


def test_the_towers_of_a_folder_say_what_the_whole_clip_says(whole: CLIPModel, folder: Path) -> None:
    pair = judge(str(folder))
    assert isinstance(pair, ClipPair) and brings(str(folder))
    processor = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer_2")
    with torch.inference_mode():
        out = whole(
            pixel_values=processor(PICTURES, return_tensors="pt").pixel_values,
            **tokenizer(PROMPTS, padding="max_length", return_tensors="pt"),
        )
    expected = (out.image_embeds * out.text_embeds).sum(1)
    assert pair.scores(PICTURES, PROMPTS) == pytest.approx(expected.tolist(), abs=1e-5)
    assert np.ptp(expected.numpy()) > 1e-3  # so that the comparison can fail
    assert pair.scores([], []) == []


def test_towers_of_different_widths_or_alone_are_no_pair(folder: Path) -> None:
    config = folder / "image_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"projection_dim": WIDTH + 1}))
    assert ClipPair.load(folder) is None
    config.unlink()
    assert ClipPair.load(folder) is None
    (folder / "model.safetensors").touch()
    assert ClipPair.load(folder / "model.safetensors") is None and judge("") is None


def test_a_damaged_tower_is_no_tower(folder: Path) -> None:
    (folder / "image_encoder" / "model.safetensors").write_bytes(b"no weights")
    assert ClipPair.load(folder) is None


def test_a_model_without_towers_says_so_and_the_embedded_one_has_its_own(
    engine: LocalEngine, engines: dict[str, LocalEngine]
) -> None:
    other = engines["sd15-tiny"]
    assert isinstance(judge(engine.facts.folder), Adherence)
    assert brings(engine.facts.folder) and not brings(other.facts.folder) and not brings("")
    sweep = Sweep(other.facts.usual.replace(num_inference_steps=2), {"seed": [1, 2]})
    grid = FinishedGrid(sweep, drawn(other, sweep.recipes()), lambda _: other.facts)
    table = measured(grid)
    assert "fit" not in table and "saturation" in table
    assert NOBODY.split(":")[0] in said(table, main_axis(grid.axes))
