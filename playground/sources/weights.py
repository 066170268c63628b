"""How much a model's weights are, part by part, from the headers of its files: no tensor is read."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from playground.refusal import Refusal
from playground.sources.parts import UNUSED, WEIGHTS, called

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}  # others are whole numbers, of 8
BLOCK = re.compile(r"\w+\.\d+\.")  # how the name of a tensor in one of a network's lists of blocks begins
# what diffusers' layerwise casting leaves in full precision (diffusers.hooks.layerwise_casting)
LEFT_OUT = re.compile(r"pos_embed|patch_embed|norm|^proj_in\.|^proj_out\.")
# of a single file: tensor names that begin so -> the part of the pipeline
OF_ONE_FILE = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.embedders.0.": "text_encoder",
    "conditioner.embedders.1.": "text_encoder_2",
}


@dataclass(frozen=True)
class PartWeights:
    """One network of a pipeline."""

    numbers: int
    stored: int  # bytes in its files
    precision: str  # of most of them there, as safetensors names it: F32, F16, BF16
    in_layers: int  # of the numbers, those of linear and convolution layers that may be kept in another precision
    largest_block: int  # numbers in the largest of its blocks
    outside: int  # numbers in none of them
    largest_tensor: int  # numbers in it

    def bytes_in(self, each: int, of_layers: int | None = None) -> int:
        """With `each` bytes a number, and `of_layers` for those of layers where that is another."""
        return self.numbers * each + self.in_layers * ((of_layers or each) - each)


def weights_of(path: Path) -> dict[str, PartWeights]:
    """Part of the pipeline -> its weights, of a folder in diffusers layout or of a single file. Parts without weights
    are left out, and those that are not read; where several files hold one part's, those that are read count. Raises
    Refusal for a broken file."""
    if path.is_file():
        found = list(_tensors(path))
        parts: dict[str, list] = {}
        for name, shape, kind in found:
            for beginning, part in OF_ONE_FILE.items():
                if name.startswith(beginning):
                    parts.setdefault(part, []).append((name.removeprefix(beginning), shape, kind))
        return {part: _summed(tensors) for part, tensors in parts.items()}
    summed = {}
    for folder in sorted(each for each in path.iterdir() if each.is_dir() and each.name not in UNUSED):
        files = sorted(file for file in folder.iterdir() if WEIGHTS.fullmatch(file.name))
        whole = [file for file in files if "-of-" not in file.name]
        tensors = [tensor for file in whole[:1] or files for tensor in _tensors(file)]
        if tensors:
            summed[folder.name] = _summed(tensors)
    return summed


def _tensors(path: Path) -> Iterable[tuple[str, tuple[int, ...], str]]:
    """Name, shape and precision of each."""
    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            return [(name, tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()]
    except (OSError, SafetensorError):
        part, model = path.parent.name, called(path.parent.parent)
        raise Refusal(f"The model in {model} cannot be loaded: {path.name} of its {part} is cut short.") from None


def _summed(tensors: Iterable[tuple[str, tuple[int, ...], str]]) -> PartWeights:
    numbers = stored = in_layers = largest = 0
    blocks: dict[str, int] = {}
    precisions: dict[str, int] = {}
    for name, shape, kind in tensors:
        count = math.prod(shape)
        largest = max(largest, count)
        numbers, stored = numbers + count, stored + count * BYTES.get(kind, 8)
        precisions[kind] = precisions.get(kind, 0) + count
        if not LEFT_OUT.search(name):
            in_layers += count
        if found := BLOCK.match(name):
            blocks[found.group()] = blocks.get(found.group(), 0) + count
    most = max(precisions, key=lambda kind: precisions[kind])
    outside = numbers - sum(blocks.values())
    return PartWeights(numbers, stored, most, in_layers, max(blocks.values(), default=0), outside, largest)
