"""From words to picture, one stage at a time, with every stage's real tensors, weights and milliseconds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from playground.engine import Engine
from playground.engine.trajectory import Trajectory
from playground.inside.network import ask, clock
from playground.inside.on_device import on_device
from playground.inside.words import Words, cut
from playground.models import LatentModel
from playground.recipe import Recipe

LONGEST = 600  # seconds of one run, so that one visitor cannot hold the machine
FRAMES = 8  # predicted pictures kept on the way, evenly spaced


@dataclass(frozen=True, eq=False)
class Frame:
    """What the U-Net expects the picture to become, after k of its calls."""

    k: int
    t: float  # timestep that the call was told
    x0: Image.Image  # x̂₀ by the quick preview decoder


@dataclass(frozen=True, eq=False)
class Walk:
    """One prompt on its way. Tensors are fp32 on the CPU; what is not there yet is None."""

    recipe: Recipe
    words: Words
    embeddings: Tensor  # (tokens, width)
    noise: Tensor  # (C, h, w): the latents it starts from, ε · init_noise_sigma
    milliseconds: dict[str, float]  # stage -> measured in this run
    k: int = 0  # U-Net calls done
    of: int = 0
    film: tuple[Frame, ...] = ()
    latents: Tensor | None = None  # (C, h, w)
    picture: Image.Image | None = None


@dataclass(frozen=True)
class Part:
    """A box of the diagram. Shapes are of what goes in and what comes out; text has the shape ()."""

    key: str
    class_name: str  # of the loaded module; empty for plain data
    takes: tuple[int, ...]
    gives: tuple[int, ...]
    dtype: str  # of the weights, else of the data
    parameters: int  # 0 for plain data
    bytes: int  # of the weights, else of the data


@dataclass(frozen=True)
class Block:
    """One block of a network, in the order it runs."""

    name: str  # as in the weights, e.g. "down_blocks.1"
    class_name: str
    gives: tuple[int, ...]
    parameters: int
    cross_attention: int  # cross-attention layers inside


def check(engine: Engine, recipe: Recipe) -> None:
    """Raises ValueError, before anything runs, for another model's recipe and one that would take too long."""
    name = engine.model.name
    if recipe.model != name:
        raise ValueError(f"model must be {name}, which is what this playground runs, not {recipe.model[:40]!r}.")
    check_time(engine.estimate([recipe]) or 0.0)


def check_time(seconds: float) -> None:
    """Raises ValueError where a run would hold the machine too long."""
    if seconds > LONGEST:
        raise ValueError(
            f"This run would take about {seconds / 60:.0f} minutes here; the limit is {LONGEST // 60}. "
            "Use fewer steps or a smaller size."
        )


@on_device()
def begin(engine: Engine, recipe: Recipe) -> Walk:
    """What is there before the U-Net runs: tokens, embeddings, noise. Raises ValueError for another model's recipe."""
    check(engine, recipe)
    started = clock(engine.model.device)
    words = cut(engine.model, recipe.prompt)
    cut_at = clock(engine.model.device)
    with engine.between_ticks() as model, torch.inference_mode():
        encoding = clock(model.device)
        # not model.encode: that remembers earlier prompts, and then there would be nothing to measure
        embeddings = model.text_encoder(torch.tensor([words.ids], device=model.device))[0][0]
        encoded = clock(model.device)
        trajectory = Trajectory(recipe, model)
        drawn = clock(model.device)
    took = {"tokens": cut_at - started, "text_encoder": encoded - encoding, "noise": drawn - encoded}
    noise = trajectory.latents[0].float().cpu().clone()
    return Walk(recipe, words, embeddings.float().cpu().clone(), noise, took, of=trajectory.of)


@on_device(evaluations=lambda recipe: recipe.evaluations)
def walk(engine: Engine, recipe: Recipe) -> Iterator[Walk]:
    """The Walk as it stands at the start, after every U-Net call, and at the end with the picture.

    The same trajectory as the engine's, so the picture is that of `engine.render(recipe)`. The model is lent for one
    call at a time. Raises ValueError before or after the first call where the run would take too long, and
    FloatingPointError where the latents become infinite.
    """
    now = begin(engine, recipe)
    yield now
    with engine.between_ticks() as model:
        trajectory = Trajectory(recipe, model)
    keep = {round((i + 1) * trajectory.of / FRAMES) for i in range(FRAMES)}
    calls: list[float] = []
    while not trajectory.finished:
        with engine.between_ticks() as model:
            t, started = float(trajectory.timestep), clock(model.device)
            outputs = call(model, trajectory)
            calls.append(clock(model.device) - started)
            trajectory.advance(outputs)
            film = now.film
            if trajectory.k in keep:
                film = (*film, Frame(trajectory.k, t, model.preview(trajectory.x0)[0]))
        check_time((trajectory.of - trajectory.k) * statistics.median(calls) / 1000)
        took = now.milliseconds | {"unet": sum(calls), "unet_call": statistics.median(calls)}
        now = replace(now, k=trajectory.k, film=film, milliseconds=took)
        yield now
    with engine.between_ticks() as model:
        started = clock(model.device)
        picture = model.decode(trajectory.latents)[0]
        took = now.milliseconds | {"decoder": clock(model.device) - started}
    yield replace(now, latents=trajectory.latents[0].float().cpu().clone(), picture=picture, milliseconds=took)


