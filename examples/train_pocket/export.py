"""Write the trained weights to playground/models/pocket in diffusers layout: fp16 safetensors, each file under 10 MB.

python -m examples.train_pocket.export
"""

import json

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from .learning.networks import SCHEDULE, TextToNoise
from .learning.train import Average, load_checkpoint
from .text import POCKET
from .vae import trained_vae

MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def main() -> None:
    state = load_checkpoint("unet")
    if state is None:
        raise SystemExit("There is no training/unet.pt to export; run examples.train_pocket.unet first.")
    model = TextToNoise(CLIPTokenizer.from_pretrained(POCKET / "tokenizer"))
    average = Average(model)
    average.load_state_dict(state["average"])
    average.copy_to(model)
    vae: AutoencoderKL = trained_vae(torch.device("cpu"))
    vae.register_to_config(scaling_factor=state["scaling_factor"])
    for name, part in (("unet", model.unet), ("text_encoder", model.text_encoder), ("vae", vae)):
        for old in (POCKET / name).glob("*.safetensors*"):
            old.unlink()
        part.half().save_pretrained(POCKET / name, max_shard_size="9MB")
    path = POCKET / "vae" / "config.json"  # says from which folder it was loaded
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "_name_or_path" not in line))
    # The files are fp16 to be small; the config asks transformers for fp32, which is what runs on every CPU.
    config = POCKET / "text_encoder" / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))
    # Written by hand: `save_pretrained` would also write one class's defaults, and other schedulers would take them.
    schedule = {"_class_name": "DDIMScheduler", **SCHEDULE, "set_alpha_to_one": False, "steps_offset": 1}
    (POCKET / "scheduler").mkdir(exist_ok=True)
    (POCKET / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule, indent=2) + "\n")
    (POCKET / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2) + "\n")
    print(f"{sum(p.stat().st_size for p in POCKET.rglob('*.safetensors')) / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
