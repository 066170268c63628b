"""Several models, and LoRAs from a folder, without a page."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from playground import open_engine
from playground.command.line import main
from playground.refusal import Refusal
from playground.store import from_png
from tests.models.lora.test_kinds_of_files import ATTENTION, trained

CPU = torch.device("cpu")
SMALL, WIDE = "sd15-tiny", "odd-tiny"


@pytest.fixture
def loras(folders: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "styles"
    folder.mkdir()
    unet = open_engine(folders[SMALL], torch.device("cpu"), torch.float32, "torch").model.unet
    tensors = {f"unet.{key}": value for key, value in trained(unet, ATTENTION, 1).items()}
    save_file(tensors, folder / "style.safetensors")
    return folder


def test_a_grid_over_two_models_draws_what_each_can_and_a_receipt_finds_the_same(
    folders: dict[str, Path],
    loras: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLAYGROUND_CELLS", str(tmp_path / "cells"))
    for command in ("grid", "verify"):  # without OpenVINO, whose conversion would take most of the time
        monkeypatch.setattr(
            f"playground.command.{command}.opened",
            lambda model, extras, **_: open_engine(model, CPU, torch.float32, "torch", loras=extras.loras),
        )
    asked, out = tmp_path / "sweep.json", tmp_path / "out"
    base = {"prompt": "cat", "num_inference_steps": 2}
    asked.write_text(json.dumps({"base": base, "axes": {"loras.style": [0, 1], "model": [SMALL, WIDE]}}))
    models = ["--model", str(folders[SMALL]), "--model", str(folders[WIDE]), "--loras", str(loras)]
    assert main(["grid", str(asked), "-o", str(out), "--json", *models]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = [event for event in events if event["event"] == "failed"]
    matrices = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    refusal = f"The LoRA style cannot be used: its matrices for {matrices} have other sizes than this model's."
    assert [(event["cell"], event["reason"]) for event in failed] == [(cell, refusal) for cell in (1, 3)]
    pictures = sorted((out / "cells").glob("*.png"))
    recipes = [from_png(path.read_bytes()).recipe for path in pictures]
    assert [(r.model, r.width, dict(r.loras)) for r in recipes] == [(SMALL, 64, {"style": w}) for w in (0, 1)]

    mine = ["--model", str(folders[SMALL]), "--loras", str(loras)]
    assert main(["verify", str(pictures[1]), "--json", *mine]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


@pytest.mark.parametrize("more", [[], ["--model", "pocket"]], ids=["one", "several"])
def test_serve_opens_its_models_with_the_folders(
    more: list[str], folders: dict[str, Path], loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[Path]] = []

    def opened(model, runtime, controlnet=None, extras=None):  # noqa: ANN001, ANN202
        given.append(list(extras.loras))
        raise Refusal("Enough is known.")

    monkeypatch.setattr("playground.command.serve.opened", opened)
    assert main(["serve", "--model", str(folders[SMALL]), *more, "--loras", str(loras), "--loras", str(loras)]) == 2
    assert given == [[loras, loras]]
