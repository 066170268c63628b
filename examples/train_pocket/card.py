"""The measured part of the model card, between the card's two marks, written from the strips and from what the scripts
measured: evaluation.json, text_tower.json, adherence.json.

python -m examples.train_pocket.card      # write it again from evaluation.json
"""

import json
from collections.abc import Sequence

from playground.samplers import SAMPLERS

from .scenes.things import STYLES
from .scoring.pocket_eval import TASKS
from .scoring.sweeps import ENDS, EXACT
from .strips import CARD, Strip, expression, strips
from .text import POCKET

REPORT = POCKET / "evaluation.json"
START, END = "<!-- scores: written by examples.train_pocket.evaluate -->", "<!-- end of scores -->"
EXAMPLES = {  # of each task, one prompt as it is worded
    "single": "skis, purple background",
    "any_single": "sloth, flat icon, black background",
    "two": "joystick and battery, brown background",
    "counting": "three beetles, blue background",
    "colours": "orange scorpion, brown background",
    "position": "panda above teddy bear, white background",
    "binding": "green oyster and blue bowl of noodles, black background",
    "typed": "can i have a hot dog",
}


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def swept(first: str, values: dict[str, dict], columns: dict[str, str]) -> str:
    """A table of one sweep: a row for each value, a column for each measure, all shares."""
    rows = [[value, *(percent(measures.get(key)) for key in columns)] for value, measures in values.items()]
    return table([first, *columns.values()], rows)


def tasks(report: dict) -> str:
    rows = []
    for task, found in report["tasks"].items():
        said = f"{TASKS[task].label}<br>*{EXAMPLES[task]}*"
        right = f"**{percent(found['right'])}** ± {100 * found['error']:.0f}"
        real = f"{percent(found['real'])}, {percent(found['real_partly'])}"
        easier = f"{percent(found['partly'])} {TASKS[task].partly}"
        rows.append([said, f"{found['prompts']} × {report['seeds']}", f"{right} {TASKS[task].right}", easier, real])
    if (seen := looked(report)) is not None:
        pictures = seen["prompts"] * seen["seeds"]
        share = seen["right"] / pictures
        right = f"**{percent(share)}** ± {100 * (share * (1 - share) / pictures) ** 0.5:.0f} right to a person's eye"
        said = f"as people type, judged by looking<br>*{EXAMPLES['typed']}*"
        rows.append([said, f"{seen['prompts']} × {seen['seeds']}", right, "–", "–"])
    return table(["task", "prompts × seeds", "right", "the easier half", "real renders, judged alike"], rows)


def looked(report: dict) -> dict | None:
    """What a person who looked at the sheet of these weights found; None where nobody has looked at theirs."""
    seen = noted("looked")
    return seen if seen["samples_seen"] == report["samples_seen"] else None


def introduction(report: dict) -> str:
    judge = report["judge"]
    rough = " **This was its quick form, `--quick`, with few prompts: the figures are rough.**" * report["quick"]
    styles = ", ".join(f"{style} {percent(judge[style]['top1'])}" for style in STYLES)
    seen = ""
    if report["samples_seen"] is not None:
        minutes = f"{report['training_minutes']} minutes"
        seen = f" The U-Net and the text encoder had seen {report['samples_seen']:,} samples in {minutes}."
    measured = (
        f"By `python -m examples.train_pocket.evaluate`.{rough}{seen} The tasks are GenEval's "
        "(https://arxiv.org/abs/2310.11513): every prompt asks for a combination of thing and background, of thing and "
        f"hue, or of two things that training never showed. {report['num_inference_steps']} steps of "
        f"{SAMPLERS[report['sampler']].label}, guidance {report['guidance_scale']:g} for all, {report['seeds']} seeds "
        "a prompt; ± is the standard error over prompts."
    )
    judged = (
        "The judge finds what is in a picture and names it among all 1,317 things. It was trained on real renders only "
        f"and never used in training the generator. Of {judge['all']['things']:,} things in unseen real renders its "
        f"top-1 is {percent(judge['all']['top1'])} and its top-5 {percent(judge['all']['top5'])}; of single common "
        f"ones in 3D {percent(judge['common']['top1'])} and {percent(judge['common']['top5'])}; by style: {styles}. "
        "The last column is what real renders of the same prompts score: what it lacks are the judge's own mistakes. "
        "So “right” reads: as a closed-set judge trained on real renders names it, which may be kinder than an eye."
    )
    by_eye = f" {seen['method']}" if (seen := looked(report)) is not None else ""
    return f"{measured}\n\n{judged}{by_eye and ' The last row is by eye:' + by_eye}"


