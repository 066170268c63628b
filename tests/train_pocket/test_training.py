"""How the U-Net is trained: collages, the diet, words bound to places, workers that average, near misses told apart."""

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from examples.train_pocket.latents import BANK_SHARES
from examples.train_pocket.learning import train
from examples.train_pocket.learning.binding import labels, misplaced, spans
from examples.train_pocket.learning.diet import Diet, covered
from examples.train_pocket.learning.networks import made_fast, shipped, started, tokenizer
from examples.train_pocket.learning.train import orthogonalize
from examples.train_pocket.learning.workers import Meeting
from examples.train_pocket.scenes.captions import caption
from examples.train_pocket.scenes.collage import AREAS, QUADRANTS, Collages, pieces_of, put_together
from examples.train_pocket.scenes.colours import BACKGROUNDS
from examples.train_pocket.scenes.scene import SIZE, Part, Scene, in_training
from examples.train_pocket.scenes.stream import KIND_SHARES, Scenes
from examples.train_pocket.scenes.things import table
from examples.train_pocket.scoring.pocket_eval import prompts
from examples.train_pocket.text import token_ids
from examples.train_pocket.told_apart import ROWS, answers, near_misses, worded
from examples.train_pocket.unet import cell_weights

CPU = torch.device("cpu")
NAMES = {thing.name: i for i, thing in enumerate(table())}


class FakeBank:
    """Scenes of the bank's shares; every latent says which row it is of."""

    def __init__(self, n: int = 6000) -> None:
        self.scenes = [scene for scene, _ in islice(Scenes(5, BANK_SHARES), n)]
        self.latents = torch.arange(n).view(n, 1, 1, 1).expand(n, 4, 16, 16).float()
        self.plain = {name: torch.full((4, 16, 16), -1.0) for name in BACKGROUNDS}

    def grow(self) -> int:
        return 0


@pytest.fixture(scope="module")
def bank() -> FakeBank:
    return FakeBank()


@pytest.fixture(scope="module")
def made(bank: FakeBank) -> list[tuple[Scene, list]]:
    """A few thousand collages of every kind."""
    collages = Collages(random.Random(1))
    collages.add(0, bank.scenes)
    kinds = ("relation", "coloured", "count", "several")
    found = [collages.new(kind, lambda row: bank.scenes[row].background) for kind in kinds for _ in range(700)]
    assert sum(one is None for one in found) < 0.02 * len(found)
    return [one for one in found if one]


def test_a_piece_lies_inside_its_area(bank: FakeBank) -> None:
    cells = SIZE // 16
    for scene in bank.scenes:
        for area, part in pieces_of(scene):
            rows, columns = (slice(*edge.indices(16)) for edge in AREAS[area])
            for middle, side in ((part.y, rows), (part.x, columns)):
                assert middle - part.side / 2 >= side.start * cells - 1, (scene, area)
                assert middle + part.side / 2 <= side.stop * cells + 1, (scene, area)


def test_no_collage_shows_a_held_out_combination(made: list) -> None:
    assert all(in_training(scene) for scene, _ in made)


def test_a_collage_shows_what_its_areas_hold(made: list, bank: FakeBank) -> None:
    for scene, sources in made:
        latents = put_together(sources, bank.latents, bank.plain[scene.background])
        for part, (row, area) in zip(scene.parts, sources, strict=False):
            assert part in bank.scenes[row].parts and bank.scenes[row].background == scene.background
            y, x = int(part.y * 16 / SIZE), int(part.x * 16 / SIZE)
            assert latents[0, y, x] == row, (scene, area)
        assert len({part.style for part in scene.parts}) == 1
        empty = sum(area in QUADRANTS for row, area in sources if row is None)
        assert (latents == -1).sum() == empty * 4 * 8 * 8


def test_collages_count_one_thing_and_mix_different_ones(made: list) -> None:
    kinds = Counter(scene.kind for scene, _ in made)
    assert set(kinds) == {"relation", "coloured", "count", "several"}
    for scene, _ in made:
        things = {part.thing for part in scene.parts}
        assert len(things) == (1 if scene.kind == "count" else len(scene.parts))
        assert (scene.kind == "relation") <= (scene.relation is not None and not any(p.hue for p in scene.parts))
        assert (scene.kind == "coloured") <= any(part.hue for part in scene.parts)
        if scene.relation:
            first, second = scene.parts
            right, down = first.x - second.x, first.y - second.y
            where = {"left": -right, "right": right, "above": -down, "below": down}
            assert where[scene.relation] == max(where.values()) > 40
    assert {len(scene.parts) for scene, _ in made if scene.kind == "count"} == {2, 3, 4}


