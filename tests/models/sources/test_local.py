"""Folders of this machine: what their names of files say already, and what must not be taken for it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from playground.command.line import main
from playground.models.registry import load_model
from playground.refusal import Refusal
from tests.models.tiny_families import build_family

CPU = torch.device("cpu")
UNET, TEXT = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


def renamed(folder: Path, name: str, to: str) -> None:
    (folder / name).rename((folder / name).with_name(to))


def pickled(folder: Path, name: str, to: str) -> None:
    """As the libraries write it."""
    torch.save(load_file(folder / name), (folder / name).with_name(to))
    (folder / name).unlink()


@pytest.mark.parametrize(
    ("change", "name", "to", "says"),
    [
        (renamed, UNET, "diffusion_pytorch_model.fp16.safetensors",
         "its unet only as diffusion_pytorch_model.fp16.safetensors; that is not read here."),
        (renamed, TEXT, "model.fp16.safetensors", "its text_encoder only as model.fp16.safetensors; that is not"),
        (pickled, UNET, "diffusion_pytorch_model.bin", "its unet only pickled, which can run code when they are read;"),
        (pickled, TEXT, "pytorch_model.bin", "its text_encoder only pickled, which can run code when they are read;"),
    ],
)  # fmt: skip
def test_weights_that_are_not_read_are_one_sentence_before_anything_is(
    change: Callable[[Path, str, str], None],
    name: str,
    to: str,
    says: str,
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever their family: for one of a family here, and for one that its own pipeline would draw."""
    for kind in ("StableDiffusionPipeline", "StableDiffusionPAGPipeline"):
        folder = shutil.copytree(folders["sd15-tiny"], tmp_path / kind)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
        change(folder, name, to)
        assert main(["serve", "--model", str(folder)]) == 2
        said = capsys.readouterr().err.strip()
        assert said.startswith(f"playground: {kind} has the weights of {says}") and "\n" not in said


def test_a_part_that_is_code_is_refused_and_none_that_draws_nothing(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(folders["sd15-tiny"], tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": ["own_unet", "Network"]}))
    assert main(["serve", "--model", str(folder)]) == 2
    assert "model needs code of its own for its unet, which is not run here." in capsys.readouterr().err


def test_what_lies_beside_whole_weights_or_is_not_there_keeps_no_folder_out(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """As folders are that were fetched with all variants, whose weights are in shards, or whose checker is pickled."""
    folder = tmp_path / "model"
    pipeline = StableDiffusionPipeline.from_pretrained(folders["sd15-tiny"])
    pipeline.save_pretrained(folder, max_shard_size="50KB")
    assert len(list((folder / "unet").glob("*-of-*.safetensors"))) > 1
    index = json.loads((folder / "model_index.json").read_text())
    assert [None, None] in index.values()
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "safety_checker").mkdir()
    for name in (
        "safety_checker/pytorch_model.bin",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/pytorch_model.bin",
        "text_encoder/model.fp16.safetensors",
        "v1-5-pruned.ckpt",
    ):
        (folder / name).write_bytes(b"\x80")
    save_file({"x": torch.zeros(1)}, folder / "vae" / "diffusion_pytorch_model.non_ema.safetensors")
    read, whole = load_model(folder, CPU, torch.float32), load_model(folders["sd15-tiny"], CPU, torch.float32)
    ours, theirs = read.unet.state_dict(), whole.unet.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def without_some(folder: Path, file: str) -> None:
    tensors = load_file(folder / file)
    save_file(dict(list(tensors.items())[:-2]), folder / file, metadata={"format": "pt"})


def of_other_sizes(folder: Path, file: str) -> None:
    tensors = load_file(folder / file)
    name = "embeddings.token_embedding.weight" if file == TEXT else "conv_in.weight"
    save_file(tensors | {name: tensors[name][:5].contiguous()}, folder / file, metadata={"format": "pt"})


def without_a_shard(folder: Path, part: str) -> None:
    StableDiffusionPipeline.from_pretrained(folder).save_pretrained(folder, max_shard_size="50KB")
    (folder / UNET).unlink()
    max((folder / part).glob("*-of-*.safetensors")).unlink()


def without_words(folder: Path, part: str) -> None:
    for file in (folder / part).iterdir():
        file.unlink()


def without_settings(folder: Path, file: str) -> None:
    (folder / file).unlink()


def without_a_part(folder: Path, part: str) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {part: [None, None]}))


def of_another_class(folder: Path, part: str) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {part: ["transformers", "BertModel"]}))


@pytest.mark.parametrize(
    ("change", "what", "says"),
    [
        (without_some, UNET, "is no whole model: 2 weights of its unet are missing, "),
        (without_some, VAE, "is no whole model: 2 weights of its vae are missing, "),
        (without_some, TEXT, "is no whole model: 2 weights of its text_encoder are missing, "),
        (of_other_sizes, UNET, "cannot be loaded: conv_in.weight expected shape torch.Size([16, 4, 3, 3]), but got "),
        (of_other_sizes, TEXT, "embeddings.token_embedding.weight of its text_encoder has other sizes than its config"),
        (of_another_class, "text_encoder", "is no whole model: 39 weights of its text_encoder are missing, "),
        (without_a_part, "text_encoder", "is no whole model: it has no text_encoder."),
        (without_a_shard, "unet", "has no diffusion_pytorch_model-"),
        (without_words, "tokenizer", "has no tokenizer.json, or other file of the words of its tokenizer, without "),
        (without_settings, "tokenizer/tokenizer_config.json", "its tokenizer does not say how many tokens are read."),
    ],
)  # fmt: skip
def test_what_is_missing_is_one_sentence_and_never_made_up(
    change: Callable[[Path, str], None],
    what: str,
    says: str,
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The libraries would draw by random numbers instead, or without words, or end in a traceback."""
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"prompt": "cat", "sampler": "pndm", "num_inference_steps": 2}))
    for kind in ("StableDiffusionPipeline", "StableDiffusionPAGPipeline"):
        folder = shutil.copytree(folders["sd15-tiny"], tmp_path / kind)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
        change(folder, what)
        capsys.readouterr()
        assert main(["grid", str(recipe), "-o", str(tmp_path / "out"), "--model", str(folder)]) == 2
        said = capsys.readouterr().err.strip()
        assert kind in said and said.startswith("playground: ") and says in said and "\n" not in said
        assert "overwrite" not in said and "ignore_mismatched" not in said


@pytest.mark.parametrize("kind", ["StableDiffusionXLPipeline", "StableDiffusionXLPAGPipeline"])
def test_an_encoder_that_diffusers_leaves_optional_is_needed(kind: str, tmp_path: Path) -> None:
    """SDXL's pipeline runs without its first one only on words that were encoded elsewhere."""
    folder = build_family("sdxl-tiny", tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    none = [None, None]
    changed = index | {"_class_name": kind, "text_encoder": none, "tokenizer": none}
    (folder / "model_index.json").write_text(json.dumps(changed))
    with pytest.raises(Refusal, match="^sdxl-tiny is no whole model: it has no text_encoder, no tokenizer.$"):
        load_model(folder, CPU, torch.float32)


@pytest.mark.parametrize(("said", "side"), [(None, 64), ([8, 12], 8), (9, 9)])
def test_a_network_need_not_say_one_size(
    said: int | list[int] | None, side: int, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["sd15-tiny"], tmp_path / "model")
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"sample_size": said}))
    facts = load_model(folder, CPU, torch.float32).facts
    assert facts.usual.width == facts.usual.height == side * facts.scale
