"""Train the denoiser and, with it, the text encoder: L = ‖ε − ε_θ(x_t, t, text)‖² (Ho et al. 2020).

    python -m examples.train_pocket.unet --minutes 100          # starts, or goes on from training/unet.pt
    python -m examples.train_pocket.unet --minutes 100 --cooldown 0 --workers 2

It learns from the bank that `latents` makes, from the first shard on; later shards join while it runs, and `diet` puts
new scenes together from the parts of theirs.

Half of the timesteps are drawn in proportion to the min-SNR-5 weight of their loss (Hang et al. 2023,
https://arxiv.org/abs/2303.09556) instead of weighing uniform draws: the same expected gradient, none of it wasted on
steps that hardly count. A quarter are drawn with log SNR ~ N(0, 1.5) (as Karras et al. 2022 draw theirs,
https://arxiv.org/abs/2206.00364), where the shapes of small things are decided, and a quarter where there is much more
noise than signal, where it is decided how many things there will be and on which side. Cells that show a thing count
three times, and a small loss asks that each noun's attention lies on its own cells (binding.py).

On a CPU every core has a process of its own, and they average their weights twice a minute (workers.py).
"""

import argparse
import math
import os
import random
import time

import torch
import torch.multiprocessing as mp
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTokenizer

from .latents import Bank
from .learning.binding import labels, misplaced
from .learning.diet import EMPTY_CAPTIONS, Diet, covered
from .learning.networks import SCHEDULE, TextToNoise, made_fast, minutes_of_shipped, started, tokenizer
from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads, has_bf16, save_checkpoint
from .learning.workers import ROUND, Meeting
from .scenes.scene import Scene
from .text import token_ids
from .vae import trained_vae

MIN_SNR = 5.0
LOG_SNR_SPREAD = 1.5  # of the timesteps that are drawn around equal parts of signal and noise
EARLY_SNR = 0.25  # below it lie the timesteps where number and place are decided
ON_THINGS = 3.0  # weight of a cell that shows a thing, where one without has 1
OUTER = ("conv_in", "conv_out", "embedding", "time_emb")  # layers that AdamW trains instead of Muon
AVERAGED = 0.995  # of the averaged weights, what a step leaves: a horizon of two hundred steps
BROKEN = 3.0  # times the lowest loss of a round: training has broken down, and its weights are not to be kept
SAVED = 240  # seconds between two checkpoints


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


def timestep_shares(snr: torch.Tensor) -> torch.Tensor:
    """Signal to noise ratio of every timestep (1000,) -> how often each is drawn (1000,), sum 1"""
    min_snr = snr.clamp(max=MIN_SNR) / snr
    log_snr = snr.log()
    spacing = -torch.gradient(log_snr)[0]  # a density over log SNR becomes one over timesteps
    normal = torch.exp(-0.5 * (log_snr / LOG_SNR_SPREAD) ** 2) * spacing
    early = (snr < EARLY_SNR).float()
    return 0.5 * min_snr / min_snr.sum() + 0.25 * normal / normal.sum() + 0.25 * early / early.sum()


class DenoisingLoss:
    """mean ‖ε − ε_θ(x_t, t, text)‖² of a batch, with timesteps drawn by `timestep_shares`."""

    def __init__(self, device: torch.device) -> None:
        self.schedule = DDPMScheduler(**SCHEDULE)
        kept = self.schedule.alphas_cumprod
        self.weight = timestep_shares(kept / (1 - kept)).to(device)  # (1000,)
        self.bf16 = has_bf16(device)

    def __call__(
        self, model: TextToNoise, latents: torch.Tensor, ids: torch.Tensor, cells: torch.Tensor | None = None
    ) -> torch.Tensor:
        """x₀ (B, 4, 16, 16), ids (B, 32), weights of the cells (B, 16, 16) of mean 1 -> scalar"""
        noise = torch.randn_like(latents)
        t = torch.multinomial(self.weight, len(latents), replacement=True)
        noisy = self.schedule.add_noise(latents, noise, t).contiguous(memory_format=torch.channels_last)
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=self.bf16):
            predicted = model(noisy, t, ids)
        errors = (predicted.float() - noise).square().mean(1)  # (B, 16, 16)
        return (errors if cells is None else errors * cells).mean()


