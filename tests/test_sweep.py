"""Values as people type them become cells, or one sentence."""

import json

import pytest

from playground import Recipe, Sweep
from playground.labels import axes_of
from playground.link import from_token, to_token
from playground.refusal import Refusal
from playground.sweep import MOST_CELLS, SIZE, exchanged, parse_lines, parse_numbers, same_pictures


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1, 3, 5", [1, 3, 5]),
        ("1 3 5", [1, 3, 5]),
        ("1;3 ;5,", [1, 3, 5]),
        ("1, 3, .., 15", [1, 3, 5, 7, 9, 11, 13, 15]),
        ("2, .., 5", [2, 3, 4, 5]),
        ("5, .., 2", [5, 4, 3, 2]),
        ("0.1, 0.2, .., 0.5", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("1, 2, …, 4, 10", [1, 2, 3, 4, 10]),
        ("7.5", [7.5]),
        ("4–40 × 5", [4, 13, 22, 31, 40]),
        ("1, 2 - 3 x 3, 9", [1, 2, 2.5, 3, 9]),
        ("−1–1 × 3", [-1, 0, 1]),
    ],
)
def test_numbers_and_ranges(text: str, values: list[float]) -> None:
    assert parse_numbers(text, "guidance_scale") == values


def test_whole_number_fields_give_whole_numbers() -> None:
    values = parse_numbers("5, 10, .., 20", "num_inference_steps")
    assert values == [5, 10, 15, 20] and all(type(v) is int for v in values)


@pytest.mark.parametrize(
    ("text", "field", "part"),
    [
        ("", "seed", "at least one value"),
        ("1, 2, x", "guidance_scale", "“x” is not a number"),
        ("1, 2.5", "num_inference_steps", "“2.5” is not a whole number"),
        ("1, nan", "guidance_scale", "“nan” is not a number"),
        ("1e999", "guidance_scale", "is not a number"),
        ("1, .., ", "seed", "before and after the dots"),
        (".., 5", "seed", "before and after the dots"),
        ("1, 3, .., 8", "guidance_scale", "does not reach 8"),
        ("1, .., 1000000000", "seed", "at most 256 pictures"),
        (" ".join(map(str, range(500))), "seed", "at most 256 pictures"),
        ("3, 3", "seed", "listed twice"),
        ("4–6 × 9", "seed", "not 9 whole numbers from 4 to 6"),
        ("4–6 × 1", "seed", "2 to 256 values, not 1"),
        ("4–6 × 99999999999999", "seed", "2 to 256 values"),
        ("9" * 5000, "seed", "is not a whole number"),
        ("0, 1e-320, .., 1e308", "guidance_scale", "at most 256 pictures"),
        ("-1e308, .., 5", "seed", "at most 256 pictures"),
        ("1e308, -1e308, 1e308, .., 5", "guidance_scale", "does not reach 5"),
        (f"-{'9' * 308}–{'9' * 308} × 3", "seed", "too far apart"),
    ],
)
def test_bad_lists_get_one_sentence(text: str, field: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_numbers(text, field)
    assert part in str(caught.value) and len(str(caught.value)) < 200


def test_lines_keep_commas_and_a_dash_means_none() -> None:
    assert parse_lines("a red, round apple\n\n -\n", "prompt") == ["a red, round apple", ""]
    with pytest.raises(ValueError, match="listed twice"):
        parse_lines("a\na", "prompt")
    with pytest.raises(ValueError, match="at least one line"):
        parse_lines("\n \n", "prompt")


def test_two_axes_open_row_by_row() -> None:
    sweep = Sweep(Recipe(), {"sampler": ["ddim", "euler"], "guidance_scale": [1, 2, 3]})
    cells = sweep.recipes()
    assert [(c.sampler, c.guidance_scale) for c in cells] == [
        ("ddim", 1), ("ddim", 2), ("ddim", 3), ("euler", 1), ("euler", 2), ("euler", 3),
    ]  # fmt: skip
    assert len({c.seed for c in cells}) == 1
    assert Sweep.from_dict(sweep.to_dict()) == sweep


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"seed": []},
        {"colour": ["red"]},
        {"seed": [1], "width": [128], "height": [128], "sampler": ["ddim"]},
        {"seed": [1, "x"]},
    ],
)
def test_a_sweep_refuses_what_could_not_run(axes: dict) -> None:
    with pytest.raises(ValueError):
        Sweep(Recipe(), axes)


@pytest.mark.parametrize("axes", [{"x" * 9999: [1]}, {"loras." + "x" * 9999: []}, {"words." + "x" * 9999: [1]}])
def test_a_long_name_of_an_axis_is_no_long_sentence(axes: dict) -> None:
    with pytest.raises(Refusal) as caught:
        Sweep(Recipe(), axes)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("seeds", [10**400, pytest.param(10**5000, id="unwritable")])
def test_more_seeds_than_can_be_written_are_refused_in_one_sentence(seeds: int) -> None:
    with pytest.raises(Refusal, match="at most 256 pictures") as caught:
        Sweep(Recipe(), {"guidance_scale": [1, 3]}, seeds)
    assert len(str(caught.value)) < 200


def test_a_sweep_refuses_too_many_cells() -> None:
    with pytest.raises(ValueError, match="at most 256 pictures; this one would have 257"):
        Sweep(Recipe(), {"seed": list(range(MOST_CELLS + 1))})


def test_a_minus_is_read_as_the_page_writes_it() -> None:
    assert parse_numbers("−1, 0, −0.5", "loras.ink") == [-1, 0, -0.5]


