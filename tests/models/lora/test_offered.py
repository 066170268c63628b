"""A folder of LoRA files that is given at the start, for whichever model they fit."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from playground import open_engine
from playground.command.checks import check_loras
from playground.engine import Done, Failed
from playground.engine.local import _say
from playground.models.lora.folder import own_folder
from playground.models.registry import load_model
from playground.refusal import Refusal
from tests.models.lora.test_kinds_of_files import ATTENTION, trained
from tests.reference import TOLERANCE, largest_difference, plain

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def offered(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that fits Stable Diffusion's tiny model, one that fits a model of another width, and one cut short."""
    folder = tmp_path_factory.mktemp("offered")
    for name, kind in (("style", "sd15-tiny"), ("wide", "odd-tiny")):
        pipeline = StableDiffusionPipeline.from_pretrained(folders[kind])
        tensors = {f"unet.{key}": value for key, value in trained(pipeline.unet, ATTENTION, 1).items()}
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / "cut.safetensors").write_bytes((folder / "style.safetensors").read_bytes()[:1000])
    return folder


def test_what_fits_draws_as_diffusers_draws_and_the_rest_is_left_out_and_named(
    folders: dict[str, Path], offered: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _say.cache_clear()
    with caplog.at_level(logging.WARNING, logger="playground"):
        engine = open_engine(folders["sd15-tiny"], CPU, torch.float32, "torch", loras=[offered])
        open_engine(folders["sd15-tiny"], CPU, torch.float32, "torch", loras=[offered]).close()
    assert tuple(engine.facts.loras) == ("style",) and set(engine.facts.left_out) == {"cut", "wide"}
    said = [record.message for record in caplog.records if record.name.startswith("playground")]
    assert said[0] == "The LoRA cut is left out for sd15-tiny: it is not a whole safetensors file."
    assert said[1].startswith("The LoRA wide is left out for sd15-tiny: its matrices for ") and len(said) == 2

    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=3, loras={"style": 1.0})
    pipeline = StableDiffusionPipeline.from_pretrained(folders["sd15-tiny"])
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(offered, weight_name="style.safetensors")
    assert largest_difference(engine.render(recipe), plain(pipeline, recipe)) <= TOLERANCE
    engine.close()


class Runs:
    """What a pickled file can hold: something that is done when it is read."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self._trace,)


def test_pickled_files_are_refused_by_name_unread_and_stop_nothing(
    folders: dict[str, Path], offered: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log when it starts, and in the cell that asks for one; beside a good file of the same name, of whichever
    folder, they are nothing."""
    trace, folder, loras = tmp_path / "trace", shutil.copytree(folders["sd15-tiny"], tmp_path / "model"), tmp_path / "l"
    for place in (loras, own_folder(folder)):
        (place / "saved").mkdir(parents=True)
        prefix = "own-" if place != loras else ""
        for name in ("old.pt", "older.CKPT", "oldest.bin", "twice.pt", "twice.ckpt"):
            torch.save(Runs(trace), place / f"{prefix}{name}")
    torch.save(Runs(trace), loras / "saved" / "adapter_model.bin")
    torch.save(Runs(trace), loras / "style.pt")
    torch.save(Runs(trace), own_folder(folder) / "style.pt")
    shutil.copy(offered / "style.safetensors", loras)
    assert check_loras([loras]) == [loras]
    _say.cache_clear()
    with caplog.at_level(logging.WARNING, logger="playground"):
        engine = open_engine(folder, CPU, torch.float32, "torch", loras=[loras])
    why = "it is pickled, which can run code when it is read, and only safetensors files are read here"
    assert [record.message for record in caplog.records if record.name.startswith("playground")] == [
        f"The LoRA {prefix}{name} is left out for model: {why}."
        for prefix, names in (("own-", "old older oldest twice"), ("", "old older oldest saved twice"))
        for name in names.split()
    ]
    assert tuple(engine.facts.loras) == ("style",)
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=1)
    events = list(engine.run([recipe.replace(loras={"own-old": 1.0}), recipe.replace(loras={"style": 1.0}), recipe]))
    assert [e.reason for e in events if isinstance(e, Failed)] == [f"The LoRA own-old cannot be used: {why}."]
    assert {e.cell for e in events if isinstance(e, Done)} == {1, 2} and not trace.exists()
    engine.close()


def test_links_that_lead_nowhere_are_left_out_by_name_and_stop_nothing(
    folders: dict[str, Path], offered: Path, tmp_path: Path
) -> None:
    folder, loras = shutil.copytree(folders["sd15-tiny"], tmp_path / "model"), tmp_path / "loras"
    for place, prefix in ((own_folder(folder), "own-"), (loras, "")):
        place.mkdir()
        loop = place / f"{prefix}loop.safetensors"
        loop.symlink_to(loop)
        (place / f"{prefix}gone.safetensors").symlink_to(place / "nowhere.safetensors")
        (place / f"{prefix}saved").mkdir()
        (place / f"{prefix}saved" / "adapter_model.safetensors").symlink_to(place / "nowhere.safetensors")
    assert check_loras([loras]) == [loras]
    (loras / "style.safetensors").symlink_to(offered / "style.safetensors")  # one that leads somewhere
    engine = open_engine(folder, CPU, torch.float32, "torch", loras=[loras])
    why = "it is a link that leads nowhere"
    assert engine.facts.left_out == {
        f"{prefix}{name}": why for prefix in ("own-", "") for name in ("gone", "loop", "saved")
    }
    assert tuple(engine.facts.loras) == ("style",)
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=1)
    events = list(engine.run([recipe.replace(loras={"own-loop": 1.0}), recipe.replace(loras={"style": 1.0})]))
    assert [e.reason for e in events if isinstance(e, Failed)] == [f"The LoRA own-loop cannot be used: {why}."]
    assert {e.cell for e in events if isinstance(e, Done)} == {1}
    engine.close()


def test_another_model_takes_what_fits_it_from_the_same_folder(folders: dict[str, Path], offered: Path) -> None:
    facts = load_model(folders["odd-tiny"], CPU, torch.float32, [offered]).facts
    assert tuple(facts.loras) == ("wide",) and set(facts.left_out) == {"cut", "style"}


def test_a_name_that_the_model_has_already_is_refused_only_where_the_file_fits(
    folders: dict[str, Path], offered: Path, tmp_path: Path
) -> None:
    for kind in ("sd15-tiny", "odd-tiny"):
        folder = tmp_path / kind
        shutil.copytree(folders[kind], folder)
        own_folder(folder).mkdir()
        fits = "style" if kind == "sd15-tiny" else "wide"
        shutil.copy(offered / f"{fits}.safetensors", own_folder(folder) / "style.safetensors")
    with pytest.raises(Refusal, match="There are two LoRAs named style; rename one."):
        load_model(tmp_path / "sd15-tiny", CPU, torch.float32, [offered])
    facts = load_model(tmp_path / "odd-tiny", CPU, torch.float32, [offered]).facts
    assert tuple(facts.loras) == ("style", "wide")  # its own one, while the other of that name does not fit it


def test_a_models_own_loras_lie_in_its_folder_or_beside_its_file(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    assert own_folder(tmp_path) == own_folder(file) == tmp_path / "loras"
