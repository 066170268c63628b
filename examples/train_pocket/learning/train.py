"""What every training script shares: device, time budget, checkpoints, an average of the weights, the optimizer."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ..scenes.things import WORK


def device_and_threads() -> torch.device:
    torch.set_flush_denormal(True)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """True where autocast to bf16 is faster: on CUDA, and on CPUs that compute in it."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()


def arguments(description: str, minutes: float, batch: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=minutes, help="time budget of this call")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=1.0, help="multiplies both learning rates")
    parser.add_argument("--cooldown", type=float, default=0.25, help="last share of the budget: rates fall to zero")
    parser.add_argument("--seed", type=int, default=0)
    return parser


class Budget:
    """Counts samples and time; yields (step, rate) until the minutes are used up.

    The rate is 1 after a short warm-up and falls linearly to 0 over the last `cooldown` share of the budget
    (the trapezoidal schedule of Hägele et al. 2024, https://arxiv.org/abs/2405.18392), so that training can stop
    with settled weights and go on later from the checkpoint.
    """

    def __init__(self, minutes: float, cooldown: float, warmup_steps: int = 50) -> None:
        self.seconds, self.cooldown, self.warmup_steps = minutes * 60, cooldown, warmup_steps
        self.start = time.monotonic()

    def used(self) -> float:
        return (time.monotonic() - self.start) / self.seconds

    def rate(self, step: int) -> float:
        falling = max(0.0, 1 - self.used()) / self.cooldown if self.cooldown else 1.0
        return min(1.0, (step + 1) / self.warmup_steps, falling)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        step = 0
        while self.used() < 1:
            yield step, self.rate(step)
            step += 1


class Average:
    """Exponential moving average of a module's parameters, with a horizon that grows with the steps taken."""

    def __init__(self, module: nn.Module, longest: float = 0.999) -> None:
        self.longest, self.steps = longest, 0
        self.values = [p.detach().clone() for p in module.parameters()]

    @torch.no_grad()
    def update(self, module: nn.Module, steps: int = 1) -> None:
        """steps: how many were taken since the last update"""
        self.steps += steps
        decay = min(self.longest, (1 + self.steps) / (10 + self.steps)) ** steps
        torch._foreach_lerp_(self.values, [p.detach() for p in module.parameters()], 1 - decay)

    def copy_to(self, module: nn.Module) -> None:
        for parameter, value in zip(module.parameters(), self.values, strict=True):
            parameter.data.copy_(value)

    def state_dict(self) -> dict:
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict) -> None:
        self.steps = state["steps"]
        for value, stored in zip(self.values, state["values"], strict=True):
            value.copy_(stored)


def orthogonalize(gradient: Tensor, iterations: int = 5) -> Tensor:
    """(rows, columns) -> nearest semi-orthogonal matrix, by the quintic Newton-Schulz iteration of Muon
    (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = gradient.shape[0] > gradient.shape[1]
    x = (gradient.T if tall else gradient).contiguous()
    x = x / (x.norm() + 1e-7)
    if x.shape[1] < 2 * x.shape[0]:
        x = x.bfloat16() if has_bf16(x.device) else x  # as Muon's authors do
        for _ in range(iterations):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
    else:
        # Every iterate is p(XXᵀ)·X with one polynomial p, so the loop only needs the small square matrices; for a
        # convolution with nine taps that is about a third of the work. Not in bf16: rounded, XXᵀ may get an eigenvalue
        # below zero, which the iteration blows up.
        gram = x @ x.T
        product = torch.eye(len(gram), device=x.device, dtype=x.dtype)
        for _ in range(iterations):
            factor = b * gram + c * gram @ gram
            factor.diagonal().add_(a)
            product = factor @ product
            gram = factor @ gram @ factor
        x = product @ x
    return (x.T if tall else x).to(gradient.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, then orthogonalized updates, for weight matrices and convolutions (flattened to matrices).

    An update has the root mean square of a typical Adam step (0.2 · lr · √max(rows, columns) scaling of
    Liu et al. 2025, https://arxiv.org/abs/2502.16982), so both optimizers share one learning rate.
    """

    def __init__(self, params: list[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                nesterov = p.grad.lerp(momentum, group["momentum"])
                update = orthogonalize(nesterov.flatten(1))
                scale = 0.2 * max(update.shape) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * scale)


class Optimizers:
    """Muon for the inner matrices and convolutions, AdamW for everything else; one `rate` drives both."""

    def __init__(self, named: list[tuple[str, nn.Parameter]], lr: float, outer: tuple[str, ...] = ()) -> None:
        inner = [p for n, p in named if p.ndim >= 2 and not any(word in n for word in outer)]
        chosen = {id(p) for p in inner}
        rest = [p for _, p in named if id(p) not in chosen]
        self.lr = lr
        fused = all(p.is_cuda for p in rest)
        self.all = [Muon(inner, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)]

    def step(self, rate: float) -> None:
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [o.state_dict() for o in self.all]

    def load_state_dict(self, states: list[dict]) -> None:
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(state)


def save_checkpoint(name: str, state: dict) -> Path:
    """Write training/NAME.pt so that a kill in the middle leaves the previous one."""
    path = WORK / f"{name}.pt"
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
    return path


def load_checkpoint(name: str) -> dict | None:
    path = WORK / f"{name}.pt"
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
