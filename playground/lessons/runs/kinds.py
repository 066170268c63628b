"""The kinds of run by the name that a lesson calls them."""

from collections.abc import Callable, Mapping
from typing import Any

from playground.lessons.runs import attention, autoencoder, film, forward, guess, pictures
from playground.lessons.runs.contract import Run

KINDS: Mapping[str, Callable[[Mapping[str, Any], str], Run]] = {
    "pictures": pictures.read,
    "forward": forward.read,
    "film": film.read,
    "guess": guess.read,
    "attention": attention.read,
    "autoencoder": autoencoder.read,
}
