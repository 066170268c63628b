"""What is said of a run in numbers: before it what it would take, in it how far it is, after it what was measured."""

import time
from collections.abc import Iterator, Mapping, Sequence

from playground.engine import Engine
from playground.models import Facts
from playground.recipe import Recipe
from playground.render import undrawable
from playground.sweep import Sweep, same_pictures, same_starts
from playground.ui.compare.grid import Grid
from playground.ui.compare.hosted import sent_away
from playground.ui.shared.html import escaped
from playground.ui.shared.spoken import spoken
from playground.ui.shared.waits import roughly, sharing


def cost(engine: Engine, sweep: Sweep | None, open_cells: Sequence[Recipe], page: str = "") -> str:
    """HTML: what the run would take in the place of this page's own, and what is odd about it; shown before it.
    `open_cells`: those that are not kept and can be drawn.

    Its data name the sweep, by which a grid knows that the form has moved on.
    """
    if sweep is None:
        return '<p data-asked="">Nothing runs until every field is right.</p>'
    recipes = sweep.recipes()
    refused = undrawable(engine, recipes)
    kept = len(recipes) - len(refused) - len(open_cells)
    pictures = f"<strong>{len(recipes) - len(refused)} pictures</strong>" + (f" ({kept} kept)" if kept else "")
    here = [recipe for recipe in open_cells if not engine.of(recipe.model).facts.elsewhere]
    work = _evaluations(engine, here)
    parts = [escaped(work) + (" left" if kept else "")] if work else []
    outlook = engine.outlook(open_cells, page)
    if not open_cells:
        parts.append("nothing left to compute")
    elif outlook.seconds is not None:
        parts.append(f'<span class="dp-whole">{escaped(roughly(outlook.seconds))}</span>')
        if outlook.others:
            parts.append(sharing(outlook.others))
    elif outlook.unknown:
        parts.append(escaped(f"time unknown until {listed(outlook.unknown)} {_has(outlook.unknown)} drawn something"))
    if (models := len({recipe.model for recipe in here})) > 1:
        parts.append(f"{models} models, read in turn")
    told = [
        *sent_away(engine, open_cells),
        *_odd(engine, recipes),
        *_undrawn(recipes, refused),
        *_guided_all_the_same(engine, recipes, refused),
    ]
    odd = "".join(f'<p class="dp-warning">{escaped(sentence)}</p>' for sentence in told)
    if len(told) > 1:  # scrolled, also by the keyboard, where they would cover the form
        odd = f'<div class="dp-warnings" tabindex="0" role="group" aria-label="Before this run">{odd}</div>'
    return f'<p data-asked="{sweep.digest()}">{pictures} · {" · ".join(parts)}</p>{odd}'


def _evaluations(engine: Engine, recipes: Sequence[Recipe]) -> str:
    """ "120 U-Net evaluations", of pictures drawn here; of several kinds of network only that they are of networks.
    How often a pipeline that draws whole pictures asks its network shows only as it runs: of these the steps are said.
    """
    by_itself = [recipe for recipe in recipes if engine.of(recipe.model).facts.whole]
    counted = [recipe for recipe in recipes if not engine.of(recipe.model).facts.whole]
    networks = {engine.of(recipe.model).facts.network for recipe in counted}
    count = sum(engine.of(recipe.model).facts.evaluations(recipe) for recipe in counted)
    said = [f"{count:,} {networks.pop() if len(networks) == 1 else 'network'} evaluations"] if counted else []
    steps = sum(recipe.num_inference_steps for recipe in by_itself)
    return " and ".join([*said, *([f"{steps:,} steps of a pipeline of its own"] if by_itself else [])])


def _undrawn(recipes: list[Recipe], refused: Mapping[int, str]) -> Iterator[str]:
    """Which cells of a grid over several models cannot be drawn, and why."""
    for name in dict.fromkeys(recipes[cell].model for cell in refused):
        reasons = [reason for cell, reason in refused.items() if recipes[cell].model == name]
        cells = sum(recipe.model == name for recipe in recipes)
        more = " The others say why in their place." if len(set(reasons)) > 1 else ""
        yield f"{name} cannot draw {len(reasons)} of its {cells} pictures. {spoken(reasons[0])}{more}"


def _guided_all_the_same(engine: Engine, recipes: list[Recipe], refused: Mapping[int, str]) -> Iterator[str]:
    """Models of a grid over several that are made to draw without the guidance that the others are given."""
    drawn = [recipe for cell, recipe in enumerate(recipes) if cell not in refused]
    if len(models := list(dict.fromkeys(recipe.model for recipe in drawn))) > 1:
        for facts in (engine.of(model).facts for model in models):
            if facts.guidance == "none" and any(facts.guided(r) for r in drawn if r.model == facts.name):
                yield f"{facts.name} is made to draw without guidance, and has the same guidance as the others here."


