"""Networks without numbers: what their blocks give and how many multiply-adds they take, from their shapes alone."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from playground.models.anatomy import Anatomy, Block, Cost, Module
from playground.models.contract import Condition
from playground.models.running.device import cast

Example = tuple[torch.Tensor, torch.Tensor, list[Condition]]  # latents, timesteps and texts of one row, on meta


class Skeletons:
    """A denoiser and a VAE of the same config as the loaded ones, on PyTorch's meta device: no memory, no time."""

    def __init__(
        self,
        network: nn.Module,
        vae: nn.Module,
        inputs: Callable[..., dict[str, Any]],
        pixels: Callable[[torch.Tensor], torch.Tensor],
        unscaled: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """`inputs`: latents, timesteps and texts -> the denoiser's arguments; `pixels`: pictures (B, 3, H, W) as this
        VAE takes them; `unscaled`: latents in its scale."""
        self._loaded, self._loaded_vae = network, vae
        self._inputs, self._pixels, self._unscaled = inputs, pixels, unscaled
        self._network, self._vae = skeleton(network), skeleton(vae)

    def anatomy(self, tokenizer: str, text_encoders: Sequence[nn.Module], example: Example) -> Anatomy:
        vae, decoder = self._loaded_vae, self._vae.decoder
        halves = [m for m in (vae.decoder, getattr(vae, "post_quant_conv", None)) if m is not None]
        names = " + ".join(type(part).__name__ for part in text_encoders)
        return Anatomy(
            tokenizer,
            type(vae).__name__,
            described(nn.ModuleList(text_encoders), names),
            described(self._loaded),
            described(nn.ModuleList(halves), f"{type(vae).__name__}.decoder"),
            _blocks(self._network, _names(self._network), lambda: self._call(example)),
            _blocks(decoder, _names(decoder), lambda: self._decode(example)),
            vae.config.get("out_channels", 3),
        )

    def cost(self, small: Example, large: Example, size: tuple[int, int]) -> Cost:
        """Of examples with a place for every latent and for every pixel; `size`: width and height in pixels."""
        picture = self._pixels(torch.empty(1, 3, size[1], size[0], device="meta"))
        return Cost(
            _multiply_adds(lambda: self._call(small)),
            self._on_pixels(large),
            _multiply_adds(lambda: self._vae.encode(picture)),
            _multiply_adds(lambda: self._decode(small)),
        )

    def _on_pixels(self, large: Example) -> int | None:
        try:
            return _multiply_adds(lambda: self._call(large))
        except (RuntimeError, ValueError):  # its table of positions ends before
            return None

    def _call(self, example: Example) -> None:
        latents, t, conditions = example
        with torch.inference_mode():
            self._network(**self._inputs(latents.to(self._network.dtype), t, conditions), return_dict=False)

    def _decode(self, example: Example) -> None:
        self._vae.decode(self._unscaled(example[0]))


def skeleton(module: Any) -> Any:
    """A diffusers network of the same config and precision on the meta device."""
    with torch.device("meta"):
        return cast(type(module).from_config(module.config), module.dtype).eval().requires_grad_(False)


def _names(network: nn.Module) -> list[str]:
    """The parts of a U-Net, a decoder or a transformer that are shown as blocks, in the order they run."""
    if hasattr(network, "up_blocks"):
        downs = [f"down_blocks.{i}" for i in range(len(getattr(network, "down_blocks", ())))]
        middle = ["mid_block"] if getattr(network, "mid_block", None) is not None else []
        ups = [f"up_blocks.{i}" for i in range(len(network.up_blocks))]
        return ["conv_in", *downs, *middle, *ups, "conv_out"]
    found = []
    for name, child in network.named_children():
        found += [f"{name}.{i}" for i in range(len(child))] if isinstance(child, nn.ModuleList) else [name]
    return found


def described(module: nn.Module, class_name: str = "") -> Module:
    """A loaded network -> its facts."""
    weights = list(module.parameters())
    dtype = str(weights[0].dtype).removeprefix("torch.")
    name = class_name or type(module).__name__
    return Module(name, dtype, sum(p.numel() for p in weights), sum(p.nbytes for p in weights))


def _blocks(network: nn.Module, names: list[str], run: Callable[[], Any]) -> tuple[Block, ...]:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            if isinstance(output, tuple):
                # down blocks give their skips as well; a block for words and picture gives the picture last
                tensors = [x for x in output if isinstance(x, torch.Tensor)]
                output = tensors[-1] if hasattr(network, "transformer_blocks") else tensors[0]
            shapes[name] = tuple(output.shape)

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(note(name)) for name in names]
    with torch.inference_mode():
        run()
    for hook in hooks:
        hook.remove()
    found = []
    for name in (name for name in names if name in shapes):  # not all parts of a transformer are called themselves
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
