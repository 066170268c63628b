"""A family's tiny autoencoder draws previews as diffusers draws with it, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, FluxPipeline

from playground import open_engine
from playground.command.line import main
from playground.engine import Decode, Done, LocalEngine, Step
from playground.refusal import Refusal
from tests.models.tiny_families import build_family, flux
from tests.reference import called, largest_difference

CPU = (torch.device("cpu"), torch.float32, "torch")


def tiny(folder: Path, channels: int = 4, levels: int = 4, **config: float) -> Path:
    torch.manual_seed(5)
    AutoencoderTiny(
        latent_channels=channels, encoder_block_out_channels=(8,) * levels, decoder_block_out_channels=(8,) * levels,
        num_encoder_blocks=(1,) * levels, num_decoder_blocks=(1,) * levels, **config,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalEngine, LocalEngine, Path]:
    """A small SDXL without one and, the same, with one beside it; and the folder of that one."""
    folder = build_family("sdxl-tiny", tmp_path_factory.mktemp("previews"))
    without = open_engine(folder, *CPU)
    return without, open_engine(folder, *CPU, preview=tiny(folder.parent / "given")), folder.parent / "given"


def test_previews_are_its_and_pictures_the_vaes(engines: tuple[LocalEngine, LocalEngine, Path]) -> None:
    without, engine, folder = engines
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=3, width=64, height=64)
    told = list(engine.run([recipe]))
    (done,) = (event.result for event in told if isinstance(event, Done))
    assert np.array_equal(np.asarray(done.image), np.asarray(without.render(recipe).image))
    assert engine.facts.quick_previews and engine.facts.fingerprint == without.facts.fingerprint
    plain = AutoencoderTiny.from_pretrained(folder)
    with torch.no_grad():
        pixels = plain.decode(done.x0).sample[0].permute(1, 2, 0)  # a preview of what is left after the last step
    first = [event.preview for event in told if isinstance(event, Step)][0]  # which is always drawn
    expected = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().numpy()
    quick = next(engine.ask([Decode(done.x0, quick=True)])).value[0]
    assert np.abs(np.asarray(quick) - expected).max() <= 1 and expected.std() > 1
    assert first is not None and first.size == (64, 64)


def test_of_latents_that_the_network_takes_packed_they_are_what_its_pipeline_draws_with_it(tmp_path: Path) -> None:
    flux(dev=False, channels=16).save_pretrained(tmp_path / "flux")
    given = tiny(tmp_path / "taef1", channels=16, scaling_factor=0.8, shift_factor=0.1)
    engine = open_engine(tmp_path / "flux", *CPU, preview=given)
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=2, width=64, height=96)
    done = engine.render(recipe)
    preview = next(engine.ask([Decode(done.x0, quick=True)])).value[0]
    pipeline = FluxPipeline.from_pretrained(tmp_path / "flux", vae=AutoencoderTiny.from_pretrained(given))
    expected = called(pipeline, recipe, width=64, height=96)
    assert np.abs(np.asarray(preview).astype(int) - expected).max() <= 1 and expected.std() > 3
    assert largest_difference(done, expected) > 20  # the VAE's


def test_one_beside_the_model_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = build_family("sdxl-tiny", tmp_path)
    tiny(folder / "taesd")
    assert open_engine(folder, *CPU).facts.quick_previews
    tiny(folder / "taesd", channels=16)
    assert not open_engine(folder, *CPU).facts.quick_previews
    assert "takes latents of 16 channels, and this model's have 4. Previews are drawn by the VAE." in caplog.text


def test_one_that_does_not_fit_is_refused(
    engines: tuple[LocalEngine, LocalEngine, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = Path(engines[0].facts.folder)
    tiny(tmp_path / "large", channels=16)
    tiny(tmp_path / "coarse", levels=3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL"}))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.json").write_text((engines[2] / "config.json").read_text())
    for name, says in {
        "large": "takes latents of 16 channels, and this model's have 4",
        "coarse": "it draws 4 pixels a latent, and the model's VAE 8",
        "empty": "its config.json cannot be read",
        "vae": "vae is a AutoencoderKL, and no AutoencoderTiny",
        "cut": "has no diffusion_pytorch_model.safetensors",
    }.items():
        with pytest.raises(Refusal, match=says):
            open_engine(model, *CPU, preview=tmp_path / name)
    both = ["serve", "--model", "pocket", "--model", str(model), "--preview", str(engines[2])]
    assert main(both) == 2 and "--preview is for one model" in capsys.readouterr().err
