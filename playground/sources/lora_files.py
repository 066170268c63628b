"""Which LoRA files a folder offers, and by which names."""

from pathlib import Path

from playground.sources.header import PICKLED

ADAPTER = "adapter_model.safetensors"  # as peft names the file in the folder of an adapter
PICKLED_ADAPTER = "adapter_model.bin"  # and named it formerly


def files_in(folder: Path) -> list[Path]:
    """NAME.safetensors, and NAME/adapter_model.safetensors, which is how peft saves. Where there is only a pickled file
    of a NAME, that one, and a link that leads nowhere, so that whoever asks for it is told why it is not read."""
    named = [*folder.glob("*.safetensors"), *(below / ADAPTER for below in folder.glob("*"))]
    found = [path for path in named if path.is_file() or (path.is_symlink() and not path.exists())]
    pickled = [*filter(is_pickled, folder.glob("*.*")), *folder.glob(f"*/{PICKLED_ADAPTER}")]
    others = {name_of(path, folder): path for path in sorted(pickled) if path.is_file()}
    for path in found:
        others.pop(name_of(path, folder), None)
    return sorted([*found, *others.values()])


def is_pickled(path: Path) -> bool:
    """By its name; it is never opened."""
    return path.suffix.lower() in PICKLED


def name_of(path: Path, folder: Path) -> str:
    """One of its files -> the NAME that a recipe says."""
    return path.stem if path.parent == folder else path.parent.name


def path_below(path: Path, name: str) -> str:
    """The file of this NAME, as it is found below its folder."""
    return f"{name}/{ADAPTER}" if path.name == ADAPTER and path.parent.name == name else path.name
