"""Train a style LoRA: ordinary ε-prediction on restyled renders, with all of the U-Net's own weights frozen
(Hu et al. 2021, https://arxiv.org/abs/2106.09685).

    python -m examples.train_pocket.lora --style pixel_art --minutes 8
    python -m examples.train_pocket.lora --style ink_outline --minutes 8

Goes on from training/STYLE.pt, or else from the shipped file. Writes playground/models/pocket/loras/STYLE.safetensors.
The captions are those of the plain renders: the LoRA is the style, no trigger word is needed, and its weight says how
much of it. The restyled renders are encoded once and kept in training/styled_STYLE.pt.
"""

import itertools
import json
import random
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTokenizer

from . import restyle
from .latents import BATCH, encoder_stamp
from .learning.networks import trained_model
from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint, save_checkpoint
from .restyle import STYLES, restyled
from .scenes.captions import caption
from .scenes.scene import as_dict
from .scenes.sprites import Sprites
from .scenes.stream import Scenes
from .scenes.things import WORK
from .text import POCKET
from .unet import Batches, DenoisingLoss
from .vae import trained_vae

FOLDER = POCKET / "loras"
RANK = 3
LAYERS = (  # every linear layer and every convolution of the U-Net
    ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
    + ("conv1", "conv2", "conv_shortcut", "conv", "conv_in", "conv_out")
    + ("time_emb_proj", "linear_1", "linear_2")
)
OUTER = ("conv_in", "conv_out", "embedding", "time_emb")
LEARNING_RATE = 6e-3
SEED = 77  # of the restyled scenes
SHARES = {"common": 0.55, "single": 0.3, "recoloured": 0.15}  # one thing in each, as large as it gets


