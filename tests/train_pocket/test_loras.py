"""How Pocket's LoRAs are made: the two styles, the maths of the distillation, the files. Needs no training data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, LCMScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from examples.train_pocket import lora
from examples.train_pocket.lcm import GUIDANCE, SOLVER_STEPS, Teacher, consistency, distance, lcm_timesteps
from examples.train_pocket.learning import train
from examples.train_pocket.learning.diet import Shown
from examples.train_pocket.learning.networks import TextToNoise, shipped
from examples.train_pocket.lora import Adapter
from examples.train_pocket.restyle import EDGE, INK, PALETTE, coverage, restyled
from examples.train_pocket.scenes.colours import BACKGROUNDS
from examples.train_pocket.scenes.scene import Part, Scene
from examples.train_pocket.text import token_ids
from examples.train_pocket.unet import DenoisingLoss
from playground.models import REGISTERED

POCKET = REGISTERED["pocket"]
SHIPPED = sorted((POCKET / "loras").glob("*.safetensors"))
CPU = torch.device("cpu")
SIZES = {"lcm": 1.5e6, "pixel_art": 0.8e6, "ink_outline": 0.8e6}  # bytes


class TwoColours:
    """Stands in for the stored sprites: a disc, its left half red and its right half yellow."""

    def __init__(self) -> None:
        y, x = np.mgrid[-1:1:160j, -1:1:160j]
        self.picture = np.zeros((160, 160, 4), np.uint8)
        self.picture[..., :3] = np.where(x[..., None] < 0, (214, 48, 49), (250, 220, 70))
        self.picture[..., 3] = 255 * (x**2 + y**2 < 1)

    def of(self, thing: int, style: str = "3d", tone: str | None = None) -> np.ndarray:
        return self.picture


SCENE = Scene("single", "blue", (Part(0, 96, 64, 64),))


@pytest.fixture(scope="module")
def model() -> TextToNoise:
    """The shipped weights, whatever lies in training/."""
    return shipped()[0].requires_grad_(False).eval()


@pytest.fixture
def adapter(model: TextToNoise) -> Adapter:
    """A LoRA of rank 2 on the shipped denoiser, taken off again afterwards."""
    torch.manual_seed(0)
    yield Adapter(model.unet, 2, 1e-3)
    model.unet.delete_adapters("default")


@pytest.fixture(scope="module")
def ids() -> torch.Tensor:
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    return token_ids(tokenizer, ["red apple, blue background", "cat, yellow background"])


def test_the_denoising_loss_is_the_error_of_epsilon_at_its_timesteps(model: TextToNoise, ids: torch.Tensor) -> None:
    loss_of, latents = DenoisingLoss(CPU), noisy(5)
    kept = DDPMScheduler.from_pretrained(POCKET, subfolder="scheduler").alphas_cumprod
    min_snr = (5 * (1 - kept) / kept).clamp(max=1)
    early = (kept / (1 - kept) < 0.25).float()
    around_one = 4 * loss_of.weight - 2 * min_snr / min_snr.sum() - early / early.sum()  # log SNR ~ N(0, 1.5)
    assert loss_of.weight.sum().item() == pytest.approx(1) and around_one.min() > -1e-5
    log_snr = (kept / (1 - kept)).log()
    mean = (around_one * log_snr).sum().item()
    spread = (around_one * (log_snr - mean).square()).sum().sqrt().item()
    assert mean == pytest.approx(0, abs=0.1) and spread == pytest.approx(1.5, abs=0.1)
    torch.manual_seed(0)
    loss = loss_of(model, latents, ids)
    torch.manual_seed(0)
    noise, t = torch.randn_like(latents), torch.multinomial(loss_of.weight, 2, replacement=True)
    a = kept[t].view(2, 1, 1, 1)
    expected = torch.nn.functional.mse_loss(model(a.sqrt() * latents + (1 - a).sqrt() * noise, t, ids), noise)
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)  # bf16, where the machine computes in it


def noisy(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_the_cover_is_the_area_of_the_sprite() -> None:
    cover = coverage(SCENE, TwoColours())
    assert cover.shape == (128, 128) and cover.max() == 1 and cover[0].max() == 0
    assert cover.sum() == pytest.approx(TwoColours().picture[..., 3].mean() / 255 * 96**2, rel=0.003)
    assert np.allclose(cover, coverage(replace(SCENE, background="pink"), TwoColours()))


@pytest.mark.parametrize("background", list(BACKGROUNDS))
@pytest.mark.parametrize("style", ["pixel_art", "ink_outline"])
def test_both_styles_leave_the_background_as_the_prompt_says(style: str, background: str) -> None:
    picture = restyled(replace(SCENE, background=background), TwoColours(), style)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
    assert (picture[:8] == BACKGROUNDS[background]).all() and (picture[:, -8:] == BACKGROUNDS[background]).all()


def test_pixel_art_is_square_pixels_of_few_colours_with_an_edge() -> None:
    picture = restyled(SCENE, TwoColours(), "pixel_art")
    assert (picture == picture[::8, ::8].repeat(8, 0).repeat(8, 1)).all()
    colours = {tuple(c) for c in picture.reshape(-1, 3).tolist()}
    assert {BACKGROUNDS["blue"], EDGE} <= colours and len(colours) <= PALETTE + 2
    assert np.abs(picture[64, 40].astype(int) - (214, 48, 49)).max() < 8
    assert np.abs(picture[64, 88].astype(int) - (250, 220, 70)).max() < 8


def test_ink_outline_draws_lines_where_colours_meet_and_leaves_the_colours() -> None:
    picture = restyled(SCENE, TwoColours(), "ink_outline").astype(int)
    assert np.abs(picture[64, 40] - (214, 48, 49)).max() <= 1 and np.abs(picture[64, 88] - (250, 220, 70)).max() <= 1
    silhouette = picture[64, 13:20].min(0)
    assert np.abs(silhouette - INK).max() <= 12
    between = picture[64, 60:68].sum(1).min()
    assert between < 0.6 * picture[64, 40].sum()


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_the_consistency_function_is_what_lcm_scheduler_computes(steps: int) -> None:
    pipeline_config = StableDiffusionPipeline.load_config(POCKET)
    assert pipeline_config["scheduler"][1] == "DDIMScheduler"
    scheduler = LCMScheduler.from_pretrained(POCKET, subfolder="scheduler")
    scheduler.set_timesteps(steps)
    assert lcm_timesteps(steps) == scheduler.timesteps.tolist()
    x, epsilon = noisy(1), noisy(2)
    for t in scheduler.timesteps:
        expected = scheduler.step(epsilon, t, x).denoised
        assert torch.allclose(consistency(scheduler, x, t.expand(2), epsilon), expected, atol=1e-5)


def test_the_consistency_function_is_the_identity_at_zero() -> None:
    scheduler = LCMScheduler.from_pretrained(POCKET, subfolder="scheduler")
    x = noisy(3)
    assert torch.equal(consistency(scheduler, x, torch.tensor([0, 0]), noisy(4)), x)


def test_the_timesteps_of_four_steps_are_the_known_ones() -> None:
    assert lcm_timesteps(4) == [999, 759, 499, 259]


def test_the_distance_is_zero_for_equals_and_grows_like_the_root_mean_square() -> None:
    end, alpha = noisy(5), torch.ones(2)
    assert distance(end, end, alpha) == 0
    assert distance(end + 3, end, alpha).item() == pytest.approx(3, rel=0.02)
    assert distance(end + 0.003, end, alpha).item() == pytest.approx(0.003**2 / 0.06, rel=0.02)  # d² / 2c
    assert distance(end + 3, end, torch.full((2,), 1 / 16)).item() == pytest.approx(1.5, rel=0.02)


def test_one_step_changes_the_lora_and_nothing_else(model: TextToNoise, adapter: Adapter, ids: torch.Tensor) -> None:
    before = {name: p.clone() for name, p in model.named_parameters()}
    x, t = noisy(), torch.tensor([259, 759])
    plain = model(x, t, ids)
    scheduler = LCMScheduler.from_pretrained(POCKET, subfolder="scheduler")

    def loss() -> torch.Tensor:
        answer = consistency(scheduler, x, t, model(x, t, ids))
        return distance(answer, noisy(9), scheduler.alphas_cumprod[t])

    first = loss()
    for _ in range(3):
        adapter.step(loss(), rate=1.0, samples=2)
    assert loss() < first and adapter.samples == 6
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed and all("lora_A" in name or "lora_B" in name for name in changed)
    layers = {name.split(".lora_")[0] for name, _ in model.named_parameters() if ".lora_" in name}
    assert {name.split(".lora_")[0] for name in changed} == layers
    model.unet.disable_adapters()
    with torch.no_grad():
        assert torch.equal(model(x, t, ids), plain)
    model.unet.enable_adapters()


def test_the_teacher_walks_to_where_the_pipeline_of_diffusers_gets(
    model: TextToNoise, adapter: Adapter, ids: torch.Tensor
) -> None:
    """From pure noise, with guidance: the same end as StableDiffusionPipeline with DPM++ 2M and the same timesteps."""

    class Fixed:
        def next(self, n: int) -> Shown:
            return Shown(noisy()[:n], ids[:n], [], [])

    torch.nn.init.normal_(adapter.weights[1], std=0.1)  # the teacher must not see the student
    empty = token_ids(CLIPTokenizer.from_pretrained(POCKET / "tokenizer"), [""])
    teacher = Teacher(model, empty, Fixed(), paths=2, seed=0)
    teacher.start = lambda clean, ids: (noisy(7), 999)
    answers = teacher.solved()
    assert torch.equal(answers.noisy[:2], noisy(7)) and answers.t[:2].tolist() == [999, 999]
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    timesteps = [round(999 * (1 - k / SOLVER_STEPS)) for k in range(SOLVER_STEPS)]
    expected = pipeline(
        ["red apple, blue background", "cat, yellow background"],
        latents=noisy(7), timesteps=timesteps, guidance_scale=GUIDANCE, output_type="latent",
    ).images  # fmt: skip
    for k in range(0, len(answers.t), 2):  # every place learns the same end
        assert torch.allclose(answers.end[k : k + 2], expected, atol=2e-3)
    assert set(answers.t.tolist()) <= set(timesteps)


def test_the_file_is_what_diffusers_loads_and_zero_is_plain(
    model: TextToNoise, adapter: Adapter, ids: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "FOLDER", tmp_path)
    for parameter in adapter.average.values:
        torch.nn.init.normal_(parameter, std=0.1)
    adapter.export("made")
    x, t = noisy(), torch.tensor([300, 600])
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    text = pipeline.text_encoder(ids).last_hidden_state
    with torch.no_grad():
        plain = pipeline.unet(x, t, text).sample
        pipeline.load_lora_weights(tmp_path, weight_name="made.safetensors", adapter_name="made")
        assert torch.allclose(pipeline.unet(x, t, text).sample, model(x, t, ids), atol=2e-2)
        assert not torch.allclose(pipeline.unet(x, t, text).sample, plain, atol=0.2)
        pipeline.set_adapters(["made"], [0.0])
        assert torch.allclose(pipeline.unet(x, t, text).sample, plain, atol=1e-5)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_a_shipped_lora_is_small_and_draws(path: Path) -> None:
    assert path.stat().st_size <= SIZES[path.stem]
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    pipeline.load_lora_weights(path.parent, weight_name=path.name)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    picture = pipeline("red apple, blue background", num_inference_steps=2, guidance_scale=1.0).images[0]
    assert picture.size == (128, 128) and np.asarray(picture).std() > 10


def test_training_without_a_checkpoint_goes_on_from_the_shipped_file(
    model: TextToNoise, ids: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "WORK", tmp_path)  # where no checkpoint is
    adapter = Adapter(model.unet, 3, 1e-3)
    try:
        adapter.load("pixel_art")
        x, t = noisy(), torch.tensor([300, 600])
        pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
        pipeline.load_lora_weights(POCKET / "loras", weight_name="pixel_art.safetensors")
        with torch.no_grad():
            expected = pipeline.unet(x, t, pipeline.text_encoder(ids).last_hidden_state).sample
            assert torch.allclose(model(x, t, ids), expected, atol=1e-4)
        assert all(torch.equal(a, w) for a, w in zip(adapter.average.values, adapter.weights, strict=True))
    finally:
        model.unet.delete_adapters("default")
