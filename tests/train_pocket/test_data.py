"""What Pocket is trained on: table, hues, captions, and what is held out. Needs no sprites and no network."""

import itertools
import json
import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from transformers import CLIPTokenizer

from examples.train_pocket.data import held_out_lines
from examples.train_pocket.scenes.captions import RELATION_WORDS, STYLE_WORDS, caption, with_article
from examples.train_pocket.scenes.colours import (
    BACKGROUNDS,
    HUES,
    area_mean,
    colour_of,
    hue_weights,
    lab,
    nearest_colour,
    recoloured,
    rgb_from_lab,
    turns_truly,
)
from examples.train_pocket.scenes.plurals import plural
from examples.train_pocket.scenes.scene import SIZE, Part, Scene, as_dict, compose, draw, from_dict
from examples.train_pocket.scenes.sprites import base_and_tone, plain
from examples.train_pocket.scenes.stream import KIND_SHARES, Scenes
from examples.train_pocket.scenes.things import COMMON, HERE, STYLES, table, things
from examples.train_pocket.scenes.typed import typed
from playground.models import REGISTERED

ROWS = {thing.name: i for i, thing in enumerate(table())}


class Discs:
    """Stands in for the stored sprites: a shaded disc of one colour, with a small green leaf."""

    def __init__(self, colour: tuple[int, int, int] = (214, 48, 49)) -> None:
        y, x = np.mgrid[-1:1:160j, -1:1:160j]
        self.picture = np.zeros((160, 160, 4), np.uint8)
        self.picture[..., :3] = np.array(colour) * (0.85 + 0.15 * x[..., None])
        self.picture[..., 3] = 255 * (x**2 + y**2 < 1)
        self.picture[5:30, 70:90, :3] = (60, 170, 80)

    def of(self, thing: int, style: str = "3d", tone: str | None = None) -> np.ndarray:
        return self.picture


@pytest.fixture(scope="module")
def many() -> list[tuple[Scene, str]]:
    return list(itertools.islice(Scenes(3), 20_000))


def test_the_first_492_names_stay_first_and_all_names_differ() -> None:
    assert things()[0] == ("1f600", "grinning face") and things()[-1] == ("1f7ea", "purple square")
    assert len(things()) == COMMON == 492 and len(table()) > 1200
    assert len(ROWS) == len(table()) and len({plain(thing.code) for thing in table()}) == len(table())


def test_every_thing_has_a_style_and_no_synonym_names_another_thing() -> None:
    for thing in table():
        assert thing.styles and set(thing.styles) <= set(STYLES), thing
        assert set(thing.colours) | set(thing.turnable) | set(thing.toned) <= set(thing.styles), thing
        assert not set(thing.synonyms) & set(ROWS), thing


def test_the_held_out_file_says_what_the_rule_says() -> None:
    assert (HERE / "held_out.tsv").read_text(encoding="utf-8").splitlines() == held_out_lines()


def test_a_tenth_is_held_out_and_a_twentieth_of_the_styles() -> None:
    kinds = [line.split("\t") for line in held_out_lines()]
    count = Counter({kind: sum(len(v.split(";")) for k, _, v in kinds if k == kind) for kind, *_ in kinds})
    assert count["background"] / (len(table()) * len(BACKGROUNDS)) == pytest.approx(0.1, abs=0.01)
    possible = sum(len({h for s in t.turnable for h in t.hues(s) if h != t.colours.get(s)}) for t in table())
    assert count["hue"] / possible == pytest.approx(0.1, abs=0.02)
    assert count["pair"] / (COMMON * (COMMON - 1) / 2) == pytest.approx(0.1, abs=0.01)
    assert count["style"] / len(table()) == pytest.approx(0.05, abs=0.02)


def test_no_training_scene_shows_a_held_out_combination(many: list[tuple[Scene, str]]) -> None:
    forbidden = {
        (kind, name, value)
        for kind, name, values in (line.split("\t") for line in (HERE / "held_out.tsv").read_text().splitlines())
        for value in values.split(";")
    }
    for scene, _ in many:
        shown = [table()[part.thing] for part in scene.parts]
        for thing, part in zip(shown, scene.parts, strict=True):
            assert ("background", thing.name, scene.background) not in forbidden
            assert ("style", thing.name, part.style) not in forbidden
            assert part.hue in (None, thing.colours.get(part.style)) or ("hue", thing.name, part.hue) not in forbidden
        for one, other in itertools.permutations({thing.name for thing in shown}, 2):
            assert ("pair", one, other) not in forbidden


def test_the_same_seed_gives_the_same_scenes_and_captions(many: list[tuple[Scene, str]]) -> None:
    assert list(itertools.islice(Scenes(3), 50)) == many[:50] != list(itertools.islice(Scenes(4), 50))


def test_kinds_and_styles_come_in_their_shares(many: list[tuple[Scene, str]]) -> None:
    kinds = Counter(scene.kind for scene, _ in many)
    assert kinds["single"] / len(many) == pytest.approx(KIND_SHARES["common"] + KIND_SHARES["single"], abs=0.02)
    for kind in ("recoloured", "relation", "count", "coloured", "several"):
        assert kinds[kind] / len(many) == pytest.approx(KIND_SHARES[kind], abs=0.02)
    assert {part.style for scene, _ in many for part in scene.parts} == set(STYLES)
    assert {part.tone for scene, _ in many for part in scene.parts} == {None, "light", "medium", "dark"}


