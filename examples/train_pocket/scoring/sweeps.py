"""What each control of the sampler does to Pocket's scores: guidance, steps, samplers, wording, negative prompt, LoRAs.

All of them ask for single common things in 3D, the first prompts of PocketEval's first task, so that a sweep shares
its pictures with the task where the recipe is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from playground import Recipe
from playground.samplers import SAMPLERS

from ..scenes.captions import with_article
from ..scenes.colours import BACKGROUNDS
from ..scenes.things import table
from ..text import POCKET
from .detector import Judge
from .drawn import Drawings
from .measures import background_of, clipped, frechet, saturation, spread
from .pocket_eval import MOST_PROMPTS, Asked, prompts, score

GUIDANCE_SCALE = 5.0  # of all tasks
SEEDS = 4  # of each prompt of a task
GUIDANCE_SCALES = (1, 2, 3, 5, 8, 12, 20)
STEPS = (1, 2, 4, 8, 16, 32, 64)
DDPM_STEPS = (20, 100)
LCM_STEPS = (2, 4, 8)
EXACT = "ddim", 250  # sampler and steps of the runs that others are held against
HELD_AGAINST_IT = (  # sampler, steps, guidance scale
    ("pndm", 20, 5.0), ("pndm", 50, 5.0), ("ddim", 20, 5.0), ("ddim", 50, 5.0), ("pndm", 20, 1.0), ("pndm", 50, 9.0)
)  # fmt: skip
ENDS = 6  # prompts of each
LORAS = POCKET / "loras"
CONVERSATION = "hello, could you please draw me {thing}, maybe on something {colour}, thank you"
TAUGHT = "{name}, {colour} background"
LONG = "3d render of {thing} on {article} background"


@dataclass(frozen=True)
class Size:
    """How much is drawn."""

    prompts: int  # of each task
    seeds: int  # of each prompt of a task
    swept: int  # prompts at each value of a sweep
    swept_seeds: int  # seeds of each, for the spread over seeds; at least 2
    distilled: int  # prompts of the LCM LoRA
    vae_pictures: int  # for each PSNR


FULL = Size(MOST_PROMPTS, SEEDS, 16, 3, 100, 96)
QUICK = Size(25, 2, 12, 2, 25, 32)


def recipe(asked: Asked, i: int, k: int, **changes) -> Recipe:  # noqa: ANN003  (fields of a recipe)
    """The k-th picture of the i-th prompt of a task, with some fields changed."""
    return Recipe(prompt=asked.prompt, guidance_scale=GUIDANCE_SCALE, seed=SEEDS * i + k).replace(**changes)


class Bench:
    """The drawings, the judge, and how much to draw."""

    def __init__(self, drawings: Drawings, judge: Judge, size: Size) -> None:
        self.drawings, self.judge, self.size = drawings, judge, size
        self.singles = prompts("single", size.prompts)

    def chosen(self, n: int) -> list[tuple[int, Asked]]:
        return list(enumerate(self.singles[:n]))

    def at(self, asked: Sequence[tuple[int, Asked]], seeds: int = 1, **changes) -> dict:  # noqa: ANN003
        """The measures of these prompts' pictures, with some fields of their recipes changed."""
        pictures = self.drawings.of([recipe(a, i, k, **changes) for i, a in asked for k in range(seeds)])
        return self.measured([a for _, a in asked for _ in range(seeds)], pictures)

    def measured(self, asked: Sequence[Asked], pictures: Sequence[Image.Image]) -> dict[str, float | int]:
        """Means over pictures that ask for one thing each.

        top1, top5: shares named right; confidence: the judge's probability of the right name; background: share with
        the right one; saturation and clipped as in measures.py.
        """
        found = self.judge.look(pictures)
        scores = [score(a, things) for a, things in zip(asked, found, strict=True)]
        confidences = [
            max((thing.confidence(table()[a.things[0]].name) for thing in things), default=0.0)
            for a, things in zip(asked, found, strict=True)
        ]
        backgrounds = [background_of(p) == a.background for a, p in zip(asked, pictures, strict=True)]
        return {
            "pictures": len(pictures),
            "top1": round(fmean(s.right for s in scores), 4),
            "top5": round(fmean(s.partly for s in scores), 4),
            "confidence": round(fmean(confidences), 4),
            "background": round(fmean(backgrounds), 4),
            "saturation": round(fmean(saturation(p) for p in pictures), 4),
            "clipped": round(fmean(clipped(p) for p in pictures), 4),
        }

    def diversity(self, pictures: Sequence[Image.Image], seeds: int) -> float:
        """Mean distance between the pictures of one prompt, in the judge's features; unscaled."""
        features = self.judge.features(pictures)
        return fmean(spread(features[i : i + seeds]) for i in range(0, len(features), seeds))