def controls(report: dict) -> str:
    """What each control changes, as tables."""
    n = next(iter(report["guidance"].values()))["pictures"]
    swept_over = (report["guidance"], report["steps"], report["wording"])
    sizes = sorted({next(iter(one.values()))["pictures"] for one in swept_over})
    real, frechet, negative = report["real"], report["frechet"], report["negative"]
    seen = {"top1": "named first", "top5": "among the first five", "confidence": "judge's confidence"}
    guidance = seen | {"background": "background right", "diversity": "diversity", "saturation": "saturation"}
    samplers = [
        [SAMPLERS[key].label, steps, str(m["evaluations"]), percent(m["top1"]), percent(m["confidence"])]
        for key, by_steps in report["samplers"].items()
        for steps, m in by_steps.items()
    ]
    solver_errors = [
        [SAMPLERS[one["sampler"]].label, str(one["steps"]), f"{one['guidance']:g}", f"{one['error']:.2f}"]
        for one in report["solver_errors"]
    ]
    wordings = [
        [f"`{m['wording']}`", *(percent(m[key]) for key in ("top1", "background", "both"))]
        for m in report["wording"].values()
    ]
    parts = [
        "![Curves](card/curves.png)",
        "Standard errors of the shares below, at most: "
        + ", ".join(f"± {50 / of**0.5:.0f} points of {of} pictures" for of in sizes)
        + ".",
        f"Guidance, {n} pictures at each value. Diversity is the mean distance between the seeds of one prompt in the "
        "judge's features, as a share of that between real renders of different things; for real renders of one "
        f"prompt, which differ by place and size only, it is {percent(real['diversity'])}. The saturation of real "
        f"renders is {percent(real['saturation'])}, and {percent(real['clipped'])} of their pixels are clipped.",
        swept("guidance", report["guidance"], guidance | {"clipped": "clipped pixels"}),
        f"Steps of DPM++ 2M, {next(iter(report['steps'].values()))['pictures']} pictures at each value:",
        swept("steps", report["steps"], seen),
        "Samplers, on the same prompts; evaluations are U-Net passes a picture:",
        table(["sampler", "steps", "evaluations", "named first", "judge's confidence"], samplers),
        f"How far a run's latents end from those of {EXACT[1]} steps of {SAMPLERS[EXACT[0]].label}, root mean square "
        f"over {ENDS} of the prompts:",
        table(["sampler", "steps", "guidance", "distance"], solver_errors),
        f"Wording, {next(iter(report['wording'].values()))['pictures']} pictures each:",
        table(["prompt", "thing named first", "background right", "both"], wordings),
        f"Negative prompt, {negative['pictures']} pictures whose prompt leaves the background unsaid: with the "
        f"background that came out as negative prompt, another one comes in {percent(negative['named'])}; with another "
        f"colour's instead, in {percent(negative['other'])}.",
        f"Fréchet distance in the judge's features, over {frechet['pictures']} pictures of each kind: generated to "
        f"real {frechet['generated']:.2f}, real to other real ones {frechet['real']:.2f}.",
    ]
    return "\n\n".join(parts)


def loras(report: dict) -> str:
    if report["lcm"] is None:
        parts = ["There is no LCM LoRA with these weights, so it was not measured."]
    else:
        usual, *few = report["lcm"].items()
        n = usual[1]["pictures"]
        columns = {"top1": "named first", "top5": "among the first five", "share": "share of 20 steps' named first"}
        few = [(f"{steps} steps of LCM, guidance 1", measures) for steps, measures in few]
        parts = [f"LCM LoRA, {n} pictures each:", swept("", dict([usual, *few]), columns)]
    if report["styles"]:
        columns = {"top1": "named first", "top5": "among the first five", "background": "background right"}
        n = next(iter(report["styles"].values()))["pictures"]
        parts += [f"Style LoRAs at weight 1, {n} pictures each:", swept("LoRA", report["styles"], columns)]
    else:
        parts.append("There are no style LoRAs with these weights, so they were not measured.")
    return "\n\n".join(parts)


