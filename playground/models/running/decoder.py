"""The VAE's decoder: latents in, pixels out; on a CPU by OpenVINO, as soon as that is ready."""

from functools import partial

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from playground.models.running.conversion import decoder
from playground.models.running.inference import Inference
from playground.models.running.preparation import Preparation
from playground.models.running.traceable import TraceableDecoder


class Decoder:
    """The VAE's own until `convert` has prepared the other, and where OpenVINO is missing or refuses, which the log
    then says once."""

    def __init__(self, vae: AutoencoderKL, device: torch.device) -> None:
        self._vae, self._device = vae, device
        self._inference: Inference | None = None
        self._preparation: Preparation | None = None

    def __call__(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) in the VAE's own scale -> pixels (B, 3, H, W) of about -1…1 in fp32

        On a CPU one by one: torch's rounding of a picture there depends on those beside it, and one at a time needs
        the least memory.
        """
        return torch.cat([self._decoded(some) for some in latents.split(1 if self._on_cpu else len(latents))])

    def convert(self, name: str) -> None:
        """Begin to prepare it for OpenVINO, on a CPU; `name` is the fingerprint of the weights."""
        if self._on_cpu:
            copied = TraceableDecoder(self._vae)  # here, before anybody hooks into the modules
            work = partial(self._prepare, f"{name}-decoder", copied)
            self._preparation = Preparation("The VAE decodes", work)

    def wait_until_converted(self, seconds: float | None = None) -> None:
        if self._preparation is not None:
            self._preparation.wait(seconds)

    @property
    def _on_cpu(self) -> bool:
        return self._device.type == "cpu"

    def _decoded(self, latents: Tensor) -> Tensor:
        if (inference := self._inference) is None:
            return self._by_torch(latents)
        try:
            return torch.from_numpy(inference(latents.float().contiguous().numpy()))
        except RuntimeError as error:
            pixels = self._by_torch(latents)  # raises what is wrong with the latents themselves
            self._inference = None
            self._preparation.refuse(error)
            return pixels

    def _by_torch(self, latents: Tensor) -> Tensor:
        return self._vae.decode(latents, return_dict=False)[0]

    def _prepare(self, name: str, traceable: TraceableDecoder) -> None:
        self._inference = Inference(decoder(name, traceable))
