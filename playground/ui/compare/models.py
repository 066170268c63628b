"""Several models on this tab: a grid over them as the form holds it, and the way to the page of another one."""

from html import escape

from playground.engine import Engine
from playground.link import LONGEST, to_token
from playground.models import Facts
from playground.refusal import Refusal
from playground.render import suited
from playground.sweep import Sweep, model_of

MODEL = "model"  # the axis
OTHER_SIZES = (
    "The models of this grid have sizes that the form cannot hold; /render_grid and the command line draw it as it is."
)


def for_form(engine: Engine, sweep: Sweep) -> Sweep:
    """The sweep with the sizes that the form gives its models.

    Raises Refusal where it names a model that is not here, or says other sizes.
    """
    if MODEL not in sweep.axes:
        return sweep
    known = [engine.facts.name, *engine.facts.beside]
    names = [model_of(value) for value in sweep.axes[MODEL]]
    if len(known) == 1:
        raise Refusal(f"One model was started here, {known[0]}, so there is no grid over several.")
    if unknown := [name for name in names if name not in known]:
        raise Refusal(f"There is no model named {unknown[0][:40]!r} here; known: {', '.join(known)}.")
    base = sweep.base.replace(model=engine.facts.name)
    formed = suited(engine, Sweep(base, sweep.axes | {MODEL: names}, sweep.seeds))
    if sweep.own_sizes and formed.digest() != sweep.digest():
        raise Refusal(OTHER_SIZES)
    return formed


def is_elsewhere(engine: Engine, sweep: Sweep) -> bool:
    """It is of another model alone, which has a page of its own."""
    return MODEL not in sweep.axes and sweep.base.model in engine.facts.others


def way_to(engine: Engine, sweep: Sweep) -> str:
    """HTML: a link to the page of the sweep's model, which opens there with this sweep."""
    name, facts = sweep.base.model, engine.of(sweep.base.model).facts
    token = to_token(sweep, facts.usual)
    if len(token) > LONGEST:
        return f'<a href="{escape(_page(engine.facts, name))}">Open the page of {escape(name)}</a>, and drop it there.'
    href = f"{_page(engine.facts, name)}?grid={token}"
    return f'<a href="{escape(href)}">Open it on the page of {escape(name)}</a>'


def cut_elsewhere(engine: Engine, text: str, sweep: Sweep | None) -> str:
    """HTML under the prompt: the other models of a grid that do not read all of it."""
    names = [] if sweep is None else map(model_of, sweep.axes.get(MODEL, []))
    chunks = int(sweep is not None and sweep.base.prompt_weights)
    cuts = {name: engine.of(name).words(text, chunks) for name in names if name != engine.facts.name}
    told = [
        f"With {escape(name)} {cut.reader} reads {cut.limit} tokens, and this takes {cut.needed}. {cut.besides}"
        for name, cut in cuts.items()
        if cut.truncated
    ]
    return "".join(f'<p class="dp-marks">{sentence.rstrip()}</p>' for sentence in told)


def sizes_said(values: list) -> str:
    """HTML under the editor of the axis: the models that draw in a size of their own; empty where all draw in the one
    of the form."""
    own = [value for value in values if not isinstance(value, str)]
    if not own:
        return ""
    listed = ", ".join(f"{value[MODEL]} {value['width']} × {value['height']}" for value in own)
    return f'<p class="dp-quiet">Each in a size that fits it: {escape(listed)}.</p>'


def _page(facts: Facts, name: str) -> str:
    """The address of another model's page from this one's, relative, because a proxy may serve both elsewhere."""
    here = "./" if "/" not in facts.others.values() else "../../"  # the first model's page is at "/"
    return here + facts.others[name].lstrip("/")
