"""The LoRA files that a model may use, by name: NAME.safetensors, or NAME/ as peft saves an adapter. Nothing outside
their folders can be named."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from playground.models.contract import Weights
from playground.models.lora.adapter import digest, part_in
from playground.models.lora.file import Change, Changes, Parts, check_readable, read
from playground.recipe import LORA_NAME_LIMIT, check_known_loras
from playground.refusal import Refusal
from playground.sources.lora_files import files_in, name_of, path_below

KEPT = 32  # files kept in memory; one of Pocket's is about a megabyte


def own_folder(model: Path) -> Path:
    """Where a model's own LoRAs are: `loras/` in its folder, or beside its single file."""
    return (model.parent if model.is_file() else model) / "loras"


class LoraFiles:
    """Read when they are first asked for; a file that cannot be used fails only whoever asks for it."""

    def __init__(self, folders: Sequence[Path], parts: Parts, pipeline: type, offered: Sequence[Path] = ()) -> None:
        """`parts`: the model's modules as files name them; `pipeline`: the class that runs it in diffusers. `folders`
        are the model's own; `offered` are for any model, so what does not fit this one is left out of them.

        Raises Refusal where two files have one name, or one a name that no recipe can say.
        """
        self.parts, self._pipeline = parts, pipeline
        self.left_out: dict[str, str] = {}  # name -> why, as the end of a sentence
        self._paths: dict[str, Path] = {}
        for name, path in named(folders):
            try:
                check_readable(path)
            except ValueError as error:
                self.left_out[name] = str(error)
            else:
                self._add(name, path)
        for name, path in named(offered):
            try:
                read(path, parts, pipeline)
            except (ValueError, OSError) as error:
                self.left_out[name] = str(error)
            else:
                self._add(name, path)
        self._paths = dict(sorted(self._paths.items()))
        self.left_out = {name: why for name, why in self.left_out.items() if name not in self._paths}
        self.digests: dict[str, str] = {name: digest(path) for name, path in self._paths.items()}
        trained = {name: part_in(path, parts) for name, path in self._paths.items()}
        # those that peft saved: name -> the part that they change, and their file
        self.adapters = {n: (part, path_below(self._paths[n], n)) for n, part in trained.items() if part}
        self._read = lru_cache(KEPT)(self._read_now)

    def _add(self, name: str, path: Path) -> None:
        if name in self._paths:
            raise Refusal(f"There are two LoRAs named {name}; rename one.")
        if len(name) > LORA_NAME_LIMIT:
            raise Refusal(f"The LoRA {name[:80]} has a name of over {LORA_NAME_LIMIT} characters; rename it.")
        self._paths[name] = path

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._paths)

    def check_known(self, loras: Weights) -> None:
        """Raises Refusal, which lists the known ones, where a name is not among them."""
        check_known_loras((name for name, _ in loras), self.names)

    def check(self, loras: Weights) -> None:
        """Raises Refusal with one sentence where a name is unknown or a file that is needed cannot be used."""
        self.check_known(loras)
        for name, weight in loras:
            if weight:
                self._read(name)

    def usable(self) -> tuple[str, ...]:
        """Those whose files can be used."""
        return tuple(name for name in self.names if self._can_be_used(name))

    def changes(self, name: str, part: str) -> dict[str, Change]:
        """What a file changes in one part of the model, by module path; nothing where it leaves that part alone.

        Raises Refusal where it is unknown or cannot be used.
        """
        return self._read(name).get(part, {})

    def _can_be_used(self, name: str) -> bool:
        try:
            self._read(name)
        except Refusal:  # said to whoever asks for it
            return False
        return True

    def _read_now(self, name: str) -> Changes:
        self.check_known([(name, 1.0)])
        path = self._paths[name]
        try:
            changes = read(path, self.parts, self._pipeline)
            if digest(path) != self.digests[name]:
                raise Refusal("its file has changed since the playground was started")
        except (ValueError, OSError) as error:
            raise Refusal(f"The LoRA {name} cannot be used: {error}.") from error
        return changes


def named(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """The LoRAs of folders, sorted by path."""
    return sorted(
        ((name_of(path, folder), path) for folder in folders for path in files_in(folder)), key=lambda found: found[1]
    )
