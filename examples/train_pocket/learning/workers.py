"""Several processes that train one model and average their weights now and then (local SGD, Stich 2018,
https://arxiv.org/abs/1805.09767).

One process with two threads waits at every operation for the slower of them, so that anything else that runs on the
machine halves its speed and more. Processes of one thread each only wait for one another once in ROUND seconds; every
one takes as many steps in a round as it can, and counts that much in the average.
"""

from dataclasses import dataclass

import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

ROUND = 30.0  # seconds between two averages
PATIENCE = 900.0  # seconds that a worker waits for the others before it gives up


@dataclass
class Round:
    """What all workers did since they last met."""

    steps: int  # mean over the workers, at least 1
    samples: int  # of all
    loss: float  # mean over the steps of all


class Meeting:
    """The shared memory of `n` workers with `values` parameters each. Made once, handed to every worker."""

    def __init__(self, n: int, values: int) -> None:
        self.n = n
        self.weights = torch.zeros(n, values).share_memory_()
        self.notes = torch.zeros(n, 4, dtype=torch.float64).share_memory_()  # steps, samples, sum of losses, over
        self.barrier = mp.get_context("spawn").Barrier(n) if n > 1 else None

    def wait(self) -> None:
        if self.barrier:
            self.barrier.wait(PATIENCE)

    @torch.no_grad()
    def meet(
        self, rank: int, module: nn.Module, steps: int, samples: int, losses: float, over: bool
    ) -> tuple[Round, bool]:
        """Every worker calls this; all leave with the mean of their weights, weighted by their steps.

        `over` of worker 0 counts for all. -> what was done since the last meeting, and whether training is over.
        """
        self.notes[rank] = torch.tensor([steps, samples, losses, over], dtype=torch.float64)
        if self.n > 1:
            self.weights[rank] = flat(module)
        self.wait()
        notes = self.notes.clone()
        if self.n > 1 and notes[:, 0].sum():
            shares = (notes[:, 0] / notes[:, 0].sum()).float()
            unflatten(module, shares @ self.weights)
        self.wait()  # nobody overwrites what another still reads
        all_steps, all_samples, all_losses, _ = notes.sum(0).tolist()
        done = Round(max(1, round(all_steps / self.n)), int(all_samples), all_losses / max(1, all_steps))
        return done, bool(notes[0, 3])


def flat(module: nn.Module) -> Tensor:
    """-> all parameters, one after another (values,)"""
    return torch.cat([p.detach().flatten().float() for p in module.parameters()])


def unflatten(module: nn.Module, values: Tensor) -> None:
    start = 0
    for p in module.parameters():
        p.copy_(values[start : start + p.numel()].view_as(p))
        start += p.numel()
