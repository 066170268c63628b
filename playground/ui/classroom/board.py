"""The teacher's screen as HTML: how to join, who is there as counts, what is shown, and the answers as they come."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from playground.classroom.address import only_here, qr_svg
from playground.classroom.room import Sight
from playground.ui.classroom import views
from playground.ui.shared.html import escaped


def board(sight: Sight, address: str, facts: Mapping[str, str], answers: Sequence[Any], here: int) -> str:
    """`address`: of /join with the class's code; `facts`: of the model, for the lessons' texts."""
    return (
        f'<div class="dp-asking dpc dpc-board" data-state="{state(sight)}">{_door(sight, address)}'
        f"{_counts(sight, here)}{_shown(sight, facts, answers)}</div>"
    )


def state(sight: Sight) -> str:
    """Where the lesson stands: what the space bar does next."""
    if sight.pushed is None:
        return "empty"
    return "revealed" if sight.revealed else "asked"


def _door(sight: Sight, address: str) -> str:
    class_ = sight.now.class_
    if class_.closed:
        return f'<h2 class="dpc-name">{escaped(class_.name)}</h2>{views.status("This class is closed.")}'
    warning = (
        '<p class="dpc-problem">Only this machine can open that address. To serve the network of the room, start with '
        "<code>python -m playground class</code>.</p>"
        if only_here(address)
        else ""
    )
    shown = address.partition("://")[2].partition("?")[0]
    return (
        f'<div class="dpc-door" data-small="{str(sight.now.round is not None).lower()}">'
        f'<div class="dpc-qr" role="img" aria-label="QR code of {escaped(address)}">{qr_svg(address)}</div>'
        f'<div><h2 class="dpc-name">{escaped(class_.name)}</h2><p>Join at <a href="{escaped(address)}" '
        f'target="_blank" rel="noopener">{escaped(shown)}</a> with the code</p>'
        f'<p class="dpc-code">{escaped(class_.code)}</p>'
        f"{warning}</div></div>"
    )


def _counts(sight: Sight, here: int) -> str:
    now = sight.now
    parts = [f"<b>{now.joined}</b> joined", f"<b>{here}</b> looking now"]
    if sight.pushed is not None and sight.pushed.kind != "show":
        parts += [f"<b>{now.answered}</b> answered", f"<b>{now.joined - now.answered}</b> still without an answer"]
        if now.round.frozen and not now.round.revealed:
            parts.append("answers are frozen")
    return f'<p class="dpc-counts" role="status">{" · ".join(parts)}</p>'


def _shown(sight: Sight, facts: Mapping[str, str], answers: Sequence[Any]) -> str:
    if sight.problem:
        return views.status(sight.problem)
    if sight.pushed is None:
        return views.status("Nothing is shown yet. Choose a step or a grid, and it appears on every screen.")
    heading, tally = views.head(sight), views.tally(sight, answers)
    if sight.revealed:
        return f"{heading}{views.pictures(sight)}{tally}{views.text_after(sight, facts)}"
    waiting = views.lettered(sight) if sight.pushed.kind == "vote" else views.progress(sight)
    ready = "" if waiting else views.status("The pictures are drawn and wait for the reveal.")
    return f"{heading}{waiting}{ready}{tally}"


def until(ends: float) -> str:
    """When a class is deleted, in words; `ends` in seconds since 1970."""
    return time.strftime("%d %B %Y, %H:%M", time.localtime(ends)).lstrip("0")
