"""Which files of a repository in diffusers layout a picture needs."""

import importlib.util
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playground.refusal import Refusal

INDEX = "model_index.json"
CARD = "README.md"  # for its licence
# the classes that a family runs here, as an index names them; `models.registry` says which. `others` judges all others
PIPELINES = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "FluxPipeline",
    "PixArtAlphaPipeline",
    "PixArtSigmaPipeline",
    "SanaPipeline",
    "QwenImagePipeline",
    "ZImagePipeline",
    "Lumina2Pipeline",
    "Flux2KleinPipeline",
)
DENOISERS = ("unet", "transformer")
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # parts that draw nothing from words
LIBRARIES = ("diffusers", "transformers")  # whose classes may be parts, besides those of diffusers' pipelines
WEIGHTS = re.compile(r"(?:diffusion_pytorch_model|model)(-\d{5}-of-\d{5})?\.safetensors")
VOCABULARY = re.compile(r"tokenizer\.json|vocab\.(?:json|txt)|[\w.-]+\.model")  # a tokenizer's words are in one of them
OF_SHARDS = re.compile(r"/([\w.]+)-\d{5}-of-(\d{5})")
SETTINGS = re.compile(r"[\w.-]+\.(?:json|txt|model|jinja)")  # of networks, schedules and tokenizers
OF_OTHER_WEIGHTS = re.compile(r"\.bin\.|\.fp16\.|\.bf16\.|\.non_ema\.|\.ema\.|openvino|flax|onnx", re.I)


def index_of(folder: Path, shown: str = "") -> dict[str, Any]:
    """What a folder lists as its parts; `shown` is what it is called where that is not its name.

    Raises Refusal, with one sentence, where it is no model, and for a pipeline that is not one of diffusers' own.
    """
    shown = shown or f"The folder {folder.name or folder}"
    no = f"{shown} is no model in diffusers layout: "
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(f"{no}it has no {INDEX}.") from None
    except OSError as error:
        raise Refusal(f"{shown} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise Refusal(f"{no}its {INDEX} is not valid JSON.") from None
    named = index.get("_class_name") if isinstance(index, dict) else None
    if isinstance(named, list):  # a file of the repository, and a class in it
        raise Refusal(f"{shown} needs code of its own, which is not run here.")
    if not isinstance(named, str):
        raise Refusal(f"{no}its {INDEX} names no pipeline.")
    return index


def called(folder: Path) -> str:
    """What a folder is called in a sentence: the hub's client keeps one as models--OWNER--NAME/snapshots/COMMIT;
    no id has two dashes side by side."""
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.removeprefix("models--").replace("--", "/")
    return folder.name


def _of_a_pipeline(name: str) -> bool:
    """Whether it is one of the packages that diffusers ships its pipelines in, some with parts of their own. All others
    would be code of the repository."""
    found = importlib.util.find_spec("diffusers")
    shipped = Path(str(found and found.origin)).parent / "pipelines" / name / "__init__.py"
    return name.isidentifier() and shipped.is_file()


def files_of(folder: Path) -> list[str]:
    """Names of the files in a folder's parts, PART/FILE, as a repository lists them."""
    return [path.relative_to(folder).as_posix() for path in folder.glob("*/*")]


def needed(index: dict[str, Any], files: Iterable[str], repo: str) -> list[str]:
    """Of a repository's files, or a folder's by `files_of`, the names of those that a picture needs: settings, and each
    network's weights once, as safetensors in the usual precision.

    Raises Refusal where a network has none such, or where a part is code of the repository.
    """
    files = set(files)
    chosen = [name for name in (INDEX, CARD) if name in files]
    for part, value in index.items():
        if part in UNUSED or not isinstance(value, list) or len(value) != 2 or None in value:
            continue
        library = str(value[0])
        if f"{part}/{library}.py" in files or (library not in LIBRARIES and not _of_a_pipeline(library)):
            raise Refusal(f"{repo} needs code of its own for its {part}, which is not run here.")
        inside = sorted(name for name in files if name.startswith(f"{part}/") and name.count("/") == 1)
        names = {name: name.partition("/")[2] for name in inside}
        weights = [name for name, short in names.items() if WEIGHTS.fullmatch(short)]
        whole = [name for name in weights if "-of-" not in name]
        if any(short.endswith((".safetensors", ".bin")) for short in names.values()) and not weights:
            variants = [short for short in names.values() if short.endswith(".safetensors")]
            reason = f"only as {variants[0]}" if variants else "only pickled, which can run code when they are read"
            raise Refusal(f"{repo} has the weights of its {part} {reason}; that is not read here.")
        if lacking := _lacking(part, str(value[1]), set(names.values()), [] if whole else weights):
            raise Refusal(f"{repo} has no {lacking} of its {part}, without which it cannot be read.")
        chosen += whole[:1] or weights
        chosen += [n for n, short in names.items() if SETTINGS.fullmatch(short) and not OF_OTHER_WEIGHTS.search(short)]
    return chosen


def _lacking(part: str, kind: str, names: set[str], shards: list[str]) -> str:
    """What is not among the files of a part, of class `kind`; empty where nothing is missing that names tell.
    transformers reads a tokenizer without words as one that knows none; ByT5 needs none."""
    words = part.startswith("tokenizer") and not kind.startswith("ByT5")
    if words and not any(map(VOCABULARY.fullmatch, names)):
        return "tokenizer.json, or other file of the words"
    head, count = OF_SHARDS.search(shards[0]).groups() if shards else ("", 0)
    all_of_them = (f"{head}-{i:05}-of-{count}.safetensors" for i in range(1, int(count) + 1))
    return next((name for name in all_of_them if name not in names), "")