def call(model: LatentModel, trajectory: Trajectory) -> list[Tensor]:
    """One U-Net call with the rows of one picture -> an output (1, C, h, w) for each of its texts."""
    latents, texts = trajectory.model_input(), trajectory.texts()
    return list(ask(model, latents, trajectory.timestep, texts, trajectory.recipe.loras).split(1))


def parts(model: LatentModel, walk: Walk) -> tuple[Part, ...]:
    """The boxes between prompt and picture, read off the loaded modules and the walk's own tensors."""
    recipe, latents = walk.recipe, (1, *walk.noise.shape)
    tokens, embeddings = (1, len(walk.words.tokens)), (1, *walk.embeddings.shape)
    pixels = (1, model.vae.config.out_channels, recipe.height, recipe.width)
    decoder = nn.ModuleList(
        [m for m in (model.vae.decoder, getattr(model.vae, "post_quant_conv", None)) if m is not None]
    )
    tokenizer = Part("tokens", type(model.tokenizer).__name__, (), tokens, "int64", 0, 8 * tokens[1])
    return (
        tokenizer,
        _network("text_encoder", model.text_encoder, tokens, embeddings),
        Part("noise", "", (), latents, _dtype(walk.noise), 0, walk.noise.nbytes),
        _network("unet", model.unet, latents, latents),
        Part("latents", "", latents, latents, _dtype(walk.noise), 0, walk.noise.nbytes),
        replace(_network("decoder", decoder, latents, pixels), class_name=f"{type(model.vae).__name__}.decoder"),
        Part(
            "picture",
            "",
            pixels,
            (recipe.height, recipe.width, pixels[1]),
            "uint8",
            0,
            pixels[1] * pixels[2] * pixels[3],
        ),
    )


def _network(key: str, module: nn.Module, takes: tuple[int, ...], gives: tuple[int, ...]) -> Part:
    weights = list(module.parameters())
    size = sum(p.nbytes for p in weights)
    return Part(key, type(module).__name__, takes, gives, _dtype(weights[0]), sum(p.numel() for p in weights), size)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@lru_cache(maxsize=16)
def unet_blocks(model: LatentModel, height: int, width: int) -> tuple[Block, ...]:
    """The U-Net's blocks and the shapes they give for latents of h × w, from a run without numbers (see `skeleton`)."""
    unet = skeleton(model.unet)
    names = ["conv_in", *(f"down_blocks.{i}" for i in range(len(unet.down_blocks))), "mid_block"]
    names += [*(f"up_blocks.{i}" for i in range(len(unet.up_blocks))), "conv_out"]
    return _blocks(unet, names, lambda: run_unet(unet, model, height, width))


@lru_cache(maxsize=16)
def decoder_blocks(model: LatentModel, height: int, width: int) -> tuple[Block, ...]:
    """The same for the VAE's decoder."""
    vae = skeleton(model.vae)
    names = ["conv_in", "mid_block", *(f"up_blocks.{i}" for i in range(len(vae.decoder.up_blocks))), "conv_out"]
    latents = torch.empty(1, vae.config.latent_channels, height, width, device="meta")
    return _blocks(vae.decoder, names, lambda: vae.decode(latents))


def skeleton(module: Any) -> Any:
    """A diffusers network of the same config on PyTorch's meta device: shapes without numbers, memory or time."""
    with torch.device("meta"):
        return type(module).from_config(module.config).eval()


def run_unet(unet: Any, model: LatentModel, height: int, width: int) -> None:
    """One call of a skeleton U-Net for one picture of h × w latents."""
    latents = torch.empty(1, unet.config.in_channels, height, width, device="meta")
    limit, depth = model.tokenizer.model_max_length, unet.config.cross_attention_dim
    with torch.inference_mode():
        unet(latents, torch.zeros((), device="meta"), torch.empty(1, limit, depth, device="meta"))


def _blocks(network: nn.Module, names: list[str], run: Any) -> tuple[Block, ...]:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output  # down blocks give their skips as well
            shapes[name] = tuple(first.shape)

        return hook

    for name in names:
        network.get_submodule(name).register_forward_hook(note(name))
    with torch.inference_mode():
        run()
    found = []
    for name in names:
        module = network.get_submodule(name)
        crossing = sum(n.split(".")[-1] == "attn2" for n, _ in module.named_modules())
        count = sum(p.numel() for p in module.parameters())
        found.append(Block(name, type(module).__name__, shapes[name], count, crossing))
    return tuple(found)


@torch.inference_mode()
def heat_map(embeddings: Tensor) -> tuple[Image.Image, float]:
    """(tokens, width) -> a picture with one pixel per value, and the |value| that has the full colour.

    Blue is negative, white 0, red positive. The full colour is the 99th percentile of |value|, because a few values
    of a CLIP encoding are far larger than the rest; the ones beyond it are drawn in the full colour too.
    """
    limit = max(float(embeddings.abs().flatten().quantile(0.99)), 1e-12)
    strength = (embeddings / limit).clamp(-1, 1)[..., None]
    white, blue, red = (torch.tensor(c, dtype=torch.float32) for c in ((250, 250, 248), (29, 78, 216), (200, 48, 20)))
    colours = white + strength.abs() * (torch.where(strength < 0, blue, red) - white)
    return Image.fromarray(colours.round().byte().numpy()), limit
