"""LoRAs as peft itself saves them: layers by their paths in the network that was trained, and their scaling in a file
beside them (`PeftModel.save_pretrained`, https://huggingface.co/docs/peft/developer_guides/checkpoint).

Without that file nothing says the scaling, and α = r is taken, as for any LoRA file that names no alpha.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from playground.models.folder import file_digest

Shape = tuple[int, ...]
PREFIX = "base_model.model."
CONFIG = "adapter_config.json"
LARGEST = 1e6  # of ranks and alphas
MOST_READ = 2**20  # bytes of one; with a pattern for every layer of a large model it has some 100,000
# Of LoraConfig, what makes another layer than W x + α/r · B(A x), though its matrices have the same names.
VARIANTS = ("use_dora", "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "kasa_config")
VARIANTS += ("monteclora_config", "layer_replication")
KEEPS_W = (None, True, False, "gaussian", "eva", "orthogonal")  # init_lora_weights; others take their part out of W


def part_of(shapes: Mapping[str, Shape], parts: Mapping[str, nn.Module]) -> str | None:
    """peft's names with their tensors' shapes -> the part of the model that was trained, of which the file says nothing
    but its layers; None for files of any other kind.

    Some trainers put peft's prefix before names that are not diffusers' own, so one layer must be the part's. Where
    several encoders have layers of these names, it is the one whose layers have these sizes. Raises ValueError with the
    reason, as the end of a sentence, where that is not one.
    """
    if not shapes or not all(key.startswith(PREFIX) for key in shapes):
        return None
    named = [part for part in parts if any(_layer(key, parts[part]) is not None for key in shapes)]
    if len(named) < 2:
        return named[0] if named else None
    fitting = [part for part in named if all(_fits(key, shape, parts[part]) for key, shape in shapes.items())]
    if len(fitting) > 1:
        raise ValueError(f"its layers fit {' and '.join(fitting)} alike, and nothing in it says which was trained")
    return (fitting or named)[0]


def unwrapped(tensors: Mapping[str, Tensor], part: nn.Module) -> dict[str, Tensor]:
    """peft's names -> those of the part that was trained."""
    return {own_name(key, part): tensor for key, tensor in tensors.items()}


def own_name(key: str, part: nn.Module) -> str:
    """Recent transformers put a CLIP encoder's layers at the top; older files still say `text_model` before them."""
    key = key.removeprefix(PREFIX)
    return key if hasattr(part, "text_model") else key.removeprefix("text_model.")


def scaling(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the config beside an adapter says of its scaling: lora_alpha, alpha_pattern, use_rslora; empty without one.

    Raises ValueError with the reason, as the end of a sentence, for one that is not of a plain LoRA of these ranks.
    """
    said = _config(path.with_name(CONFIG))
    if said is None:
        return {}
    kind = said.get("peft_type", "LORA")
    variant = next((name for name in VARIANTS if said.get(name)), None)
    if kind != "LORA" or variant:
        raise ValueError(f"its {CONFIG} says {str(variant or kind)[:40]}, and only plain LoRAs are added here")
    if said.get("init_lora_weights") not in KEEPS_W:
        begun = str(said["init_lora_weights"])[:40]
        raise ValueError(f"its {CONFIG} says that it began as {begun}, which changes the model's own weights as well")
    alpha, alphas = said.get("lora_alpha"), said.get("alpha_pattern") or {}
    rank, ranks = said.get("r"), said.get("rank_pattern") or {}
    stabilised = said.get("use_rslora") or False
    if not (isinstance(alphas, dict) and isinstance(ranks, dict) and isinstance(stabilised, bool)):
        raise ValueError(f"its {CONFIG} is not what peft writes")
    if not all(map(_number, (alpha, rank, *alphas.values(), *ranks.values()))):
        raise ValueError(f"its {CONFIG} needs numbers for lora_alpha, r and their patterns")
    if any(matrix.shape[:1] not in {(r,) for r in (rank, *ranks.values())} for matrix in _downs(tensors)):
        raise ValueError(f"its {CONFIG} says other ranks than its matrices have")
    return {"lora_alpha": alpha, "alpha_pattern": alphas, "use_rslora": stabilised}


def digest(path: Path) -> str:
    """64 hexadecimal digits over a LoRA file, and over the config beside it where there is one."""
    own, config = file_digest(path), path.with_name(CONFIG)
    return hashlib.sha256((own + file_digest(config)).encode()).hexdigest() if config.is_file() else own


def part_in(path: Path, parts: Mapping[str, nn.Module]) -> str | None:
    """A LoRA file -> the part that it changes, where peft saved it and it can be told; only its header is read."""
    try:
        with safe_open(path, framework="pt") as file:
            return part_of({key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}, parts)
    except (SafetensorError, OSError, ValueError):  # said to whoever asks for it
        return None


def _layer(key: str, part: nn.Module) -> nn.Module | None:
    """What the matrix of this name changes."""
    try:
        return part.get_submodule(own_name(key, part).rsplit(".lora_", 1)[0])
    except AttributeError:
        return None


def _fits(key: str, shape: Shape, part: nn.Module) -> bool:
    """Whether a matrix is one of this part, by its outer side."""
    layer = _layer(key, part)
    if not isinstance(layer, nn.Linear):
        return False
    return shape[-1:] == (layer.in_features,) if ".lora_A." in key else shape[:1] == (layer.out_features,)


def _config(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            text = file.read(MOST_READ + 1)
        said = json.loads(text) if len(text) <= MOST_READ else None
    except (OSError, ValueError, RecursionError):
        text, said = b"", None
    if len(text) > MOST_READ:
        raise ValueError(f"its {CONFIG} is longer than {MOST_READ:,} bytes")
    if not isinstance(said, dict):
        raise ValueError(f"its {CONFIG} is not what peft writes")
    return said


def _downs(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [matrix for key, matrix in tensors.items() if ".lora_A." in key]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
