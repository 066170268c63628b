"""Labelled frames with pictures as HTML, for a lesson and a class; Compare's board draws the same ones by itself."""

from collections.abc import Mapping, Sequence

from playground.ui.shared.html import escaped

MOST_COLUMNS = 4


def grid(
    labels: Sequence[str],
    pictures: Sequence[str],
    notes: Sequence[str],
    state: str,
    shares: Mapping[int, float] | None = None,
    tiles: tuple[int, int] = (1, 1),
) -> str:
    """Frames with a label above and a note under each; `state` is that of all of them."""
    cells = ""
    for i, (label, picture, note) in enumerate(zip(labels, pictures, notes, strict=True)):
        alt = f"{label}: {note}" if note else label
        image = f'<img src="{escaped(picture)}" alt="{escaped(alt)}">' if picture else ""
        share = (shares or {}).get(i, 0.0)
        cells += (
            f'<figure class="dp-cell" data-state="{state}" style="--done:{share:.3f}"><figcaption>{escaped(label)}'
            f'</figcaption><div class="dp-picture dp-place">{image}</div><div class="dp-bar"></div>'
            f'<p class="dp-note">{escaped(note)}</p></figure>'
        )
    columns = len(labels) if len(labels) <= MOST_COLUMNS else -(-len(labels) // 2)
    return f'<div class="dp-grid" style="--columns:{columns};--frame:{tiles[0]}/{tiles[1]}">{cells}</div>'
