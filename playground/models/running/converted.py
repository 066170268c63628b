"""The U-Net as OpenVINO runs it on a CPU, in fp32: rows in, their outputs out, each row with its own LoRAs.

An answer does not depend on the rows beside it, to the last bit, which torch's on a CPU does. There are two networks:
the U-Net, and the U-Net with every LoRA of the folder in it, whose weights are an input; a row without LoRAs is always
the first one's.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from playground.models.contract import Weights
from playground.models.lora.rows import Loras
from playground.models.running.conversion import network
from playground.models.running.inference import Inference
from playground.models.running.preparation import Preparation
from playground.models.running.traceable import Traceable, traceable

MOST_OF_LORAS = 0.25  # of the U-Net's parameters; beyond, a row would pay too much for LoRAs that it does not use


class Converted:
    """Not ready until a thread of its own has converted and compiled the network, seconds after it was made; until then
    a call is not answered. Where OpenVINO is missing or refuses, that is said in the log, once, and it never is."""

    def __init__(self, unet: nn.Module, loras: Loras, name: str) -> None:
        """`name`: the fingerprint of the weights."""
        self._name, self._loras = name, loras
        self._known: tuple[str, ...] = ()  # LoRAs that are in the second network, in the order of its weights
        self._plain: Inference | None = None
        self._changed: Inference | None = None
        plain, changed = traceable(unet), traceable(unet)  # copied here, before anybody hooks into the modules
        self._told = plain.told
        self._preparation = Preparation("The network runs", partial(self._prepare, plain, changed))

    @property
    def refused(self) -> bool:
        return self._preparation.refused

    @property
    def ready(self) -> bool:
        return self._plain is not None and not self.refused

    def wait(self, seconds: float | None = None) -> None:
        """Until it is ready or refused, LoRAs included, or `seconds` have passed."""
        self._preparation.wait(seconds)

    def __call__(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        loras: Sequence[Weights] | None,
        told: Mapping[str, Tensor] | None = None,
    ) -> Tensor | None:
        """(B, C, h, w), (B,), (B, tokens, width), B rows' LoRAs, what such a U-Net is told besides, each (B, …) ->
        (B, C, h, w); None where it cannot answer now.

        Raises whatever OpenVINO raises, for inputs that do not fit or for want of memory.
        """
        weights = [[(name, weight) for name, weight in row if weight] for row in loras or [()] * len(latents)]
        which = np.array([bool(row) for row in weights])
        if not self.ready or (which.any() and not self._has(weights)):
            return None
        besides = [(told or {})[name] for name in self._told]
        given = [x.float().contiguous().numpy() for x in (latents, t, text, *besides)]
        output = np.empty(latents.shape, "f4")
        if not which.all():
            output[~which] = self._plain(*(x[~which] for x in given))
        if which.any():
            each = [[dict(row).get(name, 0.0) for name in self._known] for row in weights if row]
            output[which] = self._changed(*(x[which] for x in given), np.array(each, "f4"))
        return torch.from_numpy(output)

    def refuse(self, reason: object) -> None:
        """It does not answer any more."""
        self._preparation.refuse(reason)

    def _has(self, weights: list[list[tuple[str, float]]]) -> bool:
        return self._changed is not None and {name for row in weights for name, _ in row} <= set(self._known)

    def _prepare(self, plain: Traceable, changed: Traceable) -> None:
        self._plain = Inference(network(self._name, plain))
        names, blends = self._loras.together()
        size = sum(p.numel() for p in plain.parameters())
        if names and sum(blend.parameters for blend in blends.values()) <= MOST_OF_LORAS * size:
            files = json.dumps([(name, self._loras.files.digests[name]) for name in names])
            digest = hashlib.sha256(files.encode()).hexdigest()[:16]
            self._known = names
            changed.add(blends)
            self._changed = Inference(network(f"{self._name}-{digest}", changed, len(names)))
