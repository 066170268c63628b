"""Whether all of a pipeline was in its files. What is missing in them the libraries make up, each in its own way: by
random numbers, by tensors without values, or by a tokenizer without words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from diffusers import DiffusionPipeline, pipelines
from torch import nn
from transformers import CLIPTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import LARGE_INTEGER

from playground.refusal import Refusal
from playground.sources.parts import called, index_of

WORDS = ("text_encoder", "tokenizer")  # how the parts that read a prompt are named


def read_first(folder: Path, parts: Mapping[str, Any]) -> dict[str, PreTrainedModel]:
    """The networks of transformers' kind in a folder, of which diffusers ships some, by themselves, because only then
    they say which weights they lack. `parts`: as `folder.load_pipeline` has them. Raises Refusal for one that lacks
    some."""
    types, found = parts.get("dtype"), {}
    for name, value in index_of(folder).items():
        if name in parts or not isinstance(value, list) or value[0] in (None, "diffusers"):
            continue
        library, kind = value
        kind = getattr(transformers if library == "transformers" else getattr(pipelines, library, None), kind, None)
        if not isinstance(kind, type) or not issubclass(kind, PreTrainedModel):
            continue
        dtype = types.get(name, types.get("default")) if isinstance(types, Mapping) else types
        told = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
        found[name], info = kind.from_pretrained(folder / name, dtype=dtype, ignore_mismatched_sizes=True, **told)
        if other := sorted(key for key, *_ in info["mismatched_keys"]):
            raise Refusal(
                f"{called(folder)} is no whole model: {other[0]} of its {name} has other sizes than its config."
            )
        _refuse(called(folder), name, sorted(info["missing_keys"]))
    return found


def check_listed(kind: type[DiffusionPipeline], folder: Path, parts: Mapping[str, Any]) -> None:
    """Raises Refusal where a folder's index lists nothing for a part that its pipeline needs, `kind` being its class
    and `parts` those that are there already."""
    listed = {name for name, value in index_of(folder).items() if isinstance(value, list) and value[0] is not None}
    # to whoever brings words encoded already, diffusers leaves some encoders and tokenizers optional
    spared = {name for name in kind._optional_components if not name.startswith(WORDS)}
    missing = set(kind._get_signature_keys(kind)[0]) - listed - set(parts) - spared
    if missing:
        raise Refusal(f"{called(folder)} is no whole model: it has no {', no '.join(sorted(missing))}.")


def check_whole(pipeline: DiffusionPipeline, shown: str) -> None:
    """Raises Refusal where weights of a network have no values, or CLIP's tokenizer does not say how many tokens are
    read. `shown`: what the model is called."""
    for name, part in pipeline.components.items():
        if isinstance(part, nn.Module):
            _refuse(shown, name, [key for key, x in part.state_dict().items() if x.is_meta])
        elif isinstance(part, CLIPTokenizer) and part.model_max_length > LARGE_INTEGER:
            raise Refusal(f"{shown} is no whole model: its {name} does not say how many tokens are read.")


def _refuse(shown: str, part: str, missing: list[str]) -> None:
    if missing:
        one = len(missing) == 1
        said = f"{len(missing)} weight{'' if one else 's'} of its {part} {'is' if one else 'are'} missing"
        raise Refusal(f"{shown} is no whole model: {said}, {missing[0]}.")
