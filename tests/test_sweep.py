"""Values as people type them become cells, or one sentence."""

import pytest

from playground import Recipe, Sweep
from playground.sweep import MOST_CELLS, parse_lines, parse_numbers


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
        ("1, .., 1000000000", "seed", "at most 64 pictures"),
        (" ".join(map(str, range(500))), "seed", "at most 64 pictures"),
        ("3, 3", "seed", "listed twice"),
        ("9" * 5000, "seed", "is not a whole number"),
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
    [{}, {"seed": []}, {"colour": ["red"]}, {"seed": [1], "width": [128], "height": [128]}, {"seed": [1, "x"]}],
)
def test_a_sweep_refuses_what_could_not_run(axes: dict) -> None:
    with pytest.raises(ValueError):
        Sweep(Recipe(), axes)


def test_a_sweep_refuses_too_many_cells() -> None:
    with pytest.raises(ValueError, match="at most 64 pictures; this one would have 65"):
        Sweep(Recipe(), {"seed": list(range(MOST_CELLS + 1))})


def test_a_minus_is_read_as_the_page_writes_it() -> None:
    assert parse_numbers("−1, 0, −0.5", "loras.ink") == [-1, 0, -0.5]
