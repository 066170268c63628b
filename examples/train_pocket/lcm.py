"""Distil the trained denoiser into a LoRA that draws in 2 to 8 steps with diffusers' LCMScheduler, without guidance.

    python -m examples.train_pocket.lcm --minutes 20       # goes on from training/lcm.pt or the shipped file

Writes playground/models/pocket/loras/lcm.safetensors: a LoRA on the U-Net as in LCM-LoRA (Luo et al. 2023,
https://arxiv.org/abs/2311.05556).

A latent consistency model answers every x_t with the end of the guided path through it (Luo et al. 2023,
https://arxiv.org/abs/2310.04378): f(x_t, t) = c_skip·x_t + c_out·x̂₀. The paper bootstraps that end from the student's
own answer one solver step further on. With little compute the chain of answers never gets long enough, so here the
teacher walks to the end itself, with DPM++ 2M and guidance, and the student learns that end from several places of the
path (Luhman & Luhman 2021, https://arxiv.org/abs/2101.02388, for all t). `--targets bootstrapped` is the paper's way.

The places are those that LCMScheduler comes to: its own timesteps for 2 to 8 steps, and there pure noise, renders with
noise, or what the student itself has drawn so far, with noise again.
"""

import random
import time
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, LCMScheduler
from torch import Tensor
from transformers import CLIPTokenizer

from .latents import Bank
from .learning.diet import Diet
from .learning.networks import SCHEDULE, TextToNoise, trained_model
from .learning.train import Budget, arguments, device_and_threads
from .lora import Adapter
from .text import POCKET, token_ids
from .vae import trained_vae

RANK = 7  # what fits into 1.5 MB with every layer
LEARNING_RATE = 3e-3
GUIDANCE = 4.5  # what the student draws at guidance_scale 1
STEPS = (2, 3, 4, 5, 6, 7, 8)  # of LCMScheduler, to land on the timesteps of
SOLVER_STEPS = 14  # of the teacher from t = 999, fewer from further down
FEWEST = 4
SOLVED = 32  # paths that the teacher walks together, at least; with larger batches as many as those
PLACES = 4  # of each path, its start included, that the student learns from
KEPT = 64  # answers kept for learning, per path walked together
HUBER = 0.03  # below this root mean square the loss is quadratic
INTERVALS = 12  # of the paper's way: a teacher's step is a twelfth of the schedule


@dataclass(frozen=True)
class Answers:
    """What the student learns from: N places on paths and their ends."""

    noisy: Tensor  # (N, 4, 16, 16), x_t
    t: Tensor  # (N,), 0…999
    ids: Tensor  # (N, 32), token ids
    end: Tensor  # (N, 4, 16, 16), what f(x_t, t) should be

    def __getitem__(self, rows: Tensor | slice) -> "Answers":
        return Answers(self.noisy[rows], self.t[rows], self.ids[rows], self.end[rows])

    @staticmethod
    def joined(parts: list["Answers"]) -> "Answers":
        return Answers(*(torch.cat([getattr(p, k) for p in parts]) for k in ("noisy", "t", "ids", "end")))


def lcm_scheduler() -> LCMScheduler:
    return LCMScheduler.from_config(DDPMScheduler(**SCHEDULE).config)


def lcm_timesteps(num_inference_steps: int) -> list[int]:
    """Where LCMScheduler asks the network when it takes that many steps, from 999 downwards."""
    scheduler = lcm_scheduler()
    scheduler.set_timesteps(num_inference_steps)
    return scheduler.timesteps.tolist()


