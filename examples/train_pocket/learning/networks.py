"""The two networks that learn together, their shape and their noise schedule, and where their weights come from."""

import json

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from ..text import POCKET, new_text_encoder
from .attention import PlainAttention
from .train import Average, load_checkpoint

CONFIG = dict(
    sample_size=16,
    in_channels=4,
    out_channels=4,
    block_out_channels=(64, 128, 224),
    layers_per_block=1,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=192,
    attention_head_dim=(2, 4, 7),  # diffusers' name for the number of heads: 32 channels each
    norm_num_groups=16,
)
SCHEDULE = dict(  # Stable Diffusion's own
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="epsilon",
    clip_sample=False,
)


class TextToNoise(nn.Module):
    """The two networks that learn together."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text_encoder = new_text_encoder(tokenizer)
        self.unet = UNet2DConditionModel(**CONFIG)

    def forward(self, noisy: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """x_t (B, 4, 16, 16), t (B,), ids (B, 32) -> ε_θ (B, 4, 16, 16)"""
        return self.unet(noisy, t, self.text_encoder(ids).last_hidden_state).sample


def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(POCKET / "tokenizer")


def shipped() -> tuple[TextToNoise, int]:
    """The weights in playground/models/pocket, and how many samples they had seen."""
    model = TextToNoise(tokenizer())
    model.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(POCKET / "text_encoder").state_dict())
    model.unet.load_state_dict(UNet2DConditionModel.from_pretrained(POCKET / "unet").state_dict())
    return model, _noted("samples_seen")


def minutes_of_shipped() -> int:
    """How long the weights in playground/models/pocket were trained; 0 where that is not known."""
    return _noted("training_minutes") if (POCKET / "evaluation.json").exists() else 0


def _noted(name: str) -> int:
    return json.loads((POCKET / "evaluation.json").read_text())[name] or 0


def started() -> tuple[TextToNoise, dict | None, int]:
    """The networks as far as they are trained: -> model, checkpoint if there is one, samples seen so far.

    From training/unet.pt, else from the shipped weights, else from scratch.
    """
    if state := load_checkpoint("unet"):
        model = TextToNoise(tokenizer())
        model.load_state_dict(state["model"])
        return model, state, state["samples"]
    if (POCKET / "unet").exists():
        model, samples = shipped()
        return model, None, samples
    return TextToNoise(tokenizer()), None, 0


def trained_model(device: torch.device) -> tuple[TextToNoise, float]:
    """The averaged weights of training/unet.pt, or else the shipped ones, frozen -> model, scaling factor of latents"""
    if state := load_checkpoint("unet"):
        model, scaling_factor = TextToNoise(tokenizer()), state["scaling_factor"]
        average = Average(model)
        average.load_state_dict(state["average"])
        average.copy_to(model)
    else:
        model, scaling_factor = shipped()[0], AutoencoderKL.load_config(POCKET / "vae")["scaling_factor"]
    return model.requires_grad_(False).to(device).eval(), scaling_factor


def samples_seen() -> int:
    """How many samples the weights of `trained_model` have seen."""
    state = load_checkpoint("unet")
    return state["samples"] if state else shipped()[1]


def made_fast(model: TextToNoise, device: torch.device, seen: list[Tensor] | None = None) -> TextToNoise:
    """The same networks, faster on a CPU; their cross-attention is kept in `seen`, where that is given."""
    model.to(device).unet.to(memory_format=torch.channels_last)
    if device.type == "cpu" or seen is not None:
        model.unet.set_attn_processor(PlainAttention(seen))
    if device.type == "cpu":
        model.text_encoder.set_attn_implementation("eager")
    return model