def vae(report: dict) -> str:
    back = report["round_trip"]
    by_style = ", ".join(f"{style} {value:.1f} dB" for style, value in report["vae_psnr_by_style"].items())
    return (
        f"VAE: {report['vae_psnr']:.1f} dB PSNR on sprites it never trained on, over four styles; by style: "
        f"{by_style}. Of {back['pictures']} real renders of the first task that went through it and back, the judge "
        f"still names {percent(back['top1'])} right."
    )


def words(tower: dict, clip: dict) -> str:
    """Why the text encoder is trained as it is, and what the contrastive towers on top of it are worth."""
    loss, millions = tower["loss"], tower["unet_parameters"] / 1e6
    found = clip["retrieval"]
    above = ", ".join(f"{change} {percent(share)}" for change, share in found["true_above_near_miss"].items())
    by_kind = ", ".join(f"{kind} {percent(share)}" for kind, share in found["top1_by_kind"].items())
    return (
        "The text encoder learns together with the U-Net; in Stable Diffusion it is frozen. Two U-Nets of "
        f"{millions:.1f} M parameters were trained on the same {tower['samples']:,} samples from one contrastively "
        f"trained text encoder: the loss on {tower['held_out']:,} held-out rows is {loss['tuned']:.4f} where it was "
        f"tuned along and {loss['frozen']:.4f} where it was frozen, a difference of "
        f"{tower['frozen_minus_tuned']:.4f} ± {tower['standard_error']:.4f} (standard error over the rows; one run "
        "of training each).\n\n"
        "`clip_image_encoder/` holds an image tower, and one layer on top of the text encoder, that say how well a "
        f"picture fits a prompt. For {found['pictures']} unseen renders, {found['captions']} captions each, of which "
        f"up to {found['near_misses']} are near misses, the right caption comes first in {percent(found['top1'])} and "
        f"among the first five in {percent(found['top5'])}; first, by kind of scene: {by_kind}. The true caption "
        f"scores higher than the same one with something else in it, by what was exchanged: {above}."
    )


def pictures(drawn: Sequence[Strip]) -> str:
    parts = [
        "Every row was drawn by the shipped weights and is a sweep; `python -m examples.train_pocket.strips NAME` "
        "draws it again, and so does the playground's Compare tab.",
        "![The first prompts of each task, not chosen by hand](card/tasks.webp)",
    ]
    if (CARD / "seen.webp").exists():
        parts += [
            "Fifty prompts as people type them, with seeds 0 to 3 each:",
            "![Prompts as people type them, four pictures each](card/seen.webp)",
        ]
    for strip in drawn:
        parts += [f"{strip.title} (`{strip.name}`):", f"![{strip.title}](card/{strip.name}.webp)"]
        parts.append(f"```\n{expression(strip.sweep)}\n```")  # unnamed: formatters leave it on its one line
    return "\n\n".join(parts)


def noted(name: str) -> dict:
    """What a script wrote to a file beside the weights."""
    return json.loads((POCKET / f"{name}.json").read_text(encoding="utf-8"))


def text(report: dict, drawn: Sequence[Strip]) -> str:
    """Everything between the marks."""
    background = report["background"]
    parts = [
        "## What was measured",
        introduction(report),
        tasks(report),
        f"The background is the one asked for in {percent(background['right'])} of all {background['pictures']:,} "
        "pictures.",
        vae(report),
        "## What each control does",
        controls(report),
        "## LoRAs",
        loras(report),
        "## Words",
        words(noted("text_tower"), noted("adherence")),
        "## Pictures",
        pictures(drawn),
    ]
    return "\n\n".join(parts)


def write(report: dict) -> None:
    """Put the measured figures between the card's two marks, so that the card never says anything else."""
    path = POCKET / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(START, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{START}\n{text(report, strips())}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(noted("evaluation"))