def test_seeds_per_cell_are_counted_on_and_vary_fastest() -> None:
    sweep = Sweep(Recipe(seed=7), {"guidance_scale": [1, 5]}, seeds=3)
    assert [(c.guidance_scale, c.seed) for c in sweep.recipes()] == [(1, 7), (1, 8), (1, 9), (5, 7), (5, 8), (5, 9)]
    assert Sweep.from_dict(sweep.to_dict()) == sweep and "seeds" not in Sweep(Recipe(), {"seed": [1]}).to_dict()
    assert sweep.flat.axes == {"guidance_scale": [1, 5], "seed": [7, 8, 9]}
    assert sweep.flat.recipes() == sweep.recipes() and sweep.flat.seeds == 1
    assert [c.seed for c in Sweep(Recipe(seed=2**32 - 1), {"sampler": ["ddim"]}, seeds=2).recipes()] == [2**32 - 1, 0]


@pytest.mark.parametrize(
    ("axes", "seeds", "part"),
    [
        ({"seed": [1, 2]}, 2, "exclude each other"),
        ({"sampler": ["ddim"]}, 0, "whole number from 1 on"),
        ({"sampler": ["ddim"]}, True, "whole number from 1 on"),
        ({"sampler": ["ddim"], "width": [64], "height": [64]}, 2, "at most 3 things"),
        ({"guidance_scale": [1, 2]}, 200, "would have 400"),
    ],
)
def test_seeds_per_cell_that_could_not_run(axes: dict, seeds: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Sweep(Recipe(), axes, seeds)


def test_words_are_exchanged_where_they_stand_alone() -> None:
    sweep = Sweep(Recipe(prompt="Car, scarf and car"), {"words.car": ["car", "blue boat", ""]})
    assert [c.prompt for c in sweep.recipes()] == [
        "car, scarf and car",
        "blue boat, scarf and blue boat",
        ", scarf and ",
    ]
    assert exchanged("cat and dog", {"cat": "dog", "dog": "cat"}) == "dog and cat"  # not one after the other
    assert exchanged("c++ (1.2)", {"c++": "\\1"}) == "\\1 (1.2)"
    for axes in ({"words.arf": ["x"]}, {"words.": ["x"]}, {"words.car": [1]}):
        with pytest.raises(ValueError):
            Sweep(Recipe(prompt="scarf car"), axes)


def test_a_size_is_both_sides() -> None:
    assert [(c.width, c.height) for c in Sweep(Recipe(), {"size": [64, 96]}).recipes()] == [(64, 64), (96, 96)]
    with pytest.raises(ValueError, match="multiple of 8"):
        Sweep(Recipe(), {"size": [100]})


def test_a_digest_is_of_the_pictures_and_how_they_are_laid_out() -> None:
    base = Recipe(prompt="cat")
    sweep = Sweep(base, {"guidance_scale": [1, 2], "num_inference_steps": [4, 8]})
    assert sweep.digest() == Sweep(base, {"guidance_scale": [1.0, 2.0], "num_inference_steps": [4, 8]}).digest()
    assert sweep.digest() == Sweep(base.replace(guidance_scale=9), sweep.axes).digest()  # the varied field is not used
    swapped = Sweep(base, dict(reversed(sweep.axes.items())))
    assert len({sweep.digest(), swapped.digest(), Sweep(base.replace(seed=1), sweep.axes).digest()}) == 3


def test_pictures_that_are_bound_to_be_the_same_are_counted() -> None:
    def bare(recipe: Recipe) -> Recipe:
        """What is looked at of a recipe by a model that guides above 1."""
        return recipe if recipe.guidance_scale > 1 else recipe.replace(guidance_scale=0, negative_prompt="")

    assert same_pictures(Sweep(Recipe(guidance_scale=1), {"negative_prompt": ["", "a", "b"]}).recipes(), bare) == 2
    assert same_pictures(Sweep(Recipe(), {"negative_prompt": ["", "a", "b"]}).recipes(), bare) == 0
    assert same_pictures(Sweep(Recipe(), {"guidance_scale": [0, 0.5, 1, 2]}).recipes(), bare) == 2


def test_a_model_may_have_a_size_of_its_own() -> None:
    large = {"model": "large", "width": 512, "height": 256}
    sweep = Sweep(Recipe(), {"model": ["pocket", large], "seed": [1, 2]})
    assert [(r.model, r.width, r.height, r.seed) for r in sweep.recipes()[1:3]] == [
        ("pocket", 128, 128, 2),
        ("large", 512, 256, 1),
    ]
    assert sweep.own_sizes and not Sweep(Recipe(), {"model": ["pocket", "large"]}).own_sizes
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep
    assert from_token(to_token(sweep, Recipe()), Recipe()) == sweep
    assert [axis.labels for axis in axes_of(sweep)] == [["pocket", "large 512 × 256"], ["1", "2"]]


@pytest.mark.parametrize(
    ("axes", "part"),
    [
        ({"model": [{"model": "a"}]}, "A value of model is a name, or an object"),
        ({"model": [{"model": "a", "width": 64, "height": 64, "seed": 1}]}, "A value of model is a name, or an object"),
        ({"model": [{"model": "a", "width": 65, "height": 64}]}, "width must be a multiple of 8"),
        ({"model": [{"model": 1, "width": 64, "height": 64}]}, "model must be the name of a model"),
        ({"model": [{"model": "a", "width": 64, "height": 64}], SIZE: [64]}, "size cannot be varied where models have"),
        ({"model": [7]}, "model must be the name of a model"),
    ],
)
def test_models_and_sizes_that_could_not_run(axes: dict, part: str) -> None:
    with pytest.raises(Refusal, match=part):
        Sweep(Recipe(), axes)