def cell_weights(scenes: list[Scene]) -> torch.Tensor:
    """-> (B, 16, 16), more where a thing is, mean 1 in every sample"""
    weights = torch.stack([1 + (ON_THINGS - 1) * covered(scene).any(0) for scene in scenes])
    return weights / weights.mean((1, 2), keepdim=True)


def learn(rank: int, meeting: Meeting, args: argparse.Namespace) -> None:
    """One worker: train, meet the others every ROUND seconds; the first one prints and saves."""
    device = device_and_threads()
    if meeting.n > 1:
        torch.set_num_threads(1)
    model, state, samples = started()
    seen: list[torch.Tensor] = []
    made_fast(model, device, seen if args.bound else None)
    optimizers = Optimizers(list(model.named_parameters()), 1e-3 * args.lr, OUTER)
    average, seconds = Average(model, AVERAGED), 60.0 * minutes_of_shipped()
    if state:
        optimizers.load_state_dict(state["optimizers"])
        average.load_state_dict(state["average"])
        seconds = state["seconds"]
    bank = Bank(trained_vae(device))
    torch.manual_seed(args.seed + samples + rank)
    words = tokenizer()
    diet = Diet(bank, words, args.seed + samples + rank)
    loss_of = DenoisingLoss(device)

    def checkpoint() -> None:
        state = {"model": model.state_dict(), "average": average.state_dict(), "optimizers": optimizers.state_dict()}
        state |= {"samples": samples, "seconds": seconds + time.monotonic() - budget.start}
        save_checkpoint("unet", state | {"scaling_factor": bank.scaling_factor})

    budget, step, over, lowest = Budget(args.minutes, args.cooldown), 0, False, math.inf
    met = saved = time.monotonic()
    while not over:
        taken, losses, aways = 0, [], []
        while not taken or (time.monotonic() - met < ROUND and budget.used() < 1):
            shown = diet.next(args.batch)
            cells = cell_weights(shown.scenes).to(device)
            loss = loss_of(model, shown.latents.to(device), shown.ids.to(device), cells)
            away = misplaced(seen, *(x.to(device) for x in labels(shown.scenes, shown.captions, words)))
            seen.clear()
            (loss + args.bound * away).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizers.step(budget.rate(step))
            losses.append(loss.detach())
            aways.append(float(away))
            taken, step = taken + 1, step + 1
        total = torch.stack(losses).sum().item()
        done, over = meeting.meet(rank, model, taken, taken * args.batch, total, budget.used() >= 1)
        took, met = time.monotonic() - met, time.monotonic()
        if not done.loss < BROKEN * lowest:
            raise SystemExit(f"The loss is {done.loss} after {lowest}; training/unet.pt is from before that.")
        lowest = min(lowest, done.loss)
        average.update(model, done.steps)
        samples += done.samples
        if rank == 0:
            said = f"samples={samples} {done.samples / took:.1f}/s loss={done.loss:.4f} bank={len(bank.scenes)}"
            said += f" misplaced={sum(aways) / taken:.3f}" if args.bound else ""
            print(f"{time.strftime('%H:%M:%S')} {said}", flush=True)
            if over or time.monotonic() - saved > SAVED:
                checkpoint()
                saved = time.monotonic()


def main() -> None:
    parser = arguments(__doc__, minutes=100, batch=128)
    cores = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, help="processes of one thread each, averaged")
    parser.add_argument("--bound", type=float, default=0.03, help="weight of the loss that binds words to places")
    args = parser.parse_args()
    values = sum(p.numel() for p in TextToNoise(tokenizer()).parameters())
    meeting = Meeting(args.workers, values if args.workers > 1 else 0)
    if args.workers == 1:
        learn(0, meeting, args)
    else:
        mp.spawn(learn, (meeting, args), nprocs=args.workers)


if __name__ == "__main__":
    main()
