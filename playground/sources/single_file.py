"""One `.safetensors` file with a whole Stable Diffusion in it, in the layout it was published in: which one is it?

The names of its tensors tell. A folder of the same name beside it (`NAME/` for `NAME.safetensors`), in diffusers layout
and without weights, says the settings where they are not the published ones: other sizes, schedule or tokenizer.
"""

from pathlib import Path

from playground.refusal import Refusal
from playground.sources.header import Header, read
from playground.sources.parts import INDEX

LAYOUTS = Path(__file__).parents[1] / "models" / "layouts"  # settings of the published models, a folder each
UNET, VAE = "model.diffusion_model.", "first_stage_model."
# layout -> how people call it, the text encoders' names, and the U-Net's weight that tells the width of its words
PUBLISHED = {
    "sd1": ("Stable Diffusion 1.x", ("cond_stage_model.transformer.text_model.",), "input_blocks.1.1", 768),
    "sd2": ("Stable Diffusion 2.x", ("cond_stage_model.model.",), "input_blocks.1.1", 1024),
    "sdxl": (
        "SDXL",
        ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."),
        "input_blocks.4.1",
        2048,
    ),
}
HERE = "Stable Diffusion 1.x, 2.x and SDXL"
FOLDER = "give its folder in diffusers layout instead"
# names of tensors that begin so -> what such a file is
OTHERS = (
    (("control_model.", "input_hint_block.", "controlnet_cond_embedding."), "is a ControlNet, not a model"),
    (("joint_blocks.", f"{UNET}joint_blocks."), f"is of SD 3, which is not read from one file here; {FOLDER}"),
    (("double_blocks.", f"{UNET}double_blocks."), f"is of Flux, which is not read from one file here; {FOLDER}"),
    (
        ("edm_mean", "edm_vpred."),  # Playground 2.5, CosXL
        f"was taught with EDM's schedule, which is not read from one file here; {FOLDER}",
    ),
    (
        ("down_blocks.", "transformer_blocks.", "text_model."),
        "is one part of a model in diffusers layout; give its folder",
    ),
    (("encoder.", "decoder.", "quant_conv."), "holds a VAE only, not a whole model"),
    (("input_blocks.",), "holds a U-Net only, without text encoder and VAE"),
)
LORA = ("lora_", ".lora", ".hada_", ".lokr_")
INPUT = f"{UNET}input_blocks.0.0.weight"  # (channels, those of the latents, 3, 3)
LATENTS = 4  # channels; inpainting, depth and upscaling models are given more


def layout(path: Path) -> str:
    """One of PUBLISHED. Raises Refusal, with one sentence, for a file that is no whole model of these."""
    return layout_of(read(path), path)


def layout_of(header: Header, path: Path) -> str:
    """The same, of a header that was read."""
    if any(part in name for name in header.shapes for part in LORA):
        raise Refusal(f"{path.name} is a LoRA, not a model: it goes into the folder loras of a model that it fits.")
    if not header.any(UNET):
        said = next((said for beginnings, said in OTHERS if header.any(*beginnings)), "")
        said = said or (
            "holds a VAE only, not a whole model" if header.any(VAE) else "holds no model that is known here"
        )
        raise Refusal(f"{path.name} {said}.")
    for beginnings, said in OTHERS[1:4]:
        if header.any(*beginnings):
            raise Refusal(f"{path.name} {said}.")
    if any(name.startswith(UNET) and "cond_proj" in name for name in header.shapes):  # of latent consistency models
        raise Refusal(f"{path.name} is told the guidance scale, which is not read from one file here; {FOLDER}.")
    if header.any("conditioner.embedders.0.model."):
        raise Refusal(
            f"{path.name} is SDXL's refiner, which draws on pictures of another model; it cannot be run here."
        )
    found = next((key for key, (_, texts, *_) in PUBLISHED.items() if all(map(header.any, texts))), None)
    if found is None:
        raise Refusal(f"{path.name} has no text encoder of {HERE}, so words would say nothing to it.")
    if not header.any(VAE):
        raise Refusal(f"{path.name} has no VAE, which turns latents into pictures.")
    if settings_beside(path) is None:
        _check_sizes(header, path, found)
    return found


def settings(path: Path, published: str) -> Path:
    """The folder whose settings hold for this file."""
    return settings_beside(path) or LAYOUTS / published


def settings_beside(path: Path) -> Path | None:
    """The folder of its own name beside it, where that says settings."""
    beside = path.with_suffix("")
    return beside if (beside / INDEX).is_file() else None


def _check_sizes(header: Header, path: Path, found: str) -> None:
    title, _, block, width = PUBLISHED[found]
    channels = header.shapes.get(INPUT, (0, 0))[1]
    words = header.shapes.get(f"{UNET}{block}.transformer_blocks.0.attn2.to_k.weight", (0,))[-1]
    if channels > LATENTS:
        raise Refusal(
            f"{path.name} is a kind of {title} that is also given a picture, such as for inpainting: not run here."
        )
    if channels != LATENTS or words != width:
        raise Refusal(
            f"{path.name} is laid out like {title} but has other sizes; a folder {path.stem} beside it can say them."
        )
