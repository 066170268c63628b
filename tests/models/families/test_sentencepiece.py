"""T5's tokenizer as PixArt and Kolors are published with it: a sentencepiece model, and no tokenizer.json."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import torch
from diffusers import PixArtSigmaPipeline

from playground import open_engine
from tests import schedulers
from tests.reference import TOLERANCE, called, largest_difference

TEXTS = ["red apple, blue background", "a cat on a boat", "green tree by the lake", "two dogs and a yellow hat"]


def test_its_words_are_cut_as_sentencepiece_does_and_it_draws(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("pixart-sigma-tiny"), tmp_path / "published")
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=40, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer" / "spiece.model").write_bytes(model.getvalue())
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": 300, "extra_ids": 0}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(settings))

    engine = open_engine(folder, torch.device("cpu"), torch.float32)
    try:
        own = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).encode("two red cats")
        assert [t.id for t in engine.words("two red cats").tokens if t.kind == "text"] == own
        recipe = engine.facts.usual.replace(prompt="two red cats", num_inference_steps=2, width=64, height=64)
        pipeline = PixArtSigmaPipeline.from_pretrained(folder)
        pipeline.set_progress_bar_config(disable=True)
        schedulers.use(pipeline, recipe)
        size = {"width": 64, "height": 64, "use_resolution_binning": False, "clean_caption": False}
        assert largest_difference(engine.render(recipe), called(pipeline, recipe, **size)) <= TOLERANCE
    finally:
        engine.close()
