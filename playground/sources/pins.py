"""Which commit each model of the hub was fetched at, on this machine: a small JSON file beside the hub's own cache."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from huggingface_hub import constants


@dataclass(frozen=True)
class Pin:
    commit: str
    files: Mapping[str, int]  # fetched of it -> bytes


def path() -> Path:
    return Path(constants.HF_HOME) / "diffusion-playground.json"


def read(given: str) -> Pin | None:
    """What `owner/name` or `owner/name@revision` was; None where it was never fetched, or the file is broken."""
    try:
        pin = _all()[given]
        return Pin(str(pin["commit"]), {str(name): int(size) for name, size in pin["files"].items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def write(given: str, pin: Pin) -> None:
    """Readers see the earlier file or the new one, never half of it."""
    pins = _all() | {given: asdict(pin)}
    beside = path().with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(pins, indent=1, sort_keys=True), encoding="utf-8")
    beside.replace(path())


def _all() -> dict[str, object]:
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