def test_parts_lie_inside_the_picture_and_never_touch(many: list[tuple[Scene, str]]) -> None:
    for scene, _ in many:
        boxes = []
        for part in scene.parts:
            top, left = part.y - (part.side + 1) // 2, part.x - (part.side + 1) // 2
            assert 0 <= min(top, left) and max(top, left) + part.side <= SIZE, scene
            boxes.append((left, top, left + part.side, top + part.side))
        for a, b in itertools.combinations(boxes, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], scene


def test_what_points_left_is_never_mirrored(many: list[tuple[Scene, str]]) -> None:
    pointing = [part for scene, _ in many for part in scene.parts if "left" in table()[part.thing].name]
    assert pointing and not any(part.mirrored for part in pointing)


def test_parts_stand_where_the_relation_says(many: list[tuple[Scene, str]]) -> None:
    for scene, _ in many:
        if scene.relation:
            first, second = scene.parts
            right, down = first.x - second.x, first.y - second.y
            where = {"left": -right, "right": right, "above": -down, "below": down}
            assert where[scene.relation] > 40 and where[scene.relation] == max(where.values()), scene


def test_captions_say_the_background_the_hues_and_every_style_but_3d(many: list[tuple[Scene, str]]) -> None:
    unsaid = 0
    for scene, words in many:
        style = scene.parts[0].style
        assert style == "3d" or STYLE_WORDS[style] in words
        assert not any(word in words.split(",")[0] for s, word in STYLE_WORDS.items() if s != style and s != "cartoon")
        assert all(part.hue is None or part.hue in words for part in scene.parts)
        unsaid += scene.background not in words
    assert 0.14 < unsaid / len(many) < 0.24


