"""`grid`: a recipe's grid into a folder, with a progress bar or as events for scripts."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from playground.command.checks import NO_EXTRAS, ONE_WITH_CONTROLNET, Extras
from playground.command.hosted import hosted_models
from playground.command.quiet import opened
from playground.command.steps import NO_ROOM, again, recordings_for, said, shown
from playground.engine import (
    Done,
    Engine,
    Event,
    Failed,
    Guest,
    House,
    Keep,
    LocalEngine,
    Result,
    Several,
    Step,
    Waiting,
)
from playground.engine.contract import Pictures
from playground.export.bundle import files, to_zip
from playground.export.columns import to_film
from playground.export.document import LONGEST, read_json
from playground.export.finished import FinishedGrid
from playground.export.png import SIGNATURE, texts_of
from playground.inside.grid_steps import kept_steps
from playground.inside.recordings import Recordings
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import (
    begun,
    check_needs,
    controlled,
    facts_of,
    kept_starts,
    read_recipe,
    render,
    suited,
    undrawable,
)
from playground.sources.given import Source
from playground.store import TEXT_KEY, Store

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Given:
    """Files besides the recipe."""

    image: Path | None = None  # a picture that the runs start from
    control_image: Path | None = None  # a picture that the ControlNet is shown
    edges: bool = False  # the edges of that one are drawn first
    controlnet: Path | None = None  # its folder
    extras: Extras = NO_EXTRAS


NOTHING = Given()


def read(source: str, out: Path) -> str:
    """The JSON of a file, of a PNG of ours, or of standard input; and the folder is made, before anything is drawn.

    Raises Refusal where one cannot be read or the other not be written.
    """
    try:
        data = sys.stdin.buffer.read(LONGEST) if source == STANDARD_INPUT else Path(source).read_bytes()
    except OSError as error:
        raise Refusal(f"{Path(source).name} cannot be read: {error.strerror}.") from None
    if data.startswith(SIGNATURE):
        texts, _ = texts_of(data)
        if TEXT_KEY not in texts:
            raise Refusal(f"{Path(source).name} carries no recipe of this playground.")
        text = texts[TEXT_KEY]
    else:
        text = data.decode("utf-8", "replace")
    read_json(text)  # what is no recipe at all is said before the model is loaded
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"The folder {out.name} cannot be made: {error.strerror}.") from None
    return text


def draw(
    models: Sequence[Source],
    text: str,
    out: Path,
    films: Sequence[str],
    zipped: bool,
    events: bool,
    given: Given = NOTHING,
    steps: bool = False,
) -> int:
    """Draw what the store does not have yet, and write everything -> exit code: 1 where a picture or a film failed.

    `steps`: the HTML page shows the runs as well, as far as it has room for them.

    Raises Refusal where a picture that is given cannot be used, and where the recipes name one that is not kept here.
    """
    if given.edges and given.control_image is None:
        raise Refusal("--edges draws the edges of the picture of --control-image, and none is given.")
    engine, store = _engine(models, given), Store()
    sweep = suited(engine, read_json(text, read_recipe(engine)))
    if given.image is not None:
        sweep = begun(sweep, given.image, engine.facts, store)
    if given.control_image is not None:
        sweep = controlled(sweep, given.control_image, given.edges, engine.facts, store)
    check_needs(sweep)
    recipes, started = sweep.recipes(), time.perf_counter()
    refused = undrawable(engine, recipes)
    asked = [recipe for cell, recipe in enumerate(recipes) if cell not in refused]
    for recipe in asked:
        engine.of(recipe.model).check(recipe)
    runs = recordings_for(engine, asked) if steps else None
    results, failed = _drawn(engine, store, recipes, set(refused), runs, events)
    grid = FinishedGrid(sweep, tuple(results.get(i) for i in range(len(recipes))), facts_of(engine))
    if runs:
        grid = _with_steps(grid, engine, store, runs, events)
    filmed, no_film = _films(grid, films)
    try:
        written = _write(grid, out, filmed, zipped, kept_starts(store, recipes))
    except Refusal as refusal:
        raise Refusal(f"{refusal} {store.notice or 'The pictures are kept all the same.'}") from None
    if events:
        stepped = ({"steps_of": shown(grid)} if steps else {}) | ({"no_film": no_film} if no_film else {})
        _tell({"event": "finished", "pictures": len(results), "failed": len(failed), "files": written} | stepped)
    else:
        took = f"{time.perf_counter() - started:.1f} s"
        told = [f"{len(results)} of {len(recipes)} pictures in {took} → {out}"]
        told += [said(grid) if runs else NO_ROOM] if steps else []
        told += [f"Picture {cell} failed: {reason}" for cell, reason in failed.items()]
        print(*told, *filter(None, [no_film]), sep="\n", file=sys.stderr)
    if store.notice:
        print(store.notice, file=sys.stderr)
    return 1 if failed or no_film else 0


def _drawn(
    engine: Engine, store: Store, recipes: Sequence[Recipe], refused: set[int], runs: Recordings | None, events: bool
) -> tuple[dict[int, Result], dict[int, str]]:
    """By cell its picture, or why there is none, of those that are `refused` too. Raises Refusal where there is none at
    all."""
    results, failed = dict[int, Result](), dict[int, str]()
    recorder = runs.recorder(recipes) if runs else None
    work = [engine.of(recipe.model).facts.evaluations(recipe) for recipe in recipes]
    total = sum(rows for cell, rows in enumerate(work) if cell not in refused)
    bar = tqdm(total=total, unit=" evaluations", disable=events)
    keep = Keep(latents=runs is not None)
    with bar, closing(render(engine, store, recipes, previews=False, keep=keep, elsewhere=True)) as told:
        for event in told:
            if recorder:
                recorder.take(event)
            if events:
                _tell(_as_json(event))
            if isinstance(event, Step):
                bar.update(work[event.cell] / event.of)
            elif isinstance(event, Done):
                results[event.cell] = event.result
                bar.update(work[event.cell] if event.stored else 0)
            elif isinstance(event, Failed):
                failed[event.cell] = event.reason
    if not results:
        raise Refusal(f"No picture could be drawn. {next(iter(failed.values()), '')}".strip())
    return results, failed


def _engine(models: Sequence[Source], given: Given) -> Engine:
    """The model, or several of which one is in memory at a time. Raises Refusal where one cannot be run."""

    def converted(model: Source) -> LocalEngine:
        engine = opened(model, controlnet=given.controlnet, extras=given.extras)
        engine.model.wait_until_converted()  # torch may round the last bit differently, and files are compared
        return engine

    names = [model.name for model in models]
    elsewhere = hosted_models(given.extras.hosted, names)
    if len(models) == 1:
        engine = converted(models[0])
        return Several(engine, {names[0]: engine}, elsewhere) if elsewhere else engine
    if given.controlnet is not None:
        raise Refusal(ONE_WITH_CONTROLNET)
    house = House(converted)
    guests = {model.name: Guest(house, model) for model in models}
    for name, guest in guests.items():
        guest.say_others({other: "" for other in names if other != name})
    return Several(guests[names[0]], guests, elsewhere)


def _with_steps(grid: FinishedGrid, engine: Engine, store: Store, runs: Recordings, events: bool) -> FinishedGrid:
    with tqdm(unit=" calls for the steps", delay=0.1, disable=events) as bar:  # nothing where nothing is to be done
        for done, bar.total in again(store, runs, grid):
            bar.update(done - bar.n)
            if events:
                _tell({"event": "again", "calls": done, "of": bar.total})
    return replace(grid, steps=kept_steps(engine, runs, grid.recipes))


def _films(grid: FinishedGrid, kinds: Sequence[str]) -> tuple[dict[str, bytes], str]:
    """-> files, or else why there are none, which keeps nothing else from being written."""
    try:
        return {f"grid.{kind}": to_film(grid, kind) for kind in kinds}, ""
    except Refusal as refusal:
        return {}, str(refusal)


def _write(grid: FinishedGrid, out: Path, films: dict[str, bytes], zipped: bool, starts: Pictures) -> list[str]:
    found = files(grid, starts) | films
    if zipped:
        found["grid.zip"] = to_zip(grid, starts)
    try:
        for name, data in found.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(data)
    except OSError as error:
        raise Refusal(f"{name} cannot be written: {error.strerror}.") from None
    return sorted(found)


def _as_json(event: Event) -> dict[str, Any]:
    if isinstance(event, Step):
        return {"event": "step", "cell": event.cell, "k": event.k, "of": event.of}
    if isinstance(event, Done):
        result = event.result
        numbers = {"seconds": result.seconds, "evaluations": result.evaluations, "shared": result.shared}
        return {"event": "done", "cell": event.cell, "kept": event.stored, **numbers, "digest": result.recipe.digest()}
    if isinstance(event, Failed):
        return {"event": "failed", "cell": event.cell, "reason": event.reason}
    model = {"model": event.model} if isinstance(event, Waiting) and event.model else {}
    return {"event": "waiting"} | model


def _tell(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)
