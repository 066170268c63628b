"""Train the denoiser and, with it, the text encoder: L = ‖ε − ε_θ(x_t, t, text)‖² (Ho et al. 2020).

    python -m examples.train_pocket.unet --minutes 100          # starts, or goes on from training/unet.pt
    python -m examples.train_pocket.unet --minutes 10 --cooldown 0

It learns from the bank that `latents` makes, from the first shard on; later shards join while it runs.

Timesteps are drawn in proportion to the min-SNR-5 weight of their loss (Hang et al. 2023,
https://arxiv.org/abs/2303.09556) instead of weighing uniform draws: the same expected gradient, none of it wasted on
steps that hardly count. One caption in ten is empty, which is what classifier-free guidance needs
(Ho & Salimans 2022, https://arxiv.org/abs/2207.12598).
"""

import random
import time

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from .latents import Bank
from .text import POCKET, new_text_encoder, token_ids
from .train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint, save_checkpoint
from .vae import trained_vae

CONFIG = dict(
    sample_size=16,
    in_channels=4,
    out_channels=4,
    block_out_channels=(64, 128, 224),
    layers_per_block=1,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=192,
    attention_head_dim=(2, 4, 7),  # diffusers' name for the number of heads: 32 channels each
    norm_num_groups=16,
)
SCHEDULE = dict(  # Stable Diffusion's own
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="epsilon",
    clip_sample=False,
)
EMPTY_CAPTIONS = 0.1
MIN_SNR = 5.0


class TextToNoise(nn.Module):
    """The two networks that learn together."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text_encoder = new_text_encoder(tokenizer)
        self.unet = UNet2DConditionModel(**CONFIG)

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """x_t (B, 4, 16, 16), t (B,), ids (B, 32) -> ε_θ (B, 4, 16, 16)"""
        return self.unet(noisy, t, self.text_encoder(ids).last_hidden_state).sample


class Batches:
    """Random (latents, token ids) from the bank, empty captions included; new shards join as they appear."""

    def __init__(self, bank: Bank, tokenizer: CLIPTokenizer, device: torch.device, seed: int) -> None:
        self.bank, self.tokenizer, self.device = bank, tokenizer, device
        bank.latents = bank.latents.to(device)
        self.rng, self.order, self.calls = random.Random(seed), [], 0

    def next(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        if self.calls % 100 == 0 and (added := self.bank.grow()):
            self.order += range(len(self.bank.scenes) - added, len(self.bank.scenes))
            self.rng.shuffle(self.order)
            print(f"the bank has {len(self.bank.scenes)} scenes now", flush=True)
        while len(self.order) < n:  # every scene once before any a second time
            self.order += self.rng.sample(range(len(self.bank.scenes)), len(self.bank.scenes))
        chosen, self.order = self.order[:n], self.order[n:]
        captions = ["" if self.rng.random() < EMPTY_CAPTIONS else self.bank.caption(self.rng, i) for i in chosen]
        ids = token_ids(self.tokenizer, captions).to(self.device)
        return self.bank.latents[torch.tensor(chosen, device=self.device)].float(), ids


class DenoisingLoss:
    """mean ‖ε − ε_θ(x_t, t, text)‖² of a batch, its timesteps drawn by the min-SNR-5 weight of their loss."""

    def __init__(self, device: torch.device) -> None:
        self.schedule = DDPMScheduler(**SCHEDULE)
        snr = self.schedule.alphas_cumprod / (1 - self.schedule.alphas_cumprod)
        self.weight = (snr.clamp(max=MIN_SNR) / snr).to(device)  # (1000,)

    def __call__(self, model: TextToNoise, latents: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """x₀ (B, 4, 16, 16), ids (B, 32) -> scalar"""
        noise = torch.randn_like(latents)
        t = torch.multinomial(self.weight, len(latents), replacement=True)
        noisy = self.schedule.add_noise(latents, noise, t).contiguous(memory_format=torch.channels_last)
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=latents.device.type == "cuda"):
            predicted = model(noisy, t, ids)
        return F.mse_loss(predicted.float(), noise)


def main() -> None:
    args = arguments(__doc__, minutes=100, batch=48).parse_args()
    device = device_and_threads()
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    bank = Bank(trained_vae(device))
    torch.manual_seed(args.seed)
    model = TextToNoise(tokenizer).to(device)
    model.unet.to(memory_format=torch.channels_last)
    samples, seconds = 0, 0.0
    state = load_checkpoint("unet")
    if state:
        model.load_state_dict(state["model"])
        samples, seconds = state["samples"], state["seconds"]
    elif (POCKET / "unet").exists():
        model.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(POCKET / "text_encoder").state_dict())
        model.unet.load_state_dict(UNet2DConditionModel.from_pretrained(POCKET / "unet").state_dict())
    outer = ("conv_in", "conv_out", "embedding", "time_emb")
    optimizers = Optimizers(list(model.named_parameters()), 1e-3 * args.lr, outer)
    average = Average(model, 0.9995)
    if state:
        optimizers.load_state_dict(state["optimizers"])
        average.load_state_dict(state["average"])
    batches = Batches(bank, tokenizer, device, args.seed + samples)
    loss_of = DenoisingLoss(device)

    def checkpoint() -> None:
        state = {"model": model.state_dict(), "average": average.state_dict(), "optimizers": optimizers.state_dict()}
        state |= {"samples": samples, "seconds": seconds + time.monotonic() - budget.start}
        save_checkpoint("unet", state | {"scaling_factor": bank.scaling_factor})

    budget, shown, saved, losses = Budget(args.minutes, args.cooldown), time.monotonic(), time.monotonic(), []
    for step, rate in budget:
        latents, ids = batches.next(args.batch)
        loss = loss_of(model, latents, ids)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(rate)
        average.update(model)
        samples += len(latents)
        losses.append(loss.detach())
        if step % 25 == 24:
            took, shown = time.monotonic() - shown, time.monotonic()
            mean = torch.stack(losses[-25:]).mean().item()
            print(f"{step + 1} samples={samples} {25 * args.batch / took:.1f}/s loss={mean:.4f}", flush=True)
        if time.monotonic() - saved > 240:
            saved = time.monotonic()
            checkpoint()
    checkpoint()


if __name__ == "__main__":
    main()
