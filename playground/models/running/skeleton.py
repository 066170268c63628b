"""Networks without numbers: what their blocks give and how many multiply-adds they take, from their shapes alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from playground.models.anatomy import Anatomy, Block, Cost, Module


class Skeletons:
    """A U-Net and a VAE of the same config as the loaded ones, on PyTorch's meta device: no memory, no time."""

    def __init__(self, unet: nn.Module, vae: nn.Module, tokens: int) -> None:
        self._unet, self._vae, self._tokens = skeleton(unet), skeleton(vae), tokens

    def unet_blocks(self, rows: int, columns: int) -> tuple[Block, ...]:
        """For latents of rows × columns."""
        unet = self._unet
        names = ["conv_in", *(f"down_blocks.{i}" for i in range(len(unet.down_blocks)))]
        names += ["mid_block"] if getattr(unet, "mid_block", None) is not None else []
        names += [*(f"up_blocks.{i}" for i in range(len(unet.up_blocks))), "conv_out"]
        return _blocks(unet, names, lambda: self._call(rows, columns))

    def decoder_blocks(self, rows: int, columns: int) -> tuple[Block, ...]:
        decoder = self._vae.decoder
        names = ["conv_in", "mid_block", *(f"up_blocks.{i}" for i in range(len(decoder.up_blocks))), "conv_out"]
        return _blocks(decoder, names, lambda: self._vae.decode(self._latents(rows, columns)))

    def cost(self, rows: int, columns: int, scale: int) -> Cost:
        height, width = rows * scale, columns * scale
        picture = torch.empty(1, self._vae.config.in_channels, height, width, device="meta")
        return Cost(
            _multiply_adds(lambda: self._call(rows, columns)),
            _multiply_adds(lambda: self._call(height, width)),
            _multiply_adds(lambda: self._vae.encode(picture)),
            _multiply_adds(lambda: self._vae.decode(self._latents(rows, columns))),
        )

    def _call(self, rows: int, columns: int) -> None:
        """One row through the U-Net."""
        latents = torch.empty(1, self._unet.config.in_channels, rows, columns, device="meta")
        text = torch.empty(1, self._tokens, self._unet.config.cross_attention_dim, device="meta")
        with torch.inference_mode():
            self._unet(latents, torch.zeros((), device="meta"), text)

    def _latents(self, rows: int, columns: int) -> torch.Tensor:
        return torch.empty(1, self._vae.config.latent_channels, rows, columns, device="meta")


def skeleton(module: Any) -> Any:
    """A diffusers network of the same config on the meta device."""
    with torch.device("meta"):
        return type(module).from_config(module.config).eval()


def described(module: nn.Module, class_name: str = "") -> Module:
    """A loaded network -> its facts."""
    weights = list(module.parameters())
    dtype = str(weights[0].dtype).removeprefix("torch.")
    name = class_name or type(module).__name__
    return Module(name, dtype, sum(p.numel() for p in weights), sum(p.nbytes for p in weights))


def anatomy_of(pipeline_parts: Any, skeletons: Skeletons, width: int, height: int, scale: int) -> Anatomy:
    """`pipeline_parts` has tokenizer, text_encoder, unet and vae; sizes in pixels."""
    rows, columns = height // scale, width // scale
    vae = pipeline_parts.vae
    halves = [m for m in (vae.decoder, getattr(vae, "post_quant_conv", None)) if m is not None]
    return Anatomy(
        type(pipeline_parts.tokenizer).__name__,
        type(vae).__name__,
        described(pipeline_parts.text_encoder),
        described(pipeline_parts.unet),
        described(nn.ModuleList(halves), f"{type(vae).__name__}.decoder"),
        skeletons.unet_blocks(rows, columns),
        skeletons.decoder_blocks(rows, columns),
        vae.config.out_channels,
    )


def _blocks(network: nn.Module, names: list[str], run: Callable[[], Any]) -> tuple[Block, ...]:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output  # down blocks give their skips as well
            shapes[name] = tuple(first.shape)

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(note(name)) for name in names]
    with torch.inference_mode():
        run()
    for hook in hooks:
        hook.remove()
    found = []
    for name in names:
        module = network.get_submodule(name)
        crossing = sum(n.split(".")[-1] == "attn2" for n, _ in module.named_modules())
        count = sum(p.numel() for p in module.parameters())
        found.append(Block(name, type(module).__name__, shapes[name], count, crossing))
    return tuple(found)


def _multiply_adds(run: Callable[[], Any]) -> int:
    """PyTorch counts a multiply-add as two operations."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2
