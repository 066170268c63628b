"""Which LoRA files a folder offers, and by which names."""

from pathlib import Path

ADAPTER = "adapter_model.safetensors"  # as peft names the file in the folder of an adapter


def files_in(folder: Path) -> list[Path]:
    """NAME.safetensors, and NAME/adapter_model.safetensors, which is how peft saves."""
    found = [*folder.glob("*.safetensors"), *folder.glob(f"*/{ADAPTER}")]
    return sorted(path for path in found if path.is_file())


def name_of(path: Path, folder: Path) -> str:
    """One of its files -> the NAME that a recipe says."""
    return path.stem if path.parent == folder else path.parent.name


def path_below(path: Path, name: str) -> str:
    """The file of this NAME, as it is found below its folder."""
    return f"{name}/{ADAPTER}" if path.name == ADAPTER and path.parent.name == name else path.name
