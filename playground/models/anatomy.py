"""What a model consists of and what its parts cost, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """One loaded network of the model."""

    class_name: str
    dtype: str  # of its weights
    parameters: int
    bytes: int  # of its weights


@dataclass(frozen=True)
class Block:
    """One block of a network, in the order it runs."""

    name: str  # as in the weights, e.g. "down_blocks.1"
    class_name: str
    gives: tuple[int, ...]  # shape for one row
    parameters: int
    cross_attention: int  # cross-attention layers inside


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of one pass, counted from the networks' shapes, not timed.

    Convolutions, matrix products and attention; the rest (normalisation, activations) is far less.
    """

    unet_latents: int  # one call of the network on the latents
    unet_pixels: int | None  # of the same network where every pixel is a place; None where it has no such positions
    encode: int  # of the VAE
    decode: int


@dataclass(frozen=True)
class Anatomy:
    """Of a model, for pictures of one size."""

    tokenizer: str  # class names
    vae: str
    text_encoder: Module
    unet: Module
    decoder: Module  # the part of the VAE that draws
    unet_blocks: tuple[Block, ...]
    decoder_blocks: tuple[Block, ...]
    pixel_channels: int
