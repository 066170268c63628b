"""The header of a `.safetensors` file: names, shapes and notes of its tensors. No tensor is read, nothing unpickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from playground.refusal import Refusal

SUFFIX = ".safetensors"
PICKLED = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


@dataclass(frozen=True)
class Header:
    shapes: Mapping[str, tuple[int, ...]]  # tensor name -> shape
    notes: Mapping[str, str]  # what its maker wrote beside them, such as "modelspec.license"

    def any(self, *beginnings: str) -> bool:
        """Whether a tensor's name begins with one of these."""
        return any(name.startswith(beginnings) for name in self.shapes)


def read(path: Path) -> Header:
    """Raises Refusal, with one sentence, for a file that is not whole or not safetensors."""
    if path.suffix.lower() in PICKLED:
        raise Refusal(
            f"{path.name} is a pickled file, which can run code when it is read; only {SUFFIX} files are read here."
        )
    if path.suffix.lower() != SUFFIX:
        raise Refusal(f"{path.name} is no {SUFFIX} file, and no folder in diffusers layout.")
    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
            return Header(shapes, dict(file.metadata() or {}))
    except OSError as error:
        raise Refusal(f"The file {path.name} cannot be read: {error.strerror or error}.") from None
    except SafetensorError:
        raise Refusal(
            f"{path.name} is not a whole {SUFFIX} file: it was cut short, or is another kind of file under this name."
        ) from None
