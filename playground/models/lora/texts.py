"""LoRAs of the text encoders: a text is encoded under the changes that its row's LoRAs make to them."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from playground.models.contract import Weights
from playground.models.facts import Pairs
from playground.models.lora.folder import LoraFiles
from playground.models.lora.rows import Loras


class TextLoras:
    """For all text encoders of a model, one text at a time."""

    def __init__(self, files: LoraFiles, device: torch.device, dtype: torch.dtype) -> None:
        encoders = {part: module for part, module in files.parts.items() if part.startswith("text_encoder")}
        self._each = [Loras(files, part, module, device, dtype) for part, module in encoders.items()]
        self._one_at_a_time = threading.Lock()

    def concerned(self, loras: Weights) -> Pairs:
        """Those of them that change how words are encoded; most change the denoiser alone."""
        found = {pair for each in self._each for pair in each.concerned(loras)}
        return tuple(pair for pair in loras if pair in found)

    @contextmanager
    def added(self, loras: Weights) -> Iterator[None]:
        """While open, the text encoders have these LoRAs."""
        with self._one_at_a_time, ExitStack() as opened:
            for each in self._each:
                if loras:
                    opened.enter_context(each.added([loras]))
            yield
