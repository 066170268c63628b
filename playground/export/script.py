"""One cell as a program of a page: diffusers alone, and the same picture."""

from pathlib import Path

from playground.export import loras, weights
from playground.labels import CONTROLS
from playground.models import Facts
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.schedule import scheduler_class

EMBEDDED = Path(__file__).parents[1] / "models"  # where the models stand that come with the playground

LATE_ONES = ("guidance_rescale", "eta", "clip_skip")  # arguments that the program has only where a recipe has them
START = "start.png"  # what the program calls the picture that it starts from, which must lie beside it
SHOWN = "control.png"  # and the one that a ControlNet is shown
TOLD = ("prediction_type", "timestep_spacing", "rescale_betas_zero_snr")  # of its schedule, by a single file
# diffusers looks for the last norm of Stable Diffusion's CLIP where older transformers had it
OWN_NORM = """if not hasattr(pipe.text_encoder, "text_model"):  # of newer transformers it is the encoder itself
    object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
"""
TEMPLATE = '''"""One picture of the diffusion playground, made by diffusers alone.

pip install {packages}
python picture.py {usage}
{needs}
The same seed gives the same picture: the noise is drawn on the CPU. Another device or precision changes it slightly.
"""

import sys
{standard}
import torch
from diffusers import {imported}
{imports}
{arguments}{control}pipe = {loads}
{schedules}{loras}{texts}image = pipe(
{words}
    num_inference_steps={num_inference_steps},{told}
{begins}
    generator=torch.Generator("cpu").manual_seed({seed}),
).images[0]
image.save("picture.png")
'''


def to_script(recipe: Recipe, facts: Facts) -> str:
    """A recipe, and its model's facts -> the source of a Python program that draws it.

    The folder of a model that comes with the playground is named as it is here; others are named by their model. The
    program's arguments say where they, a ControlNet and LoRAs are. Raises Refusal where diffusers alone cannot draw it.
    """
    scheduler, config = scheduler_class(recipe, facts.schedule)
    if facts.one_file:  # which diffusers alone might take for another kind
        config = {name: facts.schedule[name] for name in TOLD if name in facts.schedule} | config
    changed = ", ".join(["pipe.scheduler.config", *(f"{name}={value!r}" for name, value in config.items())])
    schedulers = [] if facts.whole else [scheduler]  # such a model draws with its pipeline's own
    begins = _begins(recipe, facts.one_file or "DiffusionPipeline")
    standard, others = loras.imports(recipe, facts)
    begins["imports"] += others
    arguments = _arguments(recipe, facts)
    pipelines = dict.fromkeys(filter(None, (facts.one_file, begins["pipeline"])))
    packages = ["diffusers", "transformers", "accelerate", "torch"]
    if SAMPLERS[recipe.sampler].brownian_noise:
        packages.append("torchsde")
    if recipe.active_loras:
        packages.append("peft")
    told = {name: source.format(recipe) for name, source in facts.call.items()}
    if recipe.prompt_weights:  # both texts are given encoded
        told.pop("negative_prompt", None)
    told |= {name: repr(value) for name in LATE_ONES if (value := getattr(recipe, name))}
    return TEMPLATE.format(
        packages=" ".join(packages),
        usage=" ".join(f"[{title}]" for _, title, _ in arguments),
        arguments="".join(
            f"{name} = sys.argv[{i}] if len(sys.argv) > {i} else {unless}\n"
            for i, (name, _, unless) in enumerate(arguments, 1)
        ),
        loads=_loads(begins["pipeline"], begins["given"], facts),
        standard=standard,
        imported=", ".join([*pipelines, *schedulers]),
        schedules="".join(f"pipe.scheduler = {name}.from_config({changed})\n" for name in schedulers),
        loras=loras.lines(recipe, facts),
        texts=_texts(recipe, facts),
        words=weights.GIVEN if recipe.prompt_weights else f"    prompt={recipe.prompt!r},",
        num_inference_steps=recipe.num_inference_steps,
        told="".join(f"\n    {name}={source}," for name, source in told.items()),
        **begins,
        seed=recipe.seed,
    )


def _texts(recipe: Recipe, facts: Facts) -> str:
    """What is done to the words before the pipeline's call."""
    if recipe.prompt_weights:
        return weights.lines(recipe, facts.guided(recipe))
    return OWN_NORM if recipe.clip_skip and facts.network == "U-Net" and not facts.pooled else ""


def _arguments(recipe: Recipe, facts: Facts) -> list[tuple[str, str, str]]:
    """The program's arguments, all optional: (its name for it, the reader's, what it takes without)."""
    embedded = EMBEDDED / recipe.model / "model_index.json"
    folder = f"playground/models/{recipe.model}" if embedded.is_file() else recipe.model
    if not facts.one_file:
        found = [("folder", "MODEL FOLDER", repr(folder))]
    else:  # whose settings and tokenizers diffusers otherwise fetches from the hub
        found = [("file", "MODEL FILE", repr(f"{folder}.safetensors")), ("settings", "SETTINGS FOLDER", "None")]
    if recipe.control_image:
        found.append(("controlnet", "CONTROLNET FOLDER", '"controlnet"'))
    if recipe.active_loras:
        below = 'str(Path(file).with_name("loras"))' if facts.one_file else 'folder + "/loras"'
        found.append(("loras", "LORA FOLDER", below))
    return found


def _loads(pipeline: str, given: str, facts: Facts) -> str:
    if not facts.one_file:
        return f"{pipeline}.from_pretrained(folder, dtype=torch.float32, local_files_only=True{given})"
    loads = f"{facts.one_file}.from_single_file(file, dtype=torch.float32, config=settings)"
    return loads if pipeline == facts.one_file else f"{loads}\npipe = {pipeline}.from_pipe(pipe{given})"


def _begins(recipe: Recipe, alone: str) -> dict[str, str]:
    """What differs between a program from words and noise alone and one that is given pictures."""
    size = f"    width={recipe.width},\n    height={recipe.height},"
    names = [name for name, given in ((START, recipe.image), (SHOWN, recipe.control_image)) if given]
    told = {"pipeline": alone, "imports": "", "needs": "", "control": "", "given": ""}
    if not names:
        return told | {"begins": size}
    told["needs"] = f"\nBeside it must lie: {', '.join(names)}.\n"
    told["imports"] = "from PIL import Image\n"
    told["pipeline"] = "AutoPipelineForImage2Image" if recipe.image else "AutoPipelineForText2Image"
    lines = []
    if recipe.image:
        runs = f"int({recipe.num_inference_steps} * {recipe.strength!r}) = {recipe.steps_run} steps are run"
        lines += [f"image={_opened(START)},", f"strength={recipe.strength!r},  # {runs}"]
    if recipe.control_image:
        told["imports"] += "from diffusers import ControlNetModel\n"
        told["control"] = "controlnet = ControlNetModel.from_pretrained(controlnet, dtype=torch.float32)\n"
        told["given"] = ", controlnet=controlnet"
        lines += [f"{'control_image' if recipe.image else 'image'}={_opened(SHOWN)},"]
        lines += [f"{name}={getattr(recipe, name)!r}," for name in CONTROLS]
    begins = "\n".join(f"    {line}" for line in lines)
    return told | {"begins": begins if recipe.image else f"{begins}\n{size}"}


def _opened(name: str) -> str:
    return f'Image.open("{name}").convert("RGB")'