def _odd(engine: Engine, recipes: list[Recipe]) -> Iterator[str]:
    """The oddities of each model's own pictures; of hosted ones it is said already what they ignore."""
    models = list(dict.fromkeys(recipe.model for recipe in recipes))
    for name in models:
        facts, own = engine.of(name).facts, [recipe for recipe in recipes if recipe.model == name]
        for sentence in () if facts.elsewhere else oddities(own, facts):
            yield sentence if len(models) == 1 else f"{name}: {sentence[0].lower()}{sentence[1:]}"


def oddities(recipes: list[Recipe], facts: Facts) -> list[str]:
    """What a person may not mean with this model: pictures that are bound to be the same, words that are not used."""
    without = f"at guidance {facts.guided_above:g} and below" if facts.cfg else "with this model"
    without = "at true CFG scale 1" if facts.has_true_cfg else without  # which does not go below
    unguided = same_pictures(recipes, facts.used)
    if same := max(unguided, same_pictures(recipes, lambda recipe: _pushed(recipe, facts))):
        whole = "All" if same == len(recipes) - 1 else f"{same + 1} of the {len(recipes)}"
        if same > unguided:
            empty = not any(recipe.prompt == recipe.negative_prompt != "" for recipe in recipes)
            both = "with both prompts empty" if empty else "where the negative prompt is the prompt"
            return [f"{whole} pictures will be the same: {both}, guidance changes nothing."]
        told = facts.guidance == "embedded"  # the scale, also without guidance
        unused = "the negative prompt is not used" if told else "neither the scale nor the negative prompt is used"
        return [f"{whole} pictures will be the same: {without} there is no guidance, and {unused}."]
    if same := same_starts(recipes):
        if not any(r.image for r in recipes):
            return ["The strength is not used where no run starts from a picture."]
        whose = "their strengths come to the same number of steps"
        return [f"{same} of the {len(recipes)} pictures will be the same as another one: {whose}."]
    if any(r.negative_prompt for r in recipes) and not any(facts.guided(r) for r in recipes):
        return [f"The negative prompt is not used {without}."]
    return []


def _pushed(recipe: Recipe, facts: Facts) -> Recipe:
    """What of a recipe its picture comes from; also where guidance has nothing to push away from, because both prompts
    are the same. Pipelines of a model's own may do else with them."""
    if recipe.prompt == recipe.negative_prompt and facts.guided(recipe) and not facts.whole:
        recipe = recipe.replace(**{facts.cfg: facts.guided_above})
    return facts.used(recipe)


def progress(grid: Grid, begun: float, engine: Engine, first: tuple[float, float] | None = None) -> str:
    """How far a run is that began at that `time.perf_counter()`, and how long it may still take.

    `first`: when its first steps were there, and what `work` was then: what went before, such as reading the model,
    says nothing about the speed of the rest.
    """
    if grid.model:
        return f"{grid.finished} of {len(grid.cells)} finished · {grid.model}" if grid.finished else grid.model
    now = time.perf_counter()
    text = f"{grid.finished} of {len(grid.cells)} finished · {now - begun:.1f} s"
    if first is not None and len({cell.recipe.model for cell in grid.cells}) == 1:  # another model has another speed
        when, then = first
        if 0 < (left := work(grid, engine)) < then:
            text += f" · {roughly((now - when) * left / (then - left))} left"
    return f"{text} · {sharing(grid.others)}" if grid.others else text


def work(grid: Grid, engine: Engine) -> float:
    """The network evaluations of a grid that are still to come."""
    open_cells = [cell for cell in grid.cells if cell.open]
    return sum((1 - c.progress) * engine.of(c.recipe.model).facts.evaluations(c.recipe) for c in open_cells)


def listed(names: Sequence[str]) -> str:
    """ "a, b and c" """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def summary(grid: Grid, seconds: float, whole: bool = False) -> str:
    """What was measured, after the run; `whole`: by a model that draws whole pictures."""
    kept = sum(cell.stored for cell in grid.cells)
    text = f"{grid.finished} of {len(grid.cells)} pictures"
    if kept and kept == grid.finished:
        text += ", all kept from an earlier run; nothing was computed. "
    else:
        text += f" in {seconds:.1f} s. "
        if grid.computed or grid.shared:
            text += f"{grid.computed + grid.shared:,} evaluations, {grid.shared:,} of them shared between cells. "
        text += f"{kept} kept from an earlier run. " if kept else ""
    if whole:
        return text + "Each picture was drawn alone."
    if grid.away:
        text += f"{grid.away} made elsewhere, whose seconds are until the answer. "
    return text + "Seconds under a picture are its share of the batched work."


def stop_text(grid: Grid) -> str:
    """HTML: what is there after Stop. Run draws the rest as long as the form still asks for this grid."""
    rest = '<span class="dp-first">; press Run for the rest</span>' if grid.finished < len(grid.cells) else ""
    return f"<p>Stopped with {grid.finished} of {len(grid.cells)} pictures finished and kept{rest}.</p>"
