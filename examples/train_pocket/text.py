"""Pocket's words: a CLIP tokenizer made from the names and keywords of all emoji, and the text encoder's shape.

    python -m examples.train_pocket.text      # writes playground/models/pocket/tokenizer, once

The vocabulary covers far more than the first weights were trained on (about 1,900 names, their keywords, colours,
styles, relations and numbers), so that later training can go on without new tokens.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .scenes.captions import WORDINGS
from .scenes.colours import BACKGROUNDS
from .scenes.sprites import NAMES_PACKAGE, npm_pack, packed_json
from .scenes.things import things

POCKET = Path(__file__).parents[2] / "playground" / "models" / "pocket"
VOCABULARY = 5000
LENGTH = 32  # tokens, start and end included
OTHER_WORDS = (
    "a an the of on in with and or to left right above below next between over under behind front "
    "one two three four five six many several small large big tiny style picture image photo drawing illustration "
    "3d render flat icon cartoon emoji pixel art ink outline sketch watercolor oil painting soft studio light "
    "dark bright shiny glossy matte plain simple detailed close up view centered background gray cyan magenta teal"
)


def corpus() -> list[str]:
    """Every name and keyword once, and the first weights' own words."""
    archive = npm_pack(NAMES_PACKAGE)
    (emoji,) = packed_json(archive, "en/data.json")
    archive.unlink()
    lines = [OTHER_WORDS, *BACKGROUNDS, *WORDINGS, *(name for _, name in things())]
    for entry in emoji:
        lines += [entry["label"], *entry.get("tags", [])]
    return lines


def make_tokenizer() -> CLIPTokenizer:
    """Train byte-pair merges the way CLIP's tokenizer splits text, so that CLIPTokenizer reads them."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    trained.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""), "removed", invert=True
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 256 - 2,  # room for the word-final form of every byte, which CLIP's vocabulary has
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    # common words weigh more than the rare ones, so that they are never cut
    trained.train_from_iterator([line for line in corpus() for _ in range(4)] + [OTHER_WORDS] * 50, trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = sorted(set(model["vocab"]) | {letter + "</w>" for letter in alphabet}, key=lambda w: (len(w), w))
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    merges = [tuple(m) for m in model["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """ids (B, 32) -> last_hidden_state (B, 32, 192)"""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=768,
            num_hidden_layers=3,
            num_attention_heads=3,
            max_position_embeddings=LENGTH,
            projection_dim=192,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]):
    """captions -> (B, 32) token ids, padded and cut as StableDiffusionPipeline does"""
    return tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


if __name__ == "__main__":
    made = make_tokenizer()
    made.save_pretrained(POCKET / "tokenizer")
    # The older two-file form too, which tools that do not read tokenizer.json expect.
    model = json.loads(made.backend_tokenizer.to_str())["model"]
    (POCKET / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    merges = "".join(f"{a} {b}\n" for a, b in model["merges"])
    (POCKET / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    again = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    print(len(again), again.tokenize("red apple, blue background"), again.tokenize("A cat & a Füchslein 日本 42"))
