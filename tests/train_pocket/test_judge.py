"""The judge of Pocket's pictures: finding, cutting out, naming, and what it learns from. Needs no trained judge."""

import numpy as np
import pytest
import torch
from PIL import Image

from examples.train_pocket.judge import AllScenes, parts_of
from examples.train_pocket.scenes.colours import BACKGROUNDS
from examples.train_pocket.scenes.things import table
from examples.train_pocket.scoring.detector import COLOURS, GRID, Judge, as_batch, cut_out, looks, peaks
from examples.train_pocket.scoring.fit_looks import discriminant

ROWS = {thing.name: i for i, thing in enumerate(table())}


def picture_of(*squares: tuple[int, int, int, tuple[int, int, int]], ground: str = "white") -> Image.Image:
    picture = Image.new("RGB", (128, 128), BACKGROUNDS[ground])
    for x, y, side, colour in squares:
        picture.paste(colour, (x - side // 2, y - side // 2, x + side // 2, y + side // 2))
    return picture


def test_peaks_are_the_marked_cells_at_their_offsets() -> None:
    answer = torch.full((2, 4, GRID, GRID), -6.0)
    answer[:, 1:] = 0
    answer[1, 0, 4, 10] = 3.0  # row 4, column 10: the cell whose middle is (84, 36)
    answer[1, 0, 4, 11] = 2.0  # a weaker neighbour does not count again
    answer[1, 1, 4, 10], answer[1, 2, 4, 10], answer[1, 3, 4, 10] = 0.25, -0.5, np.log(0.5)
    rows, boxes = peaks(answer)
    assert rows.tolist() == [1] and boxes[0].tolist() == pytest.approx([86, 32, 64])


@pytest.mark.parametrize(("x", "y", "side"), [(40, 80, 40), (64, 64, 100)])
def test_a_cutout_shows_the_box_and_a_margin(x: int, y: int, side: int) -> None:
    batch = as_batch([picture_of((x, y, side, (0, 0, 0)))])
    cutout = cut_out(batch, torch.tensor([0]), torch.tensor([[x, y, side]]).float())[0, 0]
    dark = cutout < 0
    assert cutout.shape == (64, 64) and 0.7 < dark.float().mean() < 0.8  # 1 / 1.15² = 0.756
    assert dark[8:-8, 8:-8].all() and not dark[0].any() and not dark[:, 0].any()


def test_the_judge_finds_something_to_name_in_a_batch_of_any_size() -> None:
    judge = Judge().eval()
    torch.nn.init.constant_(judge.finder.head[-1].bias, 3.0)  # untrained: marks whatever it likes
    found = judge.look([picture_of((64, 64, 50, (200, 20, 20)))] * 3)
    assert len(found) == 3 and found[0] == found[2]
    assert all(len(thing.names) == 5 and thing.colour in BACKGROUNDS for thing in found[0])
    assert judge.features([picture_of()] * 2).shape == (2, 192)


def test_the_fitted_layer_looks_across_the_direction_in_which_everything_varies() -> None:
    """Two classes a unit apart along the first axis, while all vary along the diagonal: the nearest mean is often the
    wrong one, Fisher's discriminant hardly ever."""
    rng, labels = np.random.default_rng(1), np.repeat([0, 1], 400)
    rows = rng.normal(0, 1, (800, 1)) * [1, 1] + rng.normal(0, 0.1, (800, 1)) * [1, -1] + labels[:, None] * [1, 0]
    means = np.stack([rows[labels == k].mean(0) for k in (0, 1)])
    nearest = np.linalg.norm(rows[:, None] - means, axis=-1).argmin(1)
    weights, biases = discriminant(rows[::2], labels[::2], 2)
    told = (rows[1::2] @ weights.T + biases).argmax(1)
    assert (nearest == labels).mean() < 0.8 and (told == labels[1::2]).mean() > 0.95


def test_a_names_probability_is_the_sum_over_its_looks() -> None:
    namer, known = Judge().namer, looks()
    assert len(set(known)) == len(known) and {look.thing for look in known} == set(range(len(table())))
    logits = torch.full((1, len(known)), -30.0)
    cat = next(i for i, look in enumerate(known) if look.thing == ROWS["cat"])
    chosen = [i for i, look in enumerate(known) if look.thing == ROWS["banana"]][:2]
    logits[0, chosen[0]], logits[0, chosen[1]], logits[0, cat] = 2.0, 1.0, 2.5
    chances = namer.by_name(logits)[0]
    told = np.exp([2.0, 1.0, 2.5]) / np.exp([2.0, 1.0, 2.5]).sum()
    assert chances.sum().item() == pytest.approx(1)
    assert chances[ROWS["banana"]].item() == pytest.approx(told[0] + told[1], abs=1e-5)


def test_what_the_judge_learns_from_is_marked_where_it_is_drawn() -> None:
    scenes = [scene for (scene, _), _ in zip(AllScenes(3), range(200), strict=False)]
    rows, boxes, names, colours = parts_of(scenes)
    flat = [(i, part) for i, scene in enumerate(scenes) for part in scene.parts]
    assert rows.tolist() == [i for i, _ in flat] and names.tolist() == [part.thing for _, part in flat]
    assert boxes.tolist() == [[part.x, part.y, part.side] for _, part in flat]
    said = {part.hue: COLOURS[c] for (_, part), c in zip(flat, colours.tolist(), strict=True) if part.hue}
    assert len(said) >= 5 and all(hue == colour for hue, colour in said.items())
    assert {scene.kind for scene in scenes} == {"single", "recoloured", "relation", "count", "coloured", "several"}
