"""How Pocket is scored: the prompts, what counts as right, the measures, and that the card says what was measured."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPTokenizer

from examples.train_pocket import card, strips
from examples.train_pocket.scenes.colours import BACKGROUNDS
from examples.train_pocket.scenes.scene import as_dict
from examples.train_pocket.scenes.things import COMMON, HERE, table
from examples.train_pocket.scoring.detector import Found
from examples.train_pocket.scoring.drawn import Drawings
from examples.train_pocket.scoring.measures import background_of, clipped, frechet, saturation, spread
from examples.train_pocket.scoring.pocket_eval import TASKS, Asked, Score, prompts, relations, scene_of, score, summary
from playground import Recipe, Sweep
from playground.engine import LocalEngine
from playground.models import REGISTERED
from playground.samplers import SAMPLERS
from playground.store import Store

POCKET = REGISTERED["pocket"]
HELD_OUT = [task for task in TASKS if task != "typed"]  # what people type asks for nothing in particular
ROWS = {thing.name: i for i, thing in enumerate(table())}


def seen(name: str, colour: str = "red", x: float = 64, y: float = 64, side: float = 50) -> Found:
    """What the judge might see: one thing, with four further guesses of its name."""
    return Found((name, "cat", "dog", "car", "star"), (0.8, 0.1, 0.05, 0.03, 0.02), colour, x, y, side)


def asked(task: str, *names: str, **more) -> Asked:  # noqa: ANN003
    return Asked(task, "", "blue", tuple(ROWS[name] for name in names), **more)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_hundred_different_prompts_the_same_on_every_call(task: str) -> None:
    listed = prompts(task)
    assert len({a.prompt for a in listed}) == len(listed) >= 100
    assert listed == prompts(task) and listed[:8] == prompts(task, 8)[:8]


@pytest.mark.parametrize("task", HELD_OUT)
def test_every_prompt_asks_for_a_combination_that_the_committed_file_holds_out(task: str) -> None:
    forbidden = {
        (kind, name, value)
        for kind, name, values in (line.split("\t") for line in (HERE / "held_out.tsv").read_text().splitlines())
        for value in values.split(";")
    }
    for one in prompts(task):
        names = [table()[row].name for row in one.things]
        if len(names) == 2:
            assert {("pair", *names), ("pair", *names[::-1])} & forbidden, one
        elif one.hues:
            assert ("hue", names[0], one.hues[0]) in forbidden, one
        else:
            assert ("background", names[0], one.background) in forbidden, one


def test_prompts_say_what_is_asked_in_words_that_the_model_knows() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    for task in HELD_OUT:
        for one in prompts(task):
            assert f", {one.background} background" in one.prompt
            assert all(hue in one.prompt for hue in one.hues)
            assert all(table()[row].noun in one.prompt for row in one.things) or one.number > 1
            assert len(tokenizer(one.prompt).input_ids) <= 32
    assert {one.number for one in prompts("counting")} == {2, 3, 4}
    assert {one.relation for one in prompts("position")} == {"left", "right", "above", "below"}
    assert {one.style for one in prompts("any_single")} == {"3d", "flat", "cartoon", "sticker"}
    assert all(row < COMMON for task in HELD_OUT if task != "any_single" for one in prompts(task) for row in one.things)


def test_a_true_scene_of_a_prompt_shows_what_is_asked() -> None:
    rng = random.Random(1)
    for task in TASKS:
        for one in prompts(task)[:20]:
            scene = scene_of(one, rng)
            shown = Counter(part.thing for part in scene.parts)
            assert scene.background == one.background or not one.background
            assert {part.style for part in scene.parts} == {one.style}
            assert shown == Counter({row: one.number for row in one.things})
            assert tuple(part.hue for part in scene.parts if part.hue) == one.hues
            as_found = [seen(table()[p.thing].name, p.hue or "red", p.x, p.y, p.side) for p in scene.parts]
            assert score(one, as_found) == Score(True, True), (one, as_dict(scene))


def test_a_single_thing_is_right_when_it_is_named_first_and_partly_among_the_first_five() -> None:
    wanted = asked("single", "dog")
    assert score(wanted, [seen("dog")]) == Score(True, True)
    assert score(wanted, [seen("banana")]) == Score(False, True)  # "dog" is its third guess
    assert score(asked("single", "rocket"), [seen("banana")]) == Score(False, False)
    assert score(wanted, []) == Score(False, False)


def test_two_things_must_both_be_there() -> None:
    wanted = asked("two", "rocket", "banana")
    assert score(wanted, [seen("banana"), seen("rocket")]) == Score(True, True)
    assert score(wanted, [seen("rocket"), seen("rocket")]) == Score(False, True)
    assert score(wanted, [seen("guitar")]) == Score(False, False)


def test_counting_wants_exactly_so_many() -> None:
    wanted = asked("counting", "banana", number=3)
    assert score(wanted, [seen("banana")] * 3) == Score(True, True)
    assert score(wanted, [seen("banana")] * 4) == Score(False, False)
    assert score(wanted, [seen("banana")] * 2 + [seen("rocket")]) == Score(False, True)


def test_a_hue_must_be_on_the_thing_itself_and_its_own_colour_is_not_part_of_its_name() -> None:
    wanted = asked("colours", "red apple", hues=("purple",))
    assert score(wanted, [seen("red apple", "purple")]) == Score(True, True)
    assert score(wanted, [seen("green apple", "purple")]) == Score(True, True)
    assert score(wanted, [seen("red apple", "red"), seen("rocket", "purple")]) == Score(False, True)
    assert score(wanted, [seen("rocket", "purple")]) == Score(False, False)


def test_binding_wants_each_hue_on_its_own_thing() -> None:
    wanted = asked("binding", "rocket", "banana", hues=("green", "blue"))
    assert score(wanted, [seen("rocket", "green"), seen("banana", "blue")]) == Score(True, True)
    assert score(wanted, [seen("rocket", "blue"), seen("banana", "green")]) == Score(False, True)
    assert score(wanted, [seen("rocket", "green"), seen("rocket", "blue")]) == Score(False, False)


def test_position_is_seen_from_the_second_thing() -> None:
    left, right = seen("cat", x=30), seen("rocket", x=98)
    assert score(asked("position", "cat", "rocket", relation="left"), [left, right]) == Score(True, True)
    assert score(asked("position", "rocket", "cat", relation="left"), [left, right]) == Score(False, True)
    assert score(asked("position", "cat", "rocket", relation="left"), [left]) == Score(False, False)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [(-60, 0, {"left"}), (60, 5, {"right"}), (3, -60, {"above"}), (0, 60, {"below"}), (-50, -50, {"left", "above"}),
     (4, 4, set()), (0, 0, set())],
)  # fmt: skip
def test_relations_follow_genevals_rule(x: float, y: float, told: set[str]) -> None:
    assert relations(seen("cat", x=64 + x, y=64 + y), seen("dog")) == told


def test_two_hundred_prompts_are_as_people_type_and_most_say_no_background() -> None:
    listed = prompts("typed")
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    assert len(listed) == 200 and sum(not one.background for one in listed) > 150
    assert max(len(tokenizer(one.prompt).input_ids) for one in listed) <= 32
    for one in listed:
        assert one.background in one.prompt and (one.hues == () or len(one.hues) == len(one.things))
        assert all(hue in one.prompt for hue in one.hues if hue)


def test_what_is_typed_is_right_by_its_noun_with_all_that_is_said() -> None:
    assert score(asked("typed", "red apple"), [seen("green apple")]) == Score(True, True)
    assert score(asked("typed", "cat", number=2), [seen("cat")]) == Score(False, True)
    both = asked("typed", "cat", "car", hues=(None, "red"))
    assert score(both, [seen("cat", "blue"), seen("car", "red")]) == Score(True, True)
    assert score(both, [seen("cat", "red"), seen("car", "blue")]) == Score(False, True)
    assert score(asked("typed", "cat", "dog"), [seen("cat")]) == Score(False, False)


def test_the_summary_counts_pictures_and_gives_the_error_over_prompts() -> None:
    yes, no = Score(True, True), Score(False, True)
    found = summary([[yes, yes], [yes, no], [no, no]])
    assert found["prompts"] == 3 and found["pictures"] == 6 and found["right"] == 0.5 and found["partly"] == 1
    assert found["error"] == pytest.approx(0.5 / 3**0.5, abs=1e-4)  # the three means 1, ½, 0 deviate by ½


def picture_of(*squares: tuple[int, int, int, tuple[int, int, int]], ground: str = "white") -> Image.Image:
    picture = Image.new("RGB", (128, 128), BACKGROUNDS[ground])
    for x, y, side, colour in squares:
        picture.paste(colour, (x - side // 2, y - side // 2, x + side // 2, y + side // 2))
    return picture


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_background_is_read_from_the_border(name: str) -> None:
    assert background_of(picture_of((64, 64, 100, (9, 200, 90)), ground=name)) == name


def test_saturation_and_clipping() -> None:
    assert saturation(Image.new("RGB", (8, 8), (255, 0, 0))) == 1 and saturation(Image.new("RGB", (8, 8), "grey")) == 0
    half = picture_of((64, 64, 64, (255, 10, 10)), ground="grey")
    assert clipped(half) == 0.25 and clipped(Image.new("RGB", (8, 8), (1, 254, 9))) == 0


def test_spread_is_the_mean_distance_of_all_pairs() -> None:
    assert spread(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3)


def test_the_frechet_distance_of_independent_columns_is_the_sum_over_them() -> None:
    """For diagonal covariances it is Σ (μ₁ − μ₂)² + (σ₁ − σ₂)²; the columns are made exactly uncorrelated."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.c_[np.ones(200), rng.normal(size=(200, 3))])[0][:, 1:] * 199**0.5  # mean 0, deviation 1
    a, b = basis * [1, 2, 3] + [0, 0, 1], basis[::-1] * [1, 1, 5] + [2, 0, 0]
    assert frechet(a, b) == pytest.approx(4 + 1 + 1 + 4, abs=1e-6)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_a_drawing_is_made_once_and_kept(engine: LocalEngine, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = Drawings(engine, store)
    recipes = [Recipe(prompt=p, num_inference_steps=2, seed=3) for p in ("cat, red background", "car, blue background")]
    first = drawings.of(recipes)
    assert len(store) == 2
    monkeypatch.setattr(engine, "run", None)  # nothing may be drawn any more
    again = drawings.of(recipes[::-1])
    assert [np.asarray(p).tolist() for p in again] == [np.asarray(p).tolist() for p in first[::-1]]


@pytest.fixture(scope="module")
def report() -> dict:
    return json.loads((POCKET / "evaluation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def measured() -> str:
    """The measured part of the model card."""
    whole = (POCKET / "README.md").read_text(encoding="utf-8")
    return whole.split(card.START)[1].split(card.END)[0]


def test_the_cards_task_table_says_what_was_measured(report: dict, measured: str) -> None:
    lines = [line for line in measured.splitlines() if "<br>" in line and "judged by looking" not in line]
    assert len(lines) == len(report["tasks"]) and report["tasks"].keys() <= TASKS.keys()
    for line, (task, found) in zip(lines, report["tasks"].items(), strict=True):
        assert TASKS[task].label in line
        shares = [int(s) for s in re.findall(r"(\d+)[\u00a0 ]%", line)]
        keys = ("right", "partly", "real", "real_partly")
        assert shares == [round(100 * found[key]) for key in keys], task
        assert f"| {found['prompts']} × {report['seeds']} |" in line


def test_the_cards_sweeps_say_what_was_measured(report: dict, measured: str) -> None:
    for name, keys in (("guidance", ("top1", "top5", "confidence", "background")), ("steps", ("top1", "top5"))):
        for value, found in report[name].items():
            line = next(line for line in measured.splitlines() if line.startswith(f"| {value} | "))
            if name == "steps":
                line = [line for line in measured.splitlines() if line.startswith(f"| {value} | ")][-1]
            shares = [int(s) for s in re.findall(r"(\d+)[\u00a0 ]%", line)]
            assert shares[: len(keys)] == [round(100 * found[key]) for key in keys], (name, value)


def test_the_card_is_written_from_the_report_and_says_when_it_was_the_quick_form(report: dict, measured: str) -> None:
    assert card.introduction(report) in measured and card.tasks(report) in measured
    assert ("quick form" in measured) == report["quick"]
    assert ("quick form" in card.introduction({**report, "quick": True})) is True


def test_plms_says_what_was_measured_of_it(report: dict) -> None:
    said = SAMPLERS["pndm"].sentence
    assert re.findall(r"\d\.\d\d", said) == [f"{found['error']:.2f}" for found in report["solver_errors"]]
    assert "at guidance 5" in said and "after 20 steps" in said and "after 50 (DDIM" in said
    assert "at guidance 1," in said and "at guidance 9," in said and said.endswith("after 50.")


def test_the_card_says_what_was_measured_of_words(measured: str) -> None:
    tower, clip = card.noted("text_tower"), card.noted("adherence")
    assert card.words(tower, clip) in measured
    assert tower["frozen_minus_tuned"] == pytest.approx(tower["loss"]["frozen"] - tower["loss"]["tuned"], abs=1e-5)
    for value in (*tower["loss"].values(), tower["standard_error"]):
        assert f"{value:.4f}" in measured
    for share in (clip["retrieval"]["top1"], *clip["retrieval"]["true_above_near_miss"].values()):
        assert f"{100 * share:.0f} %" in measured.split("## Words")[1]


def test_the_cards_pictures_are_there_and_small(measured: str) -> None:
    shown = re.findall(r"\]\((card/[\w.]+)\)", measured)
    assert {"card/curves.png", "card/tasks.webp", "card/guidance.webp", "card/failures.webp"} <= set(shown)
    sizes = [(POCKET / name).stat().st_size for name in shown]
    assert max(sizes) < 200_000 and sum(sizes) < 1_000_000
    assert max((POCKET / name).stat().st_size for name in shown if name.endswith(".png")) < 100_000
    assert {p.name for p in (POCKET / "card").iterdir()} == {Path(name).name for name in shown}


def test_the_cards_sweeps_are_python_that_gives_the_strips(measured: str) -> None:
    written = re.findall(r"```\n(Sweep\(.*\))\n```", measured)
    there = [strip.sweep for strip in strips.strips() if f"card/{strip.name}.webp" in measured]
    assert [eval(text, {"Sweep": Sweep, "Recipe": Recipe}) for text in written] == there  # noqa: S307


def test_the_page_says_what_was_measured_of_guidance(report: dict) -> None:
    from playground.ui.shared.shipped import measured_guidance

    said = [int(share) for share in re.findall(r"(\d+)\u00a0%", measured_guidance())]
    assert said == [round(100 * report["guidance"][scale]["top1"]) for scale in ("1", "5", "20")]
