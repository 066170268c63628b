"""An event of the page that is refused says why beside its field, and changes nothing else."""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

from playground.refusal import Refusal
from playground.ui.shared.html import error

Update = dict[Any, Any]  # component -> its new value or gr.update


def says_refusals(slot: gr.components.Component, also: Update | None = None) -> Callable[[Callable], Callable]:
    """Around an event's function, or generator, of updates: the sentence of a Refusal is its last update, in `slot`,
    with `also`."""

    def told(refusal: Refusal) -> Update:
        return {**(also or {}), slot: error(str(refusal))}

    def around(event: Callable) -> Callable:
        if inspect.isgeneratorfunction(event):

            @wraps(event)
            def updates(*given: Any, **named: Any) -> Iterator[Update]:
                try:
                    yield from event(*given, **named)
                except Refusal as refusal:
                    yield told(refusal)

            return updates

        @wraps(event)
        def update(*given: Any, **named: Any) -> Update:
            try:
                return event(*given, **named)
            except Refusal as refusal:
                return told(refusal)

        return update

    return around
