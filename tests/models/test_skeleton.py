"""What a model consists of and costs, held against its real networks running and its layers counted another way."""

import pytest
import torch
from torch import nn

from playground.engine import LocalEngine
from playground.models.running.skeleton import skeleton


@pytest.mark.parametrize(("width", "height"), [(128, 128), (192, 64)])
def test_the_blocks_have_the_shapes_of_a_real_run(by_torch: LocalEngine, width: int, height: int) -> None:
    """The shapes come from a run without numbers; here the real U-Net runs with hooks of our own."""
    seen: dict[str, tuple[int, ...]] = {}
    unet = by_torch.model.unet

    def note(name: str):  # noqa: ANN202
        return lambda m, i, o: seen.update({name: tuple((o[0] if isinstance(o, tuple) else o).shape)})

    hooks = [module.register_forward_hook(note(name)) for name, module in unet.named_modules()]
    try:
        model = by_torch.model
        model.predict(torch.zeros(1, 4, height // 8, width // 8), torch.tensor([5.0]), [model.encode("")])
    finally:
        for hook in hooks:
            hook.remove()
    anatomy = by_torch.anatomy(width, height)
    blocks = anatomy.unet_blocks
    assert {block.name: block.gives for block in blocks} == {block.name: seen[block.name] for block in blocks}
    assert sum(block.cross_attention for block in blocks) == sum(n.endswith("attn2") for n, _ in unet.named_modules())
    outside = sum(p.numel() for n, p in unet.named_parameters() if n.startswith(("time_embedding", "conv_norm_out")))
    assert sum(block.parameters for block in blocks) + outside == sum(p.numel() for p in unet.parameters())
    assert anatomy.decoder_blocks[-1].gives == (1, 3, height, width)


def counted(unet: nn.Module, run) -> int:  # noqa: ANN001
    """Multiply-adds of convolutions and linear layers by hooks, and of attention by its formula."""
    total = 0

    def layer(module: nn.Module, given: tuple, output: torch.Tensor) -> None:
        nonlocal total
        per_value = module.weight[0].numel()  # inputs of one output value
        total += output.numel() * per_value

    def attention(module: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> None:
        nonlocal total
        places, width = output.shape[1], module.to_q.out_features
        other = kwargs.get("encoder_hidden_states")
        tokens = places if other is None else other.shape[1]
        total += 2 * places * tokens * width  # QKᵀ, and the probabilities times V

    for name, module in unet.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(layer)
        elif name.endswith(("attn1", "attn2")):
            module.register_forward_hook(attention, with_kwargs=True)
    with torch.inference_mode():
        run(unet)
    return total


@pytest.mark.parametrize("side", [16, 128])
def test_the_counted_multiply_adds_are_those_of_the_layers(by_torch: LocalEngine, side: int) -> None:
    def run(unet: nn.Module) -> None:
        meta = {"device": "meta"}
        unet(torch.empty(1, 4, side, side, **meta), torch.zeros((), **meta), torch.empty(1, 32, 192, **meta))

    costs = by_torch.cost(128, 128)
    mine = counted(skeleton(by_torch.model.unet), run)
    assert mine == {16: costs.unet_latents, 128: costs.unet_pixels}[side]
    assert costs.unet_pixels > 64 * costs.unet_latents and min(costs.encode, costs.decode) > 0


def test_counting_leaves_the_real_network_alone(by_torch: LocalEngine) -> None:
    by_torch.anatomy(64, 64)
    assert {p.device.type for p in by_torch.model.unet.parameters()} == {"cpu"}
