"""The contrastive towers: what they ship as, that they tell right prompts from wrong ones, and how they are taught."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer, ResNetModel

from examples.train_pocket.clip import contrastive_loss, text_stamp
from examples.train_pocket.scenes.captions import caption
from examples.train_pocket.scenes.near_misses import CHANGES, WEIGHTS, meaning, true_and_nearly
from examples.train_pocket.scenes.scene import Part, Scene
from examples.train_pocket.scenes.stream import Scenes
from examples.train_pocket.scenes.things import table
from examples.train_pocket.scenes.token_labels import labels
from playground import Recipe
from playground.engine import Done, LocalEngine
from playground.measure.adherence import FOLDER, HEADS_FILE, Adherence
from playground.models import REGISTERED

POCKET = REGISTERED["pocket"]
ROWS = {thing.name: i for i, thing in enumerate(table())}
PROMPTS = [
    "red apple, blue background",
    "cat, yellow background",
    "car, grey background",
    "banana, purple background",
    "sunflower, white background",
    "guitar, green background",
    "house, pink background",
    "octopus, orange background",
    "hamburger, black background",
    "umbrella, brown background",
    "rocket, red background",
    "owl, blue background",
]


@pytest.fixture(scope="module")
def towers() -> Adherence:
    loaded = Adherence.load(POCKET)
    assert loaded is not None
    return loaded


@pytest.fixture(scope="module")
def drawn(engine: LocalEngine) -> list[Image.Image]:
    """One picture of each prompt, by the engine."""
    recipes = [Recipe(prompt=p, seed=7, num_inference_steps=12) for p in PROMPTS]
    done = {e.cell: e.result.image for e in engine.run(recipes, previews=False) if isinstance(e, Done)}
    return [done[i] for i in range(len(PROMPTS))]


def test_a_drawn_picture_fits_its_own_prompt_better_than_the_others(
    towers: Adherence, drawn: list[Image.Image]
) -> None:
    cosines = towers.image_features(drawn) @ towers.text_features(PROMPTS).T
    assert (cosines.argmax(1) == torch.arange(len(PROMPTS))).sum() >= 9


def test_another_background_in_the_prompt_scores_lower(towers: Adherence, drawn: list[Image.Image]) -> None:
    backgrounds = [prompt.split(", ")[1] for prompt in PROMPTS]
    wrong = [f"{p.split(', ')[0]}, {b}" for p, b in zip(PROMPTS, backgrounds[1:] + ["grey background"], strict=True)]
    pairs = zip(towers.scores(drawn, PROMPTS), towers.scores(drawn, wrong), strict=True)
    assert sum(right > other for right, other in pairs) >= 10


def test_a_score_is_the_cosine_that_transformers_and_numpy_find(towers: Adherence, drawn: list[Image.Image]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(POCKET / "text_encoder").eval()
    image_encoder = ResNetModel.from_pretrained(POCKET / FOLDER).eval()
    projection, scores = load_file(POCKET / FOLDER / HEADS_FILE)["image.projection.weight"].double().numpy(), []
    for picture, prompt in zip(drawn, PROMPTS, strict=True):
        tokens = tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt").input_ids  # all 32
        length = len(tokenizer(prompt).input_ids)
        pixels = np.asarray(picture.resize((96, 96), Image.Resampling.BICUBIC), np.float32) / 127.5 - 1
        with torch.inference_mode():
            text = towers.text_head(text_encoder(tokens)[0][:, :length], torch.ones(1, length, dtype=torch.bool))
            image = image_encoder(torch.from_numpy(pixels.transpose(2, 0, 1))[None])[0]
        a, b = text[0].double().numpy(), projection @ image[0].double().numpy().reshape(-1)
        scores.append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert towers.scores(drawn, PROMPTS) == pytest.approx(scores, abs=1e-4)


def test_scores_do_not_depend_on_what_else_is_scored(towers: Adherence, drawn: list[Image.Image]) -> None:
    together = towers.scores(drawn * 3, PROMPTS * 3)  # more than one batch
    assert together[:12] == pytest.approx(towers.scores(drawn, PROMPTS), abs=1e-5)
    alone = [towers.scores([d], [p])[0] for d, p in zip(drawn, PROMPTS, strict=True)]
    assert together[-12:] == pytest.approx(alone, abs=1e-5)
    assert towers.scores([], []) == []


@pytest.mark.parametrize("prompt", ["", "apple " * 100, "日本 <b>{{7*7}}</b>", "x"])
def test_any_prompt_has_a_score(towers: Adherence, drawn: list[Image.Image], prompt: str) -> None:
    (score,) = towers.scores(drawn[:1], [prompt])
    assert -1 <= score <= 1


def test_words_beyond_the_limit_change_nothing(towers: Adherence, drawn: list[Image.Image]) -> None:
    long = "apple " * 40
    assert towers.scores(drawn[:1], [long]) == pytest.approx(towers.scores(drawn[:1], [long + "car"]), abs=1e-6)


def test_as_many_prompts_as_pictures_are_wanted(towers: Adherence, drawn: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="prompts must be as many as pictures, 1, not 2."):
        towers.scores(drawn[:1], ["cat", "dog"])
    with pytest.raises(ValueError, match="prompts must"):
        towers.probabilities(drawn[0], [])


def test_pictures_of_any_size_and_mode_can_be_scored(towers: Adherence) -> None:
    picture = Image.open(Path(__file__).parents[2] / "examples" / "images" / "flower.webp")
    odd = [picture, picture.convert("L"), picture.convert("RGBA").resize((64, 200))]
    assert towers.image_features(odd).norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_probabilities_share_one_between_the_alternatives(towers: Adherence, drawn: list[Image.Image]) -> None:
    shares = towers.probabilities(drawn[0], PROMPTS)
    cosines = towers.scores(drawn[:1] * len(PROMPTS), PROMPTS)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert np.argsort(shares).tolist() == np.argsort(cosines).tolist()
    logs = np.log(shares[0] / shares[1]) * towers.temperature
    assert logs == pytest.approx(cosines[0] - cosines[1], abs=1e-4)


def test_a_model_without_towers_has_no_score(tmp_path: Path) -> None:
    assert Adherence.load(tmp_path) is None


def test_the_towers_are_small_half_precision_files() -> None:
    files = [path for path in (POCKET / FOLDER).rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"config.json", "model.safetensors", HEADS_FILE}
    assert sum(path.stat().st_size for path in files) <= 5e6
    for path in files:
        if path.suffix == ".safetensors":
            assert {v.dtype for v in load_file(path).values() if v.is_floating_point()} == {torch.float16}


def test_the_pipeline_takes_no_notice_of_them() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    assert pipeline.image_encoder is None
    assert FOLDER not in json.loads((POCKET / "model_index.json").read_text())


def test_they_were_aligned_with_the_shipped_text_encoder() -> None:
    report = json.loads((POCKET / "adherence.json").read_text())
    assert report["text_encoder"] == text_stamp(CLIPTextModel.from_pretrained(POCKET / "text_encoder"))


# How they are taught


def scene(kind: str, *parts: Part, relation: str | None = None) -> Scene:
    return Scene(kind, "blue", parts, relation)


APPLE, HAT = (Part(ROWS[name], 50, 40, 40, style="flat") for name in ("red apple", "top hat"))


@pytest.mark.parametrize("kind", WEIGHTS)
def test_near_misses_are_worded_like_the_caption_and_mean_something_else(kind: str) -> None:
    rng = random.Random(3)
    met = set()
    for (shown, _), _ in zip(Scenes(4, {kind: 1.0}), range(60), strict=False):
        true, wrong = true_and_nearly(rng, shown, 4)
        met |= {change for change, _ in wrong}
        assert len(wrong) >= 3 and true not in [text for _, text in wrong]
        for change, text in wrong:
            if change in ("background", "relation", "count", "hue"):
                assert len(set(true.split()) ^ set(text.split())) <= 6, (true, text)
    assert met == set(WEIGHTS[kind])


def test_each_change_changes_what_it_says() -> None:
    rng = random.Random(0)
    two = scene("relation", APPLE, HAT, relation="left")
    assert CHANGES["relation"](rng, two).relation != "left" and CHANGES["count"](rng, two) is None
    assert CHANGES["background"](rng, two).background != "blue"
    three = scene("count", APPLE, APPLE, APPLE)
    assert len(CHANGES["count"](rng, three).parts) in (2, 4)
    hued = scene("coloured", *(Part(p.thing, 50, 40, 40, hue=h) for p, h in ((APPLE, "green"), (HAT, "pink"))))
    assert [part.hue for part in CHANGES["exchanged hues"](rng, hued).parts] == ["pink", "green"]
    assert "top hat" in caption(rng, hued)


def test_captions_that_are_true_of_two_scenes_count_as_the_same() -> None:
    two = scene("relation", APPLE, HAT, relation="left")
    assert meaning(two) == meaning(scene("relation", HAT, APPLE, relation="right"))
    assert meaning(two) != meaning(scene("relation", APPLE, HAT, relation="right"))
    assert meaning(scene("count", APPLE, APPLE)) != meaning(scene("count", APPLE, APPLE, APPLE))
    assert meaning(scene("coloured", APPLE, HAT)) == meaning(scene("coloured", HAT, APPLE))


def test_cells_are_labelled_with_the_thing_at_their_place() -> None:
    small = Part(ROWS["red apple"], 50, 30, 98, hue="green")  # left and low: row 4, column 1 of six
    found = labels([scene("single", Part(ROWS["top hat"], 100, 64, 64)), scene("recoloured", small)], 6)
    of_second = found[found[:, 0] == 1]
    assert (4 * 6 + 1) in of_second[:, 1].tolist()
    assert set(of_second[:, 2].tolist()) == {ROWS["red apple"]} and 0 not in of_second[:, 3]
    of_first = found[found[:, 0] == 0]
    assert {2 * 6 + 2, 2 * 6 + 3, 3 * 6 + 2, 3 * 6 + 3} <= set(of_first[:, 1].tolist()) and not of_first[:, 3].any()


def test_the_loss_is_clips_and_true_captions_of_others_do_not_count() -> None:
    torch.manual_seed(0)
    logits, none = torch.randn(4, 7), torch.zeros(4, 7, dtype=torch.bool)
    rows = [-float(np.log(np.exp(r[i]) / np.exp(r).sum())) for i, r in enumerate(logits.numpy())]
    columns = [-float(np.log(np.exp(c[i]) / np.exp(c).sum())) for i, c in enumerate(logits.numpy()[:, :4].T)]
    assert contrastive_loss(logits, none).item() == pytest.approx((np.mean(rows) + np.mean(columns)) / 2, abs=1e-5)
    also = none.clone()
    also[0, 1] = True
    high = logits.clone()
    high[0, 1] = 50.0
    assert contrastive_loss(high, also).item() == pytest.approx(contrastive_loss(logits, also).item(), abs=1e-5)