def test_captions_fit_into_32_tokens_of_the_fixed_vocabulary(many: list[tuple[Scene, str]]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(REGISTERED["pocket"] / "tokenizer")
    assert len(tokenizer) == 4939
    lengths = [len(ids) for ids in tokenizer([words for _, words in many]).input_ids]
    assert max(lengths) <= 32


def test_one_scene_is_worded_in_many_ways_the_taught_one_first() -> None:
    scene = Scene("single", "blue", (Part(ROWS["red apple"], 100, 64, 64),))
    words = Counter(caption(random.Random(seed), scene) for seed in range(400))
    assert words.most_common(1)[0][0] == "red apple, blue background"
    assert {"a red apple on a blue background", "red apple", "blue background, red apple"} <= set(words)


def test_what_is_composed_is_mostly_common_things_in_3d(many: list[tuple[Scene, str]]) -> None:
    pairs = [part for scene, _ in many if scene.kind == "relation" for part in scene.parts]
    assert sum(part.style == "3d" and part.thing < COMMON for part in pairs) / len(pairs) > 0.6
    singles = [scene.parts[0] for scene, _ in many if scene.kind == "single"]
    assert sum(part.style != "3d" or part.thing >= COMMON for part in singles) / len(singles) > 0.5


def test_a_third_of_the_relations_is_left_unsaid(many: list[tuple[Scene, str]]) -> None:
    words = [text for scene, text in many if scene.kind == "relation"]
    said = [any(f" {phrase} " in text for phrases in RELATION_WORDS.values() for phrase in phrases) for text in words]
    assert 0.28 < 1 - sum(said) / len(said) < 0.38


def test_several_things_differ_and_are_all_named(many: list[tuple[Scene, str]]) -> None:
    groups = [(scene, words) for scene, words in many if scene.kind == "several"]
    assert {len(scene.parts) for scene, _ in groups} == {3, 4}
    for scene, words in groups:
        things = [table()[part.thing] for part in scene.parts]
        assert len({t.name for t in things}) == len(things) and words.count(",") >= len(things) - 2
        assert all(any(name in words for name in (t.noun, *t.synonyms)) for t in things), (words, scene)


def test_captions_claim_no_background_and_no_hue_that_is_not_there(many: list[tuple[Scene, str]]) -> None:
    for scene, words in many:
        true = {scene.background, *(part.hue for part in scene.parts)}
        true |= {word for part in scene.parts for name in names_of(part.thing) for word in name.split()}
        assert {word.strip(",") for word in words.split()} & set(BACKGROUNDS) <= true, (words, scene)


def names_of(row: int) -> tuple[str, ...]:
    thing = table()[row]
    return thing.name, thing.plural, *thing.synonyms


def test_people_type_requests_and_words_that_the_model_does_not_know() -> None:
    scene = Scene("single", "blue", (Part(ROWS["dog"], 100, 64, 64),))
    words = {caption(random.Random(seed), scene) for seed in range(9000)}
    assert {"draw me a dog", "a photo of a dog", "dog please"} <= words
    assert any("my dog on" in text for text in words) and any(re.match("a?n? ?cute dog", text) for text in words)
    known = json.loads((REGISTERED["pocket"] / "tokenizer" / "vocab.json").read_text())
    unknown = [text for text in words if any(f"{word}</w>" not in known for word in re.findall("[a-z]+", text))]
    assert 0.05 < len(unknown) / len(words)
    plain = typed(random.Random(0), "two dogs", "two dogs", "blue", None, False)
    assert "two dogs" in plain


def test_a_relation_may_be_told_from_either_side() -> None:
    parts = (Part(ROWS["cat"], 50, 32, 64), Part(ROWS["car"], 50, 96, 64))
    scene = Scene("relation", "pink", parts, "left")
    words = {caption(random.Random(seed), scene) for seed in range(300)}
    assert {"cat to the left of car, pink background", "car to the right of cat, pink background"} <= words
    assert not any("cat right of" in text or "cat to the right" in text for text in words)
    assert {"cat and car, pink background", "car and cat, pink background"} <= words


def test_colours_go_before_the_noun() -> None:
    parts = (Part(ROWS["red apple"], 50, 32, 64, hue="green"), Part(ROWS["hamburger"], 50, 96, 64, hue="blue"))
    words = {caption(random.Random(seed), Scene("coloured", "grey", parts)) for seed in range(300)}
    assert "green apple and blue hamburger, grey background" in words
    assert "a blue hamburger and a green apple on a grey background" in words


def test_no_thing_is_turned_into_another_things_name() -> None:
    assert not [h for t in table() for s in t.turnable for h in t.hues(s) if f"{h} {t.noun}" in set(ROWS) - {t.name}]


@pytest.mark.parametrize(
    ("name", "many_of_it"),
    [
        ("banana", "bananas"), ("cherry blossom", "cherry blossoms"), ("mouse", "mice"), ("tooth", "teeth"),
        ("cup of coffee", "cups of coffee"), ("heart with arrow", "hearts with arrow"), ("peach", "peaches"),
        ("strawberry", "strawberries"), ("monkey covering eyes", "monkeys covering eyes"), ("fish", "fish"),
        ("woman pilot", "women pilots"), ("man running", "men running"), ("kitchen knife", "kitchen knives"),
        ("key", "keys"), ("maple leaf", "maple leaves"), ("octopus", "octopuses"), ("watch", "watches"),
        ("grapes", None), ("scissors", None), ("bread", None), ("fork and knife", None), ("bowling", None),
    ],
)  # fmt: skip
def test_plurals(name: str, many_of_it: str | None) -> None:
    assert plural(name) == many_of_it


def test_the_table_has_the_plurals_of_the_rule() -> None:
    assert [t.plural for t in table()] == [plural(t.name) or "" for t in table()]


def test_articles() -> None:
    phrases = ("apple", "unicorn", "hourglass", "blue car", "x-ray", "ufo", "orange umbrella")
    assert [with_article(p).split()[0] for p in phrases] == ["an", "a", "an", "a", "an", "a", "an"]


def test_lab_and_back() -> None:
    colours = np.array(list(BACKGROUNDS.values()))
    assert np.abs(rgb_from_lab(lab(colours)).astype(int) - colours).max() <= 1
    assert lab((255, 255, 255)) == pytest.approx([100, 0, 0], abs=0.1)


@pytest.mark.parametrize("hue", HUES)
def test_a_turned_sprite_has_the_colour_its_caption_says(hue: str) -> None:
    sprite = Discs().of(0)
    assert colour_of(sprite) == "red" and turns_truly(sprite)
    turned = recoloured(sprite, hue)
    visible = sprite[..., 3] > 128
    weights = hue_weights(lab(sprite[..., :3]), visible) * visible
    assert nearest_colour(area_mean(lab(turned[..., :3]), weights)) == hue
    assert np.abs(turned[10:25, 75:85, :3].astype(int) - (60, 170, 80)).max() <= 2  # the leaf stays
    assert np.array_equal(turned[..., 3], sprite[..., 3])


def test_a_sprite_of_two_hues_is_not_turned() -> None:
    sprite = Discs().of(0).copy()
    sprite[:, :80, :3] = (50, 110, 220)
    assert colour_of(sprite) is None and not turns_truly(sprite)


def test_drawing_is_a_function_of_the_scene() -> None:
    scene = Scene("recoloured", "white", (Part(ROWS["hamburger"], 100, 64, 64, hue="blue"),))
    picture = draw(scene, Discs())
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture, draw(from_dict(as_dict(scene)), Discs()))
    assert tuple(picture[2, 2]) == BACKGROUNDS["white"] and nearest_colour(lab(picture[80, 64])) == "blue"
    other = replace(scene.parts[0], x=60)
    assert not np.array_equal(picture, compose("white", [(Discs().picture, other)]))


def test_codes_of_the_sets_meet() -> None:
    assert plain("2764-FE0F") == plain("2764") == "2764"
    assert base_and_tone("1f44b-1f3ff") == ("1f44b", "dark")
    assert base_and_tone("1f3f3-fe0f-200d-1f308") == ("1f3f3-fe0f-200d-1f308", None)
    assert base_and_tone("1faf1-1f3fb-200d-1faf2-1f3ff") is None