def test_the_diet_has_the_shares_of_the_stream_and_some_empty_captions(bank: FakeBank) -> None:
    diet, kinds, empty = Diet(bank, tokenizer(), 0), Counter(), 0
    for _ in range(30):
        shown = diet.next(100)
        assert shown.latents.shape == (100, 4, 16, 16) and shown.ids.shape == (100, 32)
        kinds.update(scene.kind for scene in shown.scenes)
        empty += shown.captions.count("")
    for kind in ("relation", "count", "coloured", "several", "recoloured"):
        assert kinds[kind] / 3000 == pytest.approx(KIND_SHARES[kind], abs=0.03)
    assert empty / 3000 == pytest.approx(0.1, abs=0.02)
    assert len({id(scene) for scene in shown.scenes}) > 90


def test_cells_of_a_thing_weigh_more_and_every_sample_the_same() -> None:
    scene = Scene("relation", "blue", (Part(0, 48, 32, 64), Part(1, 48, 96, 64)), "left")
    assert covered(scene).sum((1, 2)).tolist() == [36, 36]
    weights = cell_weights([scene])
    assert weights.mean().item() == pytest.approx(1)
    assert (weights[0, 8, 4] / weights[0, 0, 0]).item() == pytest.approx(3)


def test_every_thing_is_found_in_its_caption() -> None:
    rng = random.Random(0)
    for scene, _ in islice(Scenes(8), 3000):
        words = caption(rng, scene)
        found = spans(scene, words)
        assert all(end > start for start, end in found), (words, scene)
        assert len(set(found)) == (1 if scene.kind == "count" else len(scene.parts))
        for part, (start, end) in zip(scene.parts, found, strict=True):
            assert part.hue is None or words[start:end].startswith(part.hue)


def test_a_name_inside_another_is_not_taken_for_it() -> None:
    names = ("cat", "black cat")
    scene = Scene("relation", "blue", tuple(Part(NAMES[n], 48, x, 64) for n, x in zip(names, (32, 96), strict=True)))
    words = "a black cat and a cat on a blue background"
    assert [words[a:b] for a, b in spans(scene, words)] == ["cat", "black cat"]
    assert spans(scene, words)[0][0] > spans(scene, words)[1][0]


def test_attention_on_a_words_own_cells_costs_nothing_and_beside_them_everything() -> None:
    scene = Scene("relation", "blue", (Part(NAMES["cat"], 64, 32, 32), Part(NAMES["dog"], 64, 96, 32)), "left")
    rows, tokens, cells = labels([scene], ["cat and dog"], tokenizer())
    assert rows.tolist() == [0, 0] and tokens.tolist() == [1, 3]
    attention = torch.zeros(1, 64, 32)
    attention[0, :, tokens] = torch.nn.functional.adaptive_avg_pool2d(cells[:, None], 8).flatten(1).T
    assert misplaced([attention], rows, tokens, cells).item() == pytest.approx(0)
    below = attention.flip(1)  # both things stand in the upper half
    assert misplaced([below], rows, tokens, cells).item() == pytest.approx(1)


def test_nothing_to_bind_costs_nothing() -> None:
    alone = Scene("single", "blue", (Part(NAMES["cat"], 100, 64, 64),))
    nothing = labels([alone], ["cat"], tokenizer())
    assert misplaced([torch.rand(1, 64, 32)], *nothing) == 0 and misplaced([], *nothing) == 0


def test_plain_attention_gives_the_same_prediction_and_is_seen() -> None:
    model, seen = shipped()[0].eval(), []
    x, t = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([50, 700])
    ids = token_ids(tokenizer(), ["cat and dog", ""])
    with torch.no_grad():
        before = model(x, t, ids)
        assert torch.allclose(made_fast(model, CPU, seen)(x, t, ids), before, atol=1e-4)
    assert [tuple(a.shape) for a in seen] == [(2, n, 32) for n in (64, 16, 16, 16, 16, 64, 64)]
    assert torch.allclose(seen[0].sum(2), torch.ones(2, 64))