def guidance(bench: Bench, reals: Sequence[Image.Image]) -> dict[str, dict]:
    """Guidance scale -> measures and diversity.

    Diversity is the mean distance between the seeds of one prompt, as a share of the mean distance between real
    renders of different things.
    """
    seeds, asked = bench.size.swept_seeds, bench.chosen(bench.size.swept)
    apart = spread(bench.judge.features(reals))
    found = {}
    for scale in GUIDANCE_SCALES:
        recipes = [recipe(a, i, k, guidance_scale=scale) for i, a in asked for k in range(seeds)]
        pictures = bench.drawings.of(recipes)
        measures = bench.measured([a for _, a in asked for _ in range(seeds)], pictures)
        found[str(scale)] = measures | {"diversity": round(bench.diversity(pictures, seeds) / apart, 4)}
    return found


def steps(bench: Bench) -> dict[str, dict]:
    """Steps of DPM++ 2M -> measures"""
    asked = bench.chosen(bench.size.swept)
    return {str(n): bench.at(asked, num_inference_steps=n) for n in STEPS}


def samplers(bench: Bench) -> dict[str, dict[str, dict]]:
    """Sampler -> steps -> measures: 20 steps of all, and more of DDPM. Heun and DPM++ SDE look twice a step."""
    asked = bench.chosen(bench.size.swept)
    return {
        key: {
            str(n): bench.at(asked, sampler=key, num_inference_steps=n) | {"evaluations": 2 * sampler.calls(n)}
            for n in (DDPM_STEPS if key == "ddpm" else (20,))
        }
        for key, sampler in SAMPLERS.items()
    }


def solver_errors(bench: Bench) -> list[dict[str, str | int | float]]:
    """How far from those of a long DDIM run the latents of shorter runs end: root mean square over ENDS prompts. The
    sentence about PLMS in `playground/samplers.py` says them in this order."""
    asked = bench.chosen(ENDS)

    def ends(sampler: str, steps: int, scale: float) -> Tensor:
        changes = {"sampler": sampler, "num_inference_steps": steps, "guidance_scale": scale}
        return torch.cat([r.x0 for r in bench.drawings.results([recipe(a, i, 0, **changes) for i, a in asked])])

    found = []
    for sampler, steps, scale in HELD_AGAINST_IT:
        apart = (ends(sampler, steps, scale) - ends(*EXACT, scale)).square().mean().sqrt().item()
        found.append({"sampler": sampler, "steps": steps, "guidance": scale, "error": round(apart, 4)})
    return found


def frechet_distances(bench: Bench, drawn: Sequence[Image.Image], real: Sequence[Image.Image]) -> dict:
    """Of generated pictures to real renders of the same prompts, and of one half of the real ones to the other.

    The second is what the number of pictures alone brings about: two sets of the same kind are that far apart. So the
    generated ones are compared by halves too.
    """
    a, b = bench.judge.features(drawn), bench.judge.features(real)
    return {
        "pictures": len(a) // 2,
        "generated": round(frechet(a[::2], b[1::2]), 4),
        "real": round(frechet(b[::2], b[1::2]), 4),
    }


