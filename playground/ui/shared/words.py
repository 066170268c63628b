"""What the page says of each axis that a grid can vary, and of LoRAs. What it says of a field is in `fields.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from playground.labels import inside
from playground.models import Facts
from playground.samplers import SAMPLERS
from playground.sweep import SIZE, lora_of, words_exchanged
from playground.ui.shared.fields import LABELS

LORA_WEIGHT = "lora_weight"  # what is varied where the axis is "loras.NAME"
WORDS = "words"  # where it is "words.TEXT"


@dataclass(frozen=True)
class AxisWords:
    label: str  # where it is chosen
    header: str  # above the grid: what is fixed and what varies
    look_for: str  # before the run
    help: str  # under the value editor


AXES: dict[str, AxisWords] = {
    "guidance_scale": AxisWords(
        LABELS["guidance_scale"],
        "Same noise, same words. Only the guidance scale changes.",
        "What to look for: at 1 the prompt is used and nothing is pushed, so that the words can be missed; higher "
        "values obey them, and past some point colours saturate and shapes break.",
        "Numbers from 0 to 50. Ranges: 1, 3, .., 15 or 1–15\u00a0×\u00a05.",
    ),
    "true_cfg_scale": AxisWords(
        LABELS["true_cfg_scale"],
        "Same noise, same words. Only the true CFG scale changes.",
        "What to look for: at 1 the network is asked once a step and the negative prompt is not used; above 1 it is "
        "asked twice, and each step is pushed away from the negative prompt and towards the prompt.",
        "Numbers from 1 to 20. Ranges: 1, 1.5, .., 4.",
    ),
    "num_inference_steps": AxisWords(
        LABELS["num_inference_steps"],
        "Same noise, same words. Each cell is its own run with that many steps.",
        "What to look for: very few steps leave blur or patches that do not fit together; after enough of them the "
        "picture hardly changes while the cost keeps growing. A 10-step run is not a 20-step run stopped half-way: its "
        "steps are longer.",
        "Whole numbers from 1 to 1,000. Ranges: 5, 10, .., 30 or 4–40\u00a0×\u00a05.",
    ),
    "sampler": AxisWords(
        LABELS["sampler"],
        "Same noise, same words, same number of steps. Only the sampler changes.",
        "What to look for: most samplers walk to nearly the same picture; those that add noise at every step "
        "(DDPM, Euler a, DPM++ SDE, LCM) end somewhere else.",
        "Choose two or more.",
    ),
    "seed": AxisWords(
        LABELS["seed"],
        "Same words, same settings. Only the starting noise changes.",
        "What to look for: the seed decides layout and details, the words decide the subject. The same seed gives "
        "the same picture every time.",
        "Whole numbers from 0 to 4,294,967,295. Ranges: 1, 2, .., 6.",
    ),
    "negative_prompt": AxisWords(
        LABELS["negative_prompt"],
        "Same noise, same prompt. Only what the model is steered away from changes.",
        "What to look for: each step moves away from the negative prompt's prediction as it moves towards the "
        "prompt's. It needs a {cfg} above {above}.",
        "One negative prompt per line; a line with only a dash means none.",
    ),
    "prompt": AxisWords(
        LABELS["prompt"],
        "Same noise, same settings. Only the words change.",
        "What to look for: how much of the picture stays where it was, because the noise is the same.",
        "One prompt per line.",
    ),
    WORDS: AxisWords(
        "Words in the prompt",
        "Same noise, same settings. Only some words of the prompt change.",
        "What to look for: how much of the picture belongs to the exchanged words, and how much stays.",
        "One per line. The first line is what stands in the prompt; the others take its place.",
    ),
    "model": AxisWords(
        LABELS["model"],
        "Same words, same settings, same seed. Only the model changes.",
        "What to look for: what each was trained on shows before any setting does. Two models start from the same "
        "noise only where their latents have the same shape, so layouts need not agree.",
        "Choose two or more. One is in memory at a time, so each is read once in a run.",
    ),
    SIZE: AxisWords(
        "Size",
        "Same words, same settings, same seed. Only the size of the picture changes.",
        "What to look for: noise of another size is other noise, so the picture changes as well. Far from the size "
        "that it was trained on, a model loses the whole.",
        "Pixels per side, multiples of 8 from 64 to 1,024.",
    ),
    "guidance_rescale": AxisWords(
        LABELS["guidance_rescale"],
        "Same noise, same words. Only how much of guidance's change of contrast is taken back changes.",
        "What to look for: with a high guidance scale colours come back from saturation as this rises; at guidance 1 "
        "it does nothing.",
        "Numbers from 0 to 1. Ranges: 0, 0.25, .., 1.",
    ),
    "strength": AxisWords(
        LABELS["strength"],
        "Same picture, same noise, same words. Only how much of the run is done changes.",
        "What to look for: at low strength the start picture's layout and colours stay and the words show in details; "
        "towards 1 the words take over, and at 1 hardly anything of the start picture is left.",
        "Numbers from 0 to 1. Ranges: 0.2, 0.4, .., 1.",
    ),
    "controlnet_conditioning_scale": AxisWords(
        LABELS["controlnet_conditioning_scale"],
        "Same control picture, same noise, same words. Only how much the ControlNet adds changes.",
        "What to look for: at 0 it is as if there were no control; as it rises the picture follows the lines, and "
        "beyond 1 it can follow them too stiffly.",
        "Numbers from 0 to 2. Ranges: 0, 0.5, .., 2.",
    ),
    "control_guidance_start": AxisWords(
        LABELS["control_guidance_start"],
        "Same control picture, same noise, same words. Only when control begins changes.",
        "What to look for: layout is decided in the first steps, so control that comes late changes details only.",
        "Shares of the run from 0 to 1, below where control ends.",
    ),
    "control_guidance_end": AxisWords(
        LABELS["control_guidance_end"],
        "Same control picture, same noise, same words. Only when control ends changes.",
        "What to look for: control that ends early sets the layout and leaves the details to the words.",
        "Shares of the run from 0 to 1, above where control begins.",
    ),
    "eta": AxisWords(
        LABELS["eta"],
        "Same start, same words. Only how much fresh noise DDIM adds at each step changes.",
        "What to look for: at 0 DDIM adds none and its pictures stay as the steps grow; at 1 it adds as much as DDPM, "
        "and few steps leave some of it in the picture.",
        "Numbers from 0 to 1, with the sampler DDIM. Ranges: 0, 0.25, .., 1.",
    ),
    "clip_skip": AxisWords(
        LABELS["clip_skip"],
        "Same noise, same words. Only how many of CLIP's last layers are left out changes.",
        "What to look for: a model was trained with one of CLIP's layers; from an earlier one the words come less "
        "worked out, so subject or style may drift.",
        "Whole numbers from 0 on: layers left out. AUTOMATIC1111 counts from 1, so its 2 is 1 here.",
    ),
    "shift": AxisWords(
        LABELS["shift"],
        "Same noise, same words, same number of steps. Only where the steps lie changes.",
        "What to look for: a higher shift spends more of the steps in strong noise, where the layout is decided, and "
        "fewer on details.",
        "Numbers from 0 to 20; 1 leaves the steps evenly spaced in σ, 0 is the model's own.",
    ),
    LORA_WEIGHT: AxisWords(
        "LoRA weight",
        "Same noise, same words. Only the weight of one LoRA changes.",
        "What to look for: at 0 the model is as it was trained, at 1 the LoRA counts as it was trained. Between them "
        "it blends in; past 1 and below 0 it is pushed further than any training went.",
        "Numbers from −2 to 2. Ranges: 0, 0.25, .., 1.",
    ),
}

# of the guidance scale where the network is told it, and where the model has no use for it
TOLD = replace(
    AXES["guidance_scale"],
    look_for="What to look for: this network was taught to draw as if guided and is told the scale as a number, so "
    "that no value costs more than another. Far from the scales that it was taught with, pictures may break.",
)
NOT_USED = replace(
    AXES["guidance_scale"],
    look_for="What to look for: nothing. This model uses no guidance scale, so the pictures are equal.",
)

# of the embedded model, by sampler; other models place and scale their first step in other ways
ONE_STEP = {
    "patches": ("ddpm", "ddim"),
    "an even grey": ("euler", "euler_a", "heun", "dpmpp_sde"),
    "a blurred picture": ("dpmpp_2m", "dpmpp_2m_karras", "unipc", "lcm"),
}

LORAS = "Small files that change the network, blended by weight: 0 is without, 1 is as trained."
LCM = "lcm is made for the sampler LCM with guidance 1 to 2 and 2 to 8 steps."
FOUR_STEPS = (
    "LCM is a sampler that jumps to the predicted picture at each step and adds fresh noise, so that a few steps are "
    "enough for a network that was trained for it; the LoRA lcm is that training as a small file."
)


def key_of(axis: str) -> str:
    """A sweep's axis -> what is chosen under "Vary": LORA_WEIGHT for a LoRA's weight, WORDS for exchanged words."""
    if lora_of(axis) is not None or axis == "loras":
        return LORA_WEIGHT
    return axis if words_exchanged(axis) is None else WORDS


def words_of(axis: str, facts: Facts) -> AxisWords:
    """The words of a sweep's axis with this model; it may be a LoRA's weight or words exchanged in the prompt."""
    if axis == "guidance_scale" and not facts.has_guidance_scale:
        return NOT_USED
    if axis == "guidance_scale" and facts.guidance == "embedded":
        return TOLD
    if axis == "negative_prompt":
        words, scale = AXES[axis], inside(LABELS[facts.cfg or "guidance_scale"])
        return replace(words, look_for=words.look_for.format(cfg=scale, above=f"{facts.guided_above:g}"))
    return AXES[key_of(axis)]


def left_by_one_step() -> str:
    """What each sampler leaves of a run of one step with the embedded model, as one sentence."""
    left = [f"{', '.join(SAMPLERS[key].label for key in keys)} leave {what}" for what, keys in ONE_STEP.items()]
    return f"After one step {'; '.join(left)}."


def lora_help(names: Sequence[str]) -> str:
    """Beside the weights of these LoRAs."""
    return f"{LORAS} {LCM}" if "lcm" in names else LORAS
