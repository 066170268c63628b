"""The models beside each other: each has a page of its own, and every page lists them all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import gradio as gr

from playground.models import Facts
from playground.ui.shared.html import escaped
from playground.ui.shared.known import known

LONGEST = 120  # characters of a card's sentence
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")  # where the next one begins with a capital, or without cases
BESIDE = "/m"  # in front of the addresses of all but the first


@dataclass
class ModelList:
    """The addresses of the pages, and their lists, which are filled once all models are known."""

    names: Sequence[str]
    _lists: dict[str, gr.HTML] = field(default_factory=dict)

    def address(self, name: str) -> str:
        """The path of a model's page: "/" of the first, "/m/NAME" of the others."""
        if name == self.names[0]:
            return "/"
        plain = [re.sub(r"[^A-Za-z0-9._-]", "-", one) for one in self.names]
        at = self.names.index(name)
        again = plain[:at].count(plain[at])
        return f"{BESIDE}/{plain[at]}" + (f"-{again + 1}" if again else "")

    def others(self, name: str) -> dict[str, str]:
        """Of all but this model: name -> address."""
        return {other: self.address(other).rstrip("/") + "/" for other in self.names if other != name}

    def build(self, name: str) -> None:
        """The list on the page of this model."""
        self._lists[name] = gr.HTML(elem_classes=["dp-flush"], elem_id="models")

    def fill(self, facts: Mapping[str, Facts]) -> None:
        """Before the pages are served: facts of every model by its name."""
        for own, shown in self._lists.items():
            shown.value = self._html(own, facts)

    def _html(self, own: str, facts: Mapping[str, Facts]) -> str:
        up = "./" if self.address(own) == "/" else "../../"  # relative, because a proxy may serve the page elsewhere
        items = ""
        for name in self.names:
            here = ' aria-current="page"' if name == own else ""
            href = up + self.address(name).lstrip("/") + ("" if self.address(name) == "/" else "/")
            told = f"<b>{escaped(name)}</b> {escaped(about(facts[name]))} <span>{escaped(good_at(facts[name]))}</span>"
            items += f'<li><a href="{escaped(href)}"{here}>{told}</a></li>'
        return f'<nav class="dp-models" aria-label="Models"><h2>Model</h2><ul>{items}</ul></nav>'


def parameters(number: int) -> str:
    """ "0.4 M parameters", "11.9 B parameters" """
    return f"{number / 1e9:.1f} B parameters" if number >= 1e9 else f"{number / 1e6:.1f} M parameters"


def about(facts: Facts) -> str:
    """A model in a line: family, size, what it is made for, licence."""
    usual = facts.usual
    parts = [facts.family, parameters(facts.parameters)]
    made_for = f"made for {usual.width} × {usual.height}, {usual.num_inference_steps} steps"
    parts.append(made_for if facts.guidance != "none" else f"{made_for} without guidance")
    return " · ".join([*parts, facts.licence or "no licence named"])


def good_at(facts: Facts) -> str:
    """What it was taught, or the first sentence of its card, cut where it is long; empty where neither is known."""
    if found := known(facts.name):
        things, styles, colours = len(found.common) + len(found.rare), len(found.styles), len(found.colours)
        return f"Taught {things:,} things, in {styles} styles, on plain backgrounds of {colours} colours."
    sentence = SENTENCE_END.split(facts.card, 1)[0]
    return sentence if len(sentence) <= LONGEST else sentence[:LONGEST].rsplit(" ", 1)[0] + " …"
