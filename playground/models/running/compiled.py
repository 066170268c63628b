"""The U-Net as torch.compile specialises it, for the batches it was prepared for; any other runs plain.

Compiling takes a minute or more, so it never happens while a visitor waits: what would need it then (other picture
sizes, other attention processors) is run by the same weights without it.
"""

import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

from playground.refusal import Refusal

FIXED_ROWS = (1, 2, 4, 8, 16, 32)  # on a GPU, whose kernels are best when specialised to one size
ANY_ROWS = (8, 32)  # on a CPU one graph serves 2 to 15 rows and one serves 16 to 63; a single row runs plain


class Compiled:
    """Callable like the U-Net itself."""

    def __init__(self, unet: nn.Module, device: torch.device, backend: str | Callable = "inductor") -> None:
        """Raises Refusal with one sentence where nothing can be compiled."""
        if device.type not in ("cuda", "cpu"):
            raise Refusal(f"The network can be compiled for a CUDA GPU or a CPU, not for {device.type.upper()}.")
        if device.type == "cpu" and backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
            raise Refusal("Compiling the network for a CPU needs a C++ compiler, and there is no g++ or clang++ here.")
        self._fixed = device.type == "cuda"
        # No CUDA graphs: torch keeps those for each thread apart, and one thread prepares what others run.
        self._unet = torch.compile(unet, backend=backend, dynamic=False if self._fixed else None)

    @torch.inference_mode()
    def prepare(self, latents: Tensor, t: Tensor, text: Tensor) -> None:
        """Compile for batches of such rows: (1, 4, h, w), (1,), (1, tokens, width)."""
        for rows in FIXED_ROWS if self._fixed else ANY_ROWS:
            inputs = _fresh(*(x.expand(rows, *x.shape[1:]) for x in (latents, t, text)))
            if not self._fixed:
                for x in inputs:
                    torch._dynamo.maybe_mark_dynamic(x, 0)
            try:
                self._unet(*inputs, return_dict=False)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                return

    def __call__(self, latents: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """(B, 4, h, w), (B,), (B, tokens, width) -> (B, 4, h, w)"""
        rows = len(latents)
        if self._fixed and rows <= FIXED_ROWS[-1]:
            latents, t, text = (filled_up(x) for x in (latents, t, text))
        with torch.compiler.set_stance("eager_on_recompile"):
            return self._unet(*_fresh(latents, t, text), return_dict=False)[0][:rows]


def _fresh(latents: Tensor, t: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Copies with the same strides and of the same kind whoever made the originals: a graph serves only such inputs as
    it was compiled for."""
    plain = torch.contiguous_format
    return (
        latents.clone(memory_format=torch.channels_last),
        t.clone(memory_format=plain),
        text.clone(memory_format=plain),
    )


def filled_up(rows: Tensor) -> Tensor:
    """(B, …) -> the next power of two of rows, the last one repeated, so that few batch sizes are ever compiled"""
    wanted = 1 << (len(rows) - 1).bit_length()
    return torch.cat([rows, rows[-1:].expand(wanted - len(rows), *rows.shape[1:])]) if wanted > len(rows) else rows