class Adapter:
    """A LoRA on a frozen U-Net: its parameters, their average, their optimizer, its checkpoint and its file.

    The change of a weight W is B·A with `rank` rows in A (Hu et al. 2021); B starts at zero, alpha equals the rank, so
    that a weight of 1 means the change as it was learned.
    """

    def __init__(self, unet: UNet2DConditionModel, rank: int, lr: float) -> None:
        self.unet, self.rank = unet.requires_grad_(False), rank
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LAYERS)))
        unet.to(memory_format=torch.channels_last)
        named = [(name, p) for name, p in unet.named_parameters() if p.requires_grad]
        self.weights = nn.ParameterList([p for _, p in named])
        self.optimizers, self.average = Optimizers(named, lr, OUTER), Average(self.weights, 0.99)
        self.samples, self.seconds = 0, 0.0

    def load(self, name: str) -> None:
        """Go on from training/NAME.pt, or else from the shipped file; the base may be newer than it was then."""
        if state := load_checkpoint(name):
            self.weights.load_state_dict(state["weights"])
            self.average.load_state_dict(state["average"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.samples, self.seconds = state["samples"], state["seconds"]
        elif (path := FOLDER / f"{name}.safetensors").exists():
            layers = {key.removeprefix("unet."): value.float() for key, value in load_file(path).items()}
            set_peft_model_state_dict(self.unet, layers)
            self.average = Average(self.weights, self.average.longest)

    def save(self, name: str, seconds: float) -> None:
        state = {"weights": self.weights.state_dict(), "average": self.average.state_dict()}
        state |= {"optimizers": self.optimizers.state_dict(), "samples": self.samples}
        save_checkpoint(name, state | {"seconds": self.seconds + seconds})

    def step(self, loss: torch.Tensor, rate: float, samples: int) -> None:
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizers.step(rate)
        self.average.update(self.weights)
        self.samples += samples

    def export(self, name: str) -> None:
        """The average as pocket/loras/NAME.safetensors, fp16, as `load_lora_weights` of diffusers reads it."""
        self.average.copy_to(self.weights)
        layers = get_peft_model_state_dict(self.unet)
        config = {"r": self.rank, "lora_alpha": self.rank, "target_modules": sorted(LAYERS)}
        StableDiffusionPipeline.save_lora_weights(
            FOLDER,
            unet_lora_layers={key: value.half().contiguous().cpu() for key, value in layers.items()},
            weight_name=f"{name}.safetensors",
            unet_lora_adapter_metadata=config,
        )
        path = FOLDER / f"{name}.safetensors"
        path.chmod(0o644)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {self.samples} samples", flush=True)


class StyledBank:
    """Restyled scenes encoded by the frozen autoencoder, with what `unet.Batches` asks of a bank."""

    def __init__(self, vae: AutoencoderKL, style: str, scenes: int, scaling_factor: float) -> None:
        self.scenes = [scene for scene, _ in itertools.islice(Scenes(SEED, SHARES), scenes)]
        stamp = encoder_stamp(vae) + Path(restyle.__file__).read_text() + json.dumps([as_dict(s) for s in self.scenes])
        path = WORK / f"styled_{style}.pt"
        stored = torch.load(path, weights_only=True) if path.exists() else {"stamp": None}
        if stored["stamp"] != stamp:
            stored = {"stamp": stamp, "latents": self._encoded(vae, style)}
            torch.save(stored, path)
        self.latents = (stored["latents"].float() * scaling_factor).half()  # (N, 4, 16, 16), unit variance

    @torch.no_grad()
    def _encoded(self, vae: AutoencoderKL, style: str) -> torch.Tensor:
        """-> posterior means (N, 4, 16, 16) fp16, unscaled"""
        sprites, start, latents = Sprites(), time.monotonic(), []
        for first in range(0, len(self.scenes), BATCH):
            drawn = [restyled(scene, sprites, style) for scene in self.scenes[first : first + BATCH]]
            pictures = torch.stack([torch.from_numpy(picture) for picture in drawn]).permute(0, 3, 1, 2).to(vae.device)
            batch = (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            latents.append(vae.encode(batch).latent_dist.mode().half().cpu().contiguous())
        print(f"{len(self.scenes)} pictures encoded, {len(self.scenes) / (time.monotonic() - start):.0f}/s", flush=True)
        return torch.cat(latents)

    def grow(self) -> int:
        return 0

    def caption(self, rng: random.Random, i: int) -> str:
        return caption(rng, self.scenes[i])


def main() -> None:
    parser = arguments(__doc__, minutes=8, batch=16)
    parser.add_argument("--style", choices=list(STYLES), required=True)
    parser.add_argument("--scenes", type=int, default=2400, help="restyled renders to learn from")
    args = parser.parse_args()
    device = device_and_threads()
    torch.manual_seed(args.seed)
    model, scaling_factor = trained_model(device)
    bank = StyledBank(trained_vae(device), args.style, args.scenes, scaling_factor)
    adapter = Adapter(model.unet, RANK, LEARNING_RATE * args.lr)
    adapter.load(args.style)
    batches = Batches(bank, CLIPTokenizer.from_pretrained(POCKET / "tokenizer"), device, args.seed + adapter.samples)
    loss_of = DenoisingLoss(device)
    budget, shown, saved, losses = Budget(args.minutes, args.cooldown, 20), time.monotonic(), time.monotonic(), []
    for step, rate in budget:
        latents, ids = batches.next(args.batch)
        loss = loss_of(model, latents, ids)
        adapter.step(loss, rate, len(latents))
        losses.append(loss.detach())
        if step % 25 == 24:
            took, shown = time.monotonic() - shown, time.monotonic()
            mean = torch.stack(losses[-25:]).mean().item()
            speed = 25 * args.batch / took
            print(f"{step + 1} samples={adapter.samples} {speed:.1f}/s loss={mean:.4f}", flush=True)
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            adapter.save(args.style, time.monotonic() - budget.start)
    adapter.save(args.style, time.monotonic() - budget.start)
    adapter.export(args.style)


if __name__ == "__main__":
    main()
