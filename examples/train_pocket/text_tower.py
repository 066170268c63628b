"""Should the U-Net's training tune the text encoder? Two small U-Nets from scratch, on the same batches and noise.

    python -m examples.train_pocket.clip --minutes 3 --text tune      # first: a contrastive text tower
    python -m examples.train_pocket.text_tower --minutes 10           # both arms together, one step each in turn

Both start with the same contrastively trained text encoder, which itself started from the model's own. One keeps it
frozen, as Stable Diffusion does (Rombach et al. 2022, https://arxiv.org/abs/2112.10752), the other goes on tuning it.
Written to text_tower.json beside the weights: the loss ‖ε − ε_θ‖² per value on the same held-out latents, captions,
timesteps and noise, and the same without the captions. The standard error is that of the mean difference over held-out
rows; it says nothing about other seeds of training. The U-Nets are narrower than Pocket's, so that few minutes suffice.
"""

import copy
import json
import random
import time

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from .latents import Bank
from .learning.networks import CONFIG, TextToNoise
from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint
from .text import POCKET, token_ids
from .unet import Batches, DenoisingLoss
from .vae import trained_vae

SMALL = {"block_out_channels": (32, 64, 96), "attention_head_dim": (1, 2, 3)}
HELD_OUT = 768  # scenes at the end of the bank that neither arm trains on
DRAWS = 2  # of timestep and noise for each of them
ARMS = ("frozen", "tuned")


def starting_point(tokenizer: CLIPTokenizer) -> tuple[TextToNoise, dict]:
    """A narrow U-Net from scratch with the contrastive text encoder, and the checkpoint of the latter."""
    state = load_checkpoint("clip_tuned")
    if state is None:
        raise SystemExit("There is no training/clip_tuned.pt; run `clip --minutes 3 --text tune` first.")
    model = TextToNoise(tokenizer)
    model.unet = UNet2DConditionModel(**CONFIG | SMALL)
    start = "text_encoder."
    weights = {n.removeprefix(start): w for n, w in state["towers"].items() if n.startswith(start)}
    model.text_encoder.load_state_dict(weights)
    return model, state


class HeldOut:
    """The last scenes of a bank, taken out of it, each with one caption and fixed draws of timestep and noise."""

    def __init__(self, bank: Bank, tokenizer: CLIPTokenizer, schedule: DDPMScheduler) -> None:
        rng, draws = random.Random("text tower"), torch.Generator().manual_seed(1)
        n = HELD_OUT * DRAWS
        captions = [bank.caption(rng, i) for i in range(len(bank.scenes) - HELD_OUT, len(bank.scenes))]
        latents = bank.latents[-HELD_OUT:].float().cpu().repeat(DRAWS, 1, 1, 1)
        bank.scenes, bank.latents = bank.scenes[:-HELD_OUT], bank.latents[:-HELD_OUT]
        self.ids = token_ids(tokenizer, captions).repeat(DRAWS, 1)
        self.empty = token_ids(tokenizer, [""]).expand(n, -1)
        self.t = (torch.randperm(n, generator=draws) + 0.5).mul(1000 / n).long()  # every part of 0…999 equally often
        self.noise = torch.randn(latents.shape, generator=draws)
        self.noisy = schedule.add_noise(latents, self.noise, self.t)

    @torch.no_grad()
    def losses(self, model: TextToNoise, ids: Tensor, device: torch.device) -> Tensor:
        """-> (n,), the mean squared error of each row"""
        rows = zip(self.noisy.split(64), self.t.split(64), ids.split(64), self.noise.split(64), strict=True)
        return torch.cat(
            [
                (model(x.to(device), t.to(device), i.to(device)).cpu() - e).square().mean((1, 2, 3))
                for x, t, i, e in rows
            ]
        )


def main() -> None:
    args = arguments(__doc__, minutes=10, batch=48).parse_args()
    device = device_and_threads()
    tokenizer, draws = CLIPTokenizer.from_pretrained(POCKET / "tokenizer"), DenoisingLoss(device)
    schedule, weight = draws.schedule, draws.weight
    bank = Bank(trained_vae(device))
    held_out, batches = HeldOut(bank, tokenizer, schedule), Batches(bank, tokenizer, device, args.seed)
    torch.manual_seed(args.seed)
    start, contrastive = starting_point(tokenizer)
    models = {arm: copy.deepcopy(start).to(device) for arm in ARMS}
    models["frozen"].text_encoder.requires_grad_(False)
    outer = ("conv_in", "conv_out", "embedding", "time_emb")
    optimizers, averages = {}, {arm: Average(models[arm], 0.995) for arm in ARMS}
    for arm in ARMS:
        trained = [(name, p) for name, p in models[arm].named_parameters() if p.requires_grad]
        optimizers[arm] = Optimizers(trained, 1e-3 * args.lr, outer)
    samples, shown = 0, time.monotonic()
    for step, rate in Budget(args.minutes, args.cooldown):
        latents, ids = batches.next(args.batch)
        noise = torch.randn_like(latents)
        t = torch.multinomial(weight, len(latents), replacement=True)
        noisy, losses = schedule.add_noise(latents, noise, t), {}
        for arm in ARMS:
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                predicted = models[arm](noisy, t, ids)
            loss = F.mse_loss(predicted.float(), noise)
            loss.backward()
            nn.utils.clip_grad_norm_(models[arm].parameters(), 1.0)
            optimizers[arm].step(rate)
            averages[arm].update(models[arm])
            losses[arm] = loss.item()
        samples += len(latents)
        if step % 25 == 24:
            took, shown = time.monotonic() - shown, time.monotonic()
            both = " ".join(f"{arm}={loss:.4f}" for arm, loss in losses.items())
            print(f"{step + 1} samples={samples} {25 * args.batch / took:.1f}/s in both {both}", flush=True)
    for arm in ARMS:
        averages[arm].copy_to(models[arm])
    with_words = {arm: held_out.losses(models[arm], held_out.ids, device) for arm in ARMS}
    without = {arm: held_out.losses(models[arm], held_out.empty, device) for arm in ARMS}
    difference = with_words["frozen"] - with_words["tuned"]
    report = {
        "contrastive_samples": contrastive["samples"],
        "unet_parameters": sum(p.numel() for p in start.unet.parameters()),
        "samples": samples,
        "held_out": len(difference),
        "loss": {arm: round(with_words[arm].mean().item(), 5) for arm in ARMS},
        "loss_without_caption": {arm: round(without[arm].mean().item(), 5) for arm in ARMS},
        "frozen_minus_tuned": round(difference.mean().item(), 5),
        "standard_error": round((difference.std() / len(difference) ** 0.5).item(), 5),
    }
    (POCKET / "text_tower.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
