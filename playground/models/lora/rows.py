"""LoRAs by row: one call of a network serves rows with different LoRAs and weights, and rows without.

W x + Σ weight · scaling · B(A x): the sum is added to each touched module's output for the rows that ask for it, as
S-LoRA does for language models (Sheng et al. 2023, https://arxiv.org/abs/2311.03285). The weights W never change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.models.contract import Weights
from playground.models.facts import Pairs
from playground.models.lora.file import Change
from playground.models.lora.folder import KEPT, LoraFiles


@dataclass(frozen=True, eq=False)
class Blend:
    """The changes of several LoRAs to one module, side by side, so that one product serves all of them."""

    down: Tensor  # (R, in) or (R, in, k, k), R the ranks of all together
    up: Tensor  # (out, R) or (out, R, 1, 1)
    owner: Tensor  # (R,) which of the LoRAs a rank belongs to
    scaling: Tensor  # (R,) that LoRA's α / r, fp32

    @property
    def parameters(self) -> int:
        return self.down.numel() + self.up.numel()

    def change(self, module: nn.Module, x: Tensor, weights: Tensor) -> Tensor:
        """x (rows, …, in) or (rows, in, h, w), weights (rows, LoRAs) -> Σ weight · scaling · B(A x)

        A row may be a single token, (in).
        """
        scales = weights[:, self.owner] * self.scaling  # (rows, R), fp32
        if isinstance(module, nn.Conv2d):
            inner = F.conv2d(x, self.down, None, module.stride, module.padding, module.dilation)
            return F.conv2d((inner * scales[:, :, None, None]).to(x.dtype), self.up)
        inner = F.linear(x, self.down)  # (rows, …, R)
        return F.linear((inner * scales[(slice(None), *[None] * (x.ndim - 2))]).to(x.dtype), self.up)


class Loras:
    """What the files of a model's LoRAs add to one of its modules."""

    def __init__(
        self, files: LoraFiles, part: str, module: nn.Module, device: torch.device, dtype: torch.dtype
    ) -> None:
        """`part`: what files call the module."""
        self.files = files
        self._part, self._module, self._device, self._dtype = part, module, device, dtype
        self._blends = lru_cache(KEPT)(self._blended)

    def together(self) -> tuple[tuple[str, ...], dict[str, Blend]]:
        """Every LoRA whose file can be used, and what they change: their blends by module path."""
        usable = self.files.usable()
        return usable, self._blends(usable)

    def concerned(self, loras: Weights) -> Pairs:
        """Those of them that change this module at all."""
        return tuple((name, weight) for name, weight in loras if weight and self.files.changes(name, self._part))

    @contextmanager
    def added(self, rows: Sequence[Weights], joined: Mapping[str, Sequence[int]] | None = None) -> Iterator[None]:
        """While open, row i of what the module computes has the LoRAs rows[i]. One call of it at a time.

        `joined`: its parts that are called on the tokens of all rows in one sequence -> how many are each row's.
        """
        names = tuple(sorted({name for row in rows for name, weight in row if weight}))
        weights = torch.tensor([[dict(row).get(name, 0.0) for name in names] for row in rows])  # (rows, LoRAs)
        chosen = weights.any(1).nonzero()[:, 0]  # rows that have any
        every = len(chosen) == len(rows)
        tokens = {part: weights.repeat_interleave(torch.tensor(each), 0) for part, each in (joined or {}).items()}
        weights, chosen = weights[chosen].to(self._device), chosen.to(self._device)
        handles = []
        try:
            for path, blend in self._blends(names).items():
                part = path.split(".", 1)[0]
                if part in tokens:
                    hook = _adding(blend, tokens[part].to(self._device), None)
                else:
                    hook = _adding(blend, weights, None if every else chosen)
                handles.append(self._module.get_submodule(path).register_forward_hook(hook))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _blended(self, names: tuple[str, ...]) -> dict[str, Blend]:
        """Module path -> the changes of these LoRAs to it, on the model's device in its precision."""
        found: dict[str, list[tuple[int, Change]]] = {}
        for i, name in enumerate(names):
            for path, change in self.files.changes(name, self._part).items():
                found.setdefault(path, []).append((i, change))
        return {path: self._side_by_side(changes) for path, changes in found.items()}

    def _side_by_side(self, changes: list[tuple[int, Change]]) -> Blend:
        here = {"device": self._device, "dtype": self._dtype}
        ranks = torch.tensor([len(change.down) for _, change in changes])
        return Blend(
            torch.cat([change.down for _, change in changes]).to(**here),
            torch.cat([change.up for _, change in changes], 1).to(**here),
            torch.tensor([i for i, _ in changes]).repeat_interleave(ranks).to(self._device),
            torch.tensor([change.scaling for _, change in changes]).repeat_interleave(ranks).to(self._device),
        )


def _adding(blend: Blend, weights: Tensor, chosen: Tensor | None) -> Callable[..., Tensor]:
    """A forward hook that adds the change to the chosen rows, or to every row."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if chosen is None:
            return output + blend.change(module, inputs[0], weights)
        return output.index_add(0, chosen, blend.change(module, inputs[0][chosen], weights))

    return hook
