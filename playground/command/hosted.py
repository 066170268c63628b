"""`--hosted`: the models of a file beside those of this machine."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from playground.engine import Member
from playground.refusal import Refusal


def hosted_models(path: Path | None, taken: Iterable[str]) -> Mapping[str, Member]:
    """By name, and the log says which and what they cost; `taken` are the names of the models of this machine.

    Raises Refusal where the file cannot be used, or a name is taken.
    """
    if path is None:
        return {}
    from playground.hosted.configuration import read
    from playground.hosted.engine import hosted  # which brings HTTP clients that few need

    models = read(path, _say)
    if again := next((model.name for model in models if model.name in taken), None):
        raise Refusal(f"Two models are named {again}, so recipes could not tell them apart; rename the hosted one.")
    for model in models:
        price = f" Noted of its price: {model.price}." if model.price else ""
        _say(f"Hosted: {model.name} at {model.provider}, at most {model.most} pictures until the next start.{price}")
    return hosted(models)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