def wording(bench: Bench) -> dict[str, dict]:
    """Wording -> measures, `both` the share with thing and background right."""
    asked, seeds = bench.chosen(bench.size.swept), 2
    each = [a for _, a in asked for _ in range(seeds)]
    wordings = {"name only": "{name}", "conversation": CONVERSATION, "as taught": TAUGHT, "longer": LONG}
    found = {}
    for label, wanted in wordings.items():
        recipes = [recipe(a, i, k, prompt=worded(wanted, a)) for i, a in asked for k in range(seeds)]
        pictures = bench.drawings.of(recipes)
        both = [
            score(a, things).right and background_of(p) == a.background
            for a, things, p in zip(each, bench.judge.look(pictures), pictures, strict=True)
        ]
        found[label] = bench.measured(each, pictures) | {"both": round(fmean(both), 4), "wording": wanted}
    return found


def worded(wanted: str, asked: Asked) -> str:
    name, colour = table()[asked.things[0]].name, asked.background
    return wanted.format(name=name, thing=with_article(name), colour=colour, article=with_article(colour))


def negative(bench: Bench) -> dict[str, float | int]:
    """Things without a word about the background, drawn three times from one seed.

    Without a negative prompt; with the background that came out as the negative prompt (`named`: share of the pictures
    that then have another one); and with a different colour's instead (`other`), which shows how much of that is
    caused by any negative prompt at all.
    """
    asked = bench.chosen(2 * bench.size.swept)
    bare = [recipe(a, i, 0, prompt=table()[a.things[0]].name) for i, a in asked]
    before = [background_of(p) for p in bench.drawings.of(bare)]
    names = list(BACKGROUNDS)

    def changed(colours: Sequence[str]) -> float:
        told = [r.replace(negative_prompt=f"{c} background") for r, c in zip(bare, colours, strict=True)]
        after = [background_of(p) for p in bench.drawings.of(told)]
        return round(fmean(a != b for a, b in zip(after, before, strict=True)), 4)

    others = [names[(names.index(c) + 1 + i % (len(names) - 1)) % len(names)] for i, c in enumerate(before)]
    return {"pictures": len(asked), "named": changed(before), "other": changed(others)}


def lcm(bench: Bench) -> dict[str, dict] | None:
    """Steps of the LCM LoRA at guidance 1 -> measures, `share` of the top-1 of 20 steps of DPM++ 2M on the same
    prompts and seeds; None where there is no such LoRA."""
    if not (LORAS / "lcm.safetensors").exists():
        return None
    asked = bench.chosen(bench.size.distilled)
    usual = bench.at(asked)
    found = {"20 steps of DPM++ 2M": usual}
    for n in LCM_STEPS:
        measures = bench.at(asked, sampler="lcm", num_inference_steps=n, guidance_scale=1.0, loras={"lcm": 1.0})
        share = round(measures["top1"] / usual["top1"], 4) if usual["top1"] else None
        found[str(n)] = measures | {"share": share}
    return found


def styles(bench: Bench) -> dict[str, dict]:
    """Style LoRA -> measures at weight 1: is the thing still recognised?"""
    names = sorted(path.stem for path in LORAS.glob("*.safetensors") if path.stem != "lcm")
    asked = bench.chosen(bench.size.swept)
    return {name: bench.at(asked, loras={name: 1.0}) for name in names}


def real_measures(bench: Bench, asked: Sequence[Asked], real: Sequence[Image.Image], seeds: int) -> dict:
    """The same measures of real renders, and how much those of one prompt differ by placement alone."""
    apart = spread(bench.judge.features(real[:: max(seeds, 1)]))
    return bench.measured(asked, real) | {"diversity": round(bench.diversity(real, seeds) / apart, 4)}