@pytest.mark.parametrize("shape", [(64, 600), (600, 64), (64, 64), (80, 120)])
def test_an_update_is_orthogonal_and_never_grows_however_lopsided_the_gradient(shape: tuple[int, int]) -> None:
    draws = torch.Generator().manual_seed(0)
    strong = torch.outer(torch.randn(shape[0], generator=draws), torch.randn(shape[1], generator=draws))
    for lopsided in (1.0, 1e-2, 1e-4, 0.0):
        gradient = strong + lopsided * torch.randn(shape, generator=draws)
        values = torch.linalg.svdvals(orthogonalize(gradient))
        assert values.max() < 1.3 and (lopsided < 1 or values.median() > 0.6)


def test_training_goes_on_from_the_checkpoint_or_else_from_the_shipped_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "WORK", tmp_path)
    model, state, samples = started()
    assert state is None and samples == shipped()[1]
    average = train.Average(model)
    train.save_checkpoint("unet", {"model": model.state_dict(), "average": average.state_dict(), "samples": 9})
    assert started()[2] == 9


def test_workers_leave_with_the_mean_of_their_weights_by_their_steps() -> None:
    modules, meeting = [nn.Linear(3, 2) for _ in range(2)], Meeting(2, 8)
    expected = 0.25 * modules[0].weight + 0.75 * modules[1].weight
    work = [(0, modules[0], 10, 640, 1.0, True), (1, modules[1], 30, 1920, 7.0, False)]
    with ThreadPoolExecutor(2) as threads:
        (first, over), (second, also) = threads.map(lambda one: meeting.meet(*one), work)
    assert all(torch.allclose(module.weight, expected) for module in modules)
    assert first == second and (first.steps, first.samples, first.loss) == (20, 2560, 0.2)
    assert over and also  # worker 0 says when it is over


def test_one_worker_keeps_its_weights() -> None:
    module, meeting = nn.Linear(3, 2), Meeting(1, 0)
    before = module.weight.clone()
    done, over = meeting.meet(0, module, 4, 256, 2.0, False)
    assert torch.equal(module.weight, before) and not over and done.loss == 0.5


@pytest.mark.parametrize(("task", "swapped"), ROWS)
def test_near_misses_of_a_prompt_differ_from_it_and_from_each_other(task: str, swapped: str) -> None:
    for asked in prompts(task, 20):
        assert worded(asked) == asked.prompt
        texts = [worded(other) for other in near_misses(asked, swapped, random.Random(0))]
        assert 1 <= len(texts) <= 9 and len({asked.prompt, *texts}) == len(texts) + 1
        assert all(re.search(rf"{asked.background} background$", text) for text in texts)


class KnowsTheNoise(nn.Module):
    """Stands in for the networks: it predicts well where the first word of the caption is the one it knows."""

    def __init__(self, known: int) -> None:
        super().__init__()
        self.known, self.weight = known, nn.Parameter(torch.zeros(1))

    def text_encoder(self, ids: torch.Tensor) -> object:
        known = (ids[:, 1] == self.known).float()
        return type("Output", (), {"last_hidden_state": known[:, None, None].expand(-1, 32, 192)})

    def unet(self, noisy: torch.Tensor, t: torch.Tensor, states: torch.Tensor) -> object:
        return type("Output", (), {"sample": noisy * (0.9 * states[:, 0, 0]).view(-1, 1, 1, 1)})


def test_the_classifier_chooses_the_caption_of_least_error() -> None:
    asked = prompts("single", 1)[0]
    first = token_ids(tokenizer(), [asked.prompt])[0, 1].item()
    wrong = [other for other in near_misses(asked, "thing", random.Random(0))]
    cells = torch.ones(16, 16, dtype=torch.bool)
    case = (asked, wrong, torch.zeros(4, 16, 16), cells)
    (right,) = answers(KnowsTheNoise(first), [case])
    (other,) = answers(KnowsTheNoise(token_ids(tokenizer(), [worded(wrong[0])])[0, 1].item()), [case])
    assert right.right and right.margin > 0 and not other.right