def consistency(scheduler: LCMScheduler, noisy: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
    """f(x_t, t) = c_skip·x_t + c_out·x̂₀, as LCMScheduler.step has it, here for a batch of different t.

    x_t and ε_θ (B, 4, 16, 16), t (B,) -> (B, 4, 16, 16); at t = 0 it is x_t itself.
    """
    t = t.view(-1, 1, 1, 1)
    alpha = scheduler.alphas_cumprod.to(noisy.device)[t]
    c_skip, c_out = scheduler.get_scalings_for_boundary_condition_discrete(t)
    return c_skip * noisy + c_out * (noisy - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()


def distance(answer: Tensor, end: Tensor, alpha: Tensor) -> Tensor:
    """Pseudo-Huber distance of latents (Song & Dhariwal 2023, https://arxiv.org/abs/2310.14189), mean over the batch.

    The error of x̂₀ is that of ε_θ times √((1-ᾱ)/ᾱ), 15 at t = 999. The weight ᾱ^(1/4) takes half of that (in
    logarithms) back, so that the first step does not drown the later ones. `alpha` is ᾱ_t, (B,).
    """
    mean_square = (answer - end).square().mean((1, 2, 3))
    return (alpha**0.25 * ((mean_square + HUBER**2).sqrt() - HUBER)).mean()


class Teacher:
    """The frozen denoiser with guidance, and the student in the same U-Net: it is the one with the LoRA switched on."""

    def __init__(self, model: TextToNoise, empty: Tensor, diet: Diet, paths: int, seed: int) -> None:
        self.model, self.empty, self.diet, self.paths = model, empty, diet, paths
        self.rng, self.scheduler, self.device = random.Random(seed), lcm_scheduler(), empty.device

    def epsilon(self, noisy: Tensor, t: int | Tensor, ids: Tensor) -> Tensor:
        """ε_θ of whichever of the two is switched on -> (B, 4, 16, 16) fp32"""
        t = torch.as_tensor(t, device=self.device).expand(len(noisy))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.model(noisy.contiguous(memory_format=torch.channels_last), t, ids).float()

    def guided(self, noisy: Tensor, t: int | Tensor, ids: Tensor) -> Tensor:
        """ε(∅) + w·(ε(text) - ε(∅)) of the frozen denoiser (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598)"""
        self.model.unet.disable_adapters()
        t = torch.as_tensor(t, device=self.device).expand(len(noisy)).repeat(2)
        unconditional, conditional = self.epsilon(
            noisy.repeat(2, 1, 1, 1), t, torch.cat([self.empty.expand(len(ids), -1), ids])
        ).chunk(2)
        self.model.unet.enable_adapters()
        return unconditional + GUIDANCE * (conditional - unconditional)

    def answer(self, noisy: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """The student's f(x_t, t) -> (B, 4, 16, 16)"""
        return consistency(self.scheduler, noisy, t, self.epsilon(noisy, t, ids))

    def shown(self) -> tuple[Tensor, Tensor]:
        """-> what a path begins with: x₀ (paths, 4, 16, 16) and token ids (paths, 32)"""
        shown = self.diet.next(self.paths)
        return shown.latents.to(self.device), shown.ids.to(self.device)

    def noised(self, clean: Tensor, t: int) -> Tensor:
        return self.scheduler.add_noise(clean, torch.randn_like(clean), torch.tensor([t], device=self.device))

    def start(self, clean: Tensor, ids: Tensor) -> tuple[Tensor, int]:
        """Somewhere that LCMScheduler comes to -> x_t (B, 4, 16, 16), t"""
        timesteps = lcm_timesteps(self.rng.choice(STEPS))
        steps = self.rng.randrange(len(timesteps))
        if steps and self.rng.random() < 0.5:
            return self.noised(clean, timesteps[steps]), timesteps[steps]
        noisy = torch.randn_like(clean)
        for here, there in zip(timesteps[:steps], timesteps[1 : steps + 1], strict=True):
            noisy = self.noised(self.answer(noisy, torch.full((len(ids),), here, device=self.device), ids), there)
        return noisy, timesteps[steps]

    @torch.no_grad()
    def solved(self) -> Answers:
        """Paths walked to the end by the frozen denoiser -> paths · PLACES answers, the starts first"""
        clean, ids = self.shown()
        noisy, start = self.start(clean, ids)
        solver = DPMSolverMultistepScheduler.from_config(self.scheduler.config)
        steps = max(FEWEST, round(SOLVER_STEPS * start / 999))
        solver.set_timesteps(timesteps=np.linspace(start, 0, steps + 1).round()[:-1].astype(int).tolist())
        path = []
        for t in solver.timesteps:
            path.append((noisy, int(t)))
            noisy = solver.step(self.guided(noisy, int(t), ids), t, noisy).prev_sample
        learned = [path[0], *self.rng.sample(path[1:], PLACES - 1)]
        times = [torch.full((len(ids),), t, device=self.device) for _, t in learned]
        return Answers.joined([Answers(x, t, ids, noisy) for (x, _), t in zip(learned, times, strict=True)])

    @torch.no_grad()
    def bootstrapped(self) -> Answers:
        """The paper's way: one guided DDIM step (Song et al. 2020, https://arxiv.org/abs/2010.02502) from a noised
        render, then the student's own answer there -> as many answers as paths"""
        clean, ids = self.shown()
        k = torch.randint(1, INTERVALS + 1, (self.paths,), device=self.device)
        t, before = k * 1000 // INTERVALS - 1, ((k - 1) * 1000 // INTERVALS - 1).clamp(min=0)
        noisy = self.scheduler.add_noise(clean, torch.randn_like(clean), t)
        alphas = self.scheduler.alphas_cumprod.to(self.device).view(-1, 1, 1, 1)
        epsilon = self.guided(noisy, t, ids)
        x0 = (noisy - (1 - alphas[t]).sqrt() * epsilon) / alphas[t].sqrt()
        nearer = alphas[before].sqrt() * x0 + (1 - alphas[before]).sqrt() * epsilon
        end = torch.where((k == 1).view(-1, 1, 1, 1), x0, self.answer(nearer, before, ids))
        return Answers(noisy, t, ids, end)


class Pool:
    """The newest answers, and how many of them are due: each is learned from `reuse` times on average."""

    def __init__(self, reuse: float, size: int) -> None:
        self.reuse, self.size, self.answers, self.given = reuse, size, None, 0.0

    def add(self, answers: Answers) -> None:
        self.answers = answers if self.answers is None else Answers.joined([self.answers, answers])[-self.size :]
        self.given -= len(answers.t)

    @property
    def wants_more(self) -> bool:
        return self.answers is None or self.given > 0

    def draw(self, n: int) -> Answers:
        self.given += n / self.reuse
        return self.answers[torch.randint(len(self.answers.t), (n,), device=self.answers.t.device)]


def errors_by_time(errors: list[tuple[int, float]]) -> str:
    """Root mean squares at the starts of fresh paths, in four ranges of t, the noisiest first."""
    parts = []
    for low in (750, 500, 250, 0):
        found = [value for t, value in errors if low <= t < low + 250]
        parts.append(f"{np.mean(found):.3f}" if found else "-")
    return " ".join(parts)


def main() -> None:
    parser = arguments(__doc__, minutes=20, batch=24)
    parser.add_argument("--targets", choices=("solved", "bootstrapped"), default="solved")
    parser.add_argument("--reuse", type=float, default=3.0, help="how often one solved answer is learned from")
    parser.add_argument("--name", default="lcm", help="of the checkpoint and of the file")
    args = parser.parse_args()
    device = device_and_threads()
    torch.manual_seed(args.seed)
    model, _ = trained_model(device)
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    bank = Bank(trained_vae(device))
    adapter = Adapter(model.unet, RANK, LEARNING_RATE * args.lr)
    adapter.load(args.name)
    torch.manual_seed(args.seed + adapter.samples)
    diet = Diet(bank, tokenizer, args.seed + adapter.samples)
    paths = max(SOLVED, args.batch)
    teacher = Teacher(model, token_ids(tokenizer, [""]).to(device), diet, paths, args.seed + adapter.samples)
    fresh = teacher.solved if args.targets == "solved" else teacher.bootstrapped
    pool = Pool(args.reuse if args.targets == "solved" else 1.0, KEPT * paths)
    alphas = teacher.scheduler.alphas_cumprod.to(device)
    budget, shown, saved = Budget(args.minutes, args.cooldown, 20), time.monotonic(), time.monotonic()
    losses, errors = [], []
    for step, rate in budget:
        while pool.wants_more:
            pool.add(answers := fresh())
            first = answers[:paths]  # the starts: unseen until now, so their error says how well it generalises
            with torch.no_grad():
                error = (teacher.answer(first.noisy, first.t, first.ids) - first.end).square().mean().sqrt()
            errors.append((int(first.t[0]), error.item()))
        batch = pool.draw(args.batch)
        loss = distance(teacher.answer(batch.noisy, batch.t, batch.ids), batch.end, alphas[batch.t])
        adapter.step(loss, rate, args.batch)
        losses.append(loss.detach())
        if step % 25 == 24:
            took, shown = time.monotonic() - shown, time.monotonic()
            mean, speed = torch.stack(losses[-25:]).mean().item(), 25 * args.batch / took
            print(
                f"{step + 1} samples={adapter.samples} {speed:.1f}/s loss={mean:.4f} "
                f"error on fresh paths, t from 999 down: {errors_by_time(errors[-24:])}",
                flush=True,
            )
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            adapter.save(args.name, time.monotonic() - budget.start)
    adapter.save(args.name, time.monotonic() - budget.start)
    adapter.export(args.name)


if __name__ == "__main__":
    main()
