"""Below the grid: the whole grid as a file, one picture as a program, made again and compared; and the way back, from a
picture or a JSON into the form."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from playground import pictures
from playground.engine import Engine, Result
from playground.export import columns
from playground.export.bundle import file_name, png_of, table, to_zip
from playground.export.comfy import NOT_THE_SAME, WEIGHS, to_workflow
from playground.export.document import read_json, to_json
from playground.export.finished import FinishedGrid, finished
from playground.export.png import SIGNATURE, cell_png, sheet_png
from playground.export.reading import Restored, read_picture
from playground.export.receipt import verify
from playground.export.script import SHOWN, START, to_script
from playground.export.sheet import pages
from playground.export.viewer import to_html
from playground.inside.grid_steps import kept_steps
from playground.inside.recordings import Recordings
from playground.models import Facts
from playground.pictures import MAX_BYTES, TOO_LARGE
from playground.recipe import SEED_RANGE, Recipe
from playground.refusal import Refusal
from playground.render import kept_result, kept_starts, missing, pictures_of, read_recipe, undrawable
from playground.store import Store, from_png
from playground.sweep import Sweep
from playground.ui.compare.models import for_form, is_elsewhere, way_to
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, escaped, paragraph
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals
from playground.ui.shared.shipped import SHIPPED, first_view_files

NO_WORKFLOW = "Workflows are made for Stable Diffusion 1.x, 2.x and SDXL; ComfyUI has other nodes for this model."
SCRIPT, WORKFLOW = "Python with diffusers", "ComfyUI workflow"
Find = Callable[[Recipe], Result | None]

ZIP, HTML = "Everything (ZIP)", "Page that needs no network (HTML)"
# what a grid is made into: file names and contents
GRID_KINDS: dict[str, Callable[[FinishedGrid], dict[str, bytes]]] = {
    "Picture with labels (PNG)": lambda grid: _numbered([sheet_png(page, grid.sweep) for page in pages(grid)]),
    HTML: lambda grid: {"grid.html": to_html(grid).encode()},
    ZIP: lambda grid: {"grid.zip": to_zip(grid)},
    "Film along the columns (MP4)": lambda grid: {"grid.mp4": columns.to_film(grid, "mp4")},
    "Film (WebP)": lambda grid: {"grid.webp": columns.to_film(grid, "webp")},
    "Film (GIF)": lambda grid: {"grid.gif": columns.to_film(grid, "gif")},
    "Table (CSV)": lambda grid: {"cells.csv": table(grid).to_csv(index=False).encode()},
    "Recipe (JSON)": lambda grid: {"recipe.json": to_json(grid.sweep).encode()},
}
CELL_KINDS: dict[str, Callable[[Result, Facts], tuple[str, bytes]]] = {
    "PNG, read by AUTOMATIC1111": lambda r, facts: (file_name(r.recipe), cell_png(r, facts)),
    SCRIPT: lambda r, facts: ("picture.py", to_script(_drawn_here(r), facts).encode()),
    WORKFLOW: lambda r, facts: ("workflow.json", json.dumps(_workflow(_drawn_here(r), facts), indent=2).encode()),
}
NO_PARAMETERS = "The file says where it was made, and carries no text for AUTOMATIC1111, which could not draw it."
COMFY = (
    "ComfyUI takes the model's name for a checkpoint file, which must be there; it draws its noise and steps in its "
    "own way, so expect a relative of this picture. Nobody has run it with Pocket, whose sizes are its own."
)


def build(
    engine: Engine,
    store: Store,
    shown_sweep: gr.State,
    start: Sweep,
    fill: Callable[[Sweep], Any],
    inputs: Sequence[gr.components.Component],
    recordings: Recordings,
) -> dict[str, Any]:
    """`recordings` of the runs that are still in memory. `shown_sweep` holds the grid that stands above, as a dict, or
    None for `start`. `fill` gives the values of the form's `inputs` for a sweep, and raises Refusal for one that the
    form cannot show. Gives the event that names the pictures of the grid, for answers outside the queue, which do not
    tell the page that a state has changed."""
    find = finder(engine, store, start)
    labels = FinishedGrid(start, ()).labels
    with gr.Accordion("Take away, or bring back", open=False, elem_id="take-away"):
        with gr.Row():
            with gr.Column():
                kind = gr.Radio(
                    list(GRID_KINDS), value=next(iter(GRID_KINDS)), label="The whole grid as", elem_id="grid-kind"
                )
                make = gr.Button("Make the file", size="sm", elem_id="make-grid")
            with gr.Column():
                which = gr.Dropdown(
                    list(zip(labels, range(len(labels)), strict=True)), value=0, label="One picture", elem_id="which"
                )
                cell_kind = gr.Radio(list(CELL_KINDS), value=next(iter(CELL_KINDS)), label="as", elem_id="cell-kind")
                with gr.Row():
                    make_cell = gr.Button("Make its file", size="sm", elem_id="make-cell")
                    again = gr.Button("Make it again and compare", size="sm", elem_id="make-again")
            with gr.Column():
                dropped = gr.File(
                    label="Fill the form from a PNG or JSON",
                    file_types=[".png", ".json"],
                    height=120,
                    elem_id="restore",
                )
        said = gr.HTML("", elem_id="taken", elem_classes="dp-quiet")
        files = gr.File(label="Files", visible=False, interactive=False, file_count="multiple", elem_id="files")

    def facts_of(model: str) -> Facts:
        return engine.of(model).facts

    def shown(data: dict[str, Any] | None) -> Sweep:
        return start if data is None else Sweep.from_dict(data)

    def whole(data: dict[str, Any] | None, kind: str) -> Iterator[dict[Any, Any]]:
        notes = ""

        def made() -> dict[str, bytes]:
            nonlocal notes
            if kind not in GRID_KINDS:
                raise Refusal("Choose what the grid should be made into.")
            grid = finished(shown(data), find, facts_of)
            if kind in (HTML, ZIP):
                grid = replace(grid, steps=kept_steps(engine, recordings, grid.recipes))
            if kind == ZIP:
                return {"grid.zip": to_zip(grid, kept_starts(store, grid.recipes))}
            found = GRID_KINDS[kind](grid)
            if kind == HTML:
                notes = told_of_page(grid, len(found["grid.html"]))
            return found

        if kind in (HTML, ZIP):
            yield {said: "<p>Making the file …</p>"}
        done = answer(made, "")
        yield done | ({said: paragraph(notes)} if notes else {})

    def one(data: dict[str, Any] | None, place: Any, kind: str) -> dict[Any, Any]:
        def made() -> dict[str, bytes]:
            if kind not in CELL_KINDS:
                raise Refusal("Choose what the picture should be made into.")
            result = picked(data, place)
            return dict([CELL_KINDS[kind](result, facts_of(result.recipe.model))]) | beside(kind, result.recipe)

        try:
            result = picked(data, place)
            notes = NO_PARAMETERS if result.elsewhere else told_of(kind, result.recipe)
        except Refusal:
            notes = ""
        return answer(made, notes)

    def beside(kind: str, recipe: Recipe) -> dict[str, bytes]:
        """The pictures that a program or a workflow is given, in the size of the run."""
        if kind not in (SCRIPT, WORKFLOW):
            return {}
        found, named = pictures_of(store, [recipe]), {START: recipe.image, SHOWN: recipe.control_image}
        size = recipe.width, recipe.height
        return {file: png_of(pictures.fitted(found[name], *size)) for file, name in named.items() if name}

    def picked(data: dict[str, Any] | None, place: Any) -> Result:
        grid = finished(shown(data), find, facts_of)
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(grid.results):
            raise Refusal("Choose one of the pictures.")
        if (result := grid.results[place]) is None:
            raise Refusal("This picture is not drawn yet; press Run first.")
        return result

    @says_refusals(said, also={files: gr.update(visible=False)})
    def answer(made: Callable[[], dict[str, bytes]], notes: str) -> dict[Any, Any]:
        paths = [FILES.path(content, name) for name, content in made().items()]
        return {
            said: paragraph(notes.strip()) if notes.strip() else "",
            files: gr.update(value=paths, visible=True),
        }

    def check(data: dict[str, Any] | None, place: Any) -> str:
        try:
            result = picked(data, place)
            receipt = verify(engine, cell_png(result, facts_of(result.recipe.model)), store)
            return paragraph(receipt.sentence())
        except Refusal as refusal:
            return error(str(refusal))

    @says_refusals(said)
    def restore(path: str | None) -> dict[Any, Any]:
        if path is None:
            return {said: ""}
        restored = read_file(Path(path), engine)
        if is_elsewhere(engine, restored.sweep):
            name = restored.sweep.base.model
            return {said: f"<p>This is a recipe for {escaped(name)}. {way_to(engine, comparable(restored))}</p>"}
        sweep = for_form(engine, comparable(restored))
        for cell, recipe in enumerate(recipes := sweep.recipes()):
            if cell not in undrawable(engine, recipes):
                engine.of(recipe.model).check(recipe)
        pictures_of(store, missing(engine, store, recipes))
        filled = fill(sweep)
        way = f" {_there(Path(path), engine, restored.drawn_by)}" if restored.drawn_by else ""
        told = " ".join(["The form is filled; press Run to draw it.", *restored.sentences])
        values = filled if isinstance(filled, dict) else dict(zip(inputs, filled, strict=True))
        return values | {said: f"<p>{escaped(told)}{way}</p>"}

    def of_grid(data: dict[str, Any] | None) -> dict[Any, Any]:
        """Of another grid there are its pictures to choose from, and no file yet."""
        names = FinishedGrid(shown(data), ()).labels
        chosen = gr.update(choices=list(zip(names, range(len(names)), strict=True)), value=0)
        return {which: chosen, said: "", files: gr.update(visible=False)}

    make.click(whole, [shown_sweep, kind], [said, files], **QUIET, **ENGINE)
    make_cell.click(one, [shown_sweep, which, cell_kind], [said, files], **QUIET)
    again.click(check, [shown_sweep, which], said, **QUIET, **ENGINE)
    dropped.upload(restore, dropped, [*inputs, said], queue=False, **QUIET)
    named = {"fn": of_grid, "inputs": shown_sweep, "outputs": [which, said, files], "queue": False, **QUIET}
    shown_sweep.change(**named)
    return named


def told_of_page(grid: FinishedGrid, size: int) -> str:
    """What should be known of the HTML file: whether its runs can be stepped through, and how large it is."""
    there = [steps for steps in grid.steps if steps is not None]
    held = f"The file has {size / 1e6:.1f} MB"
    if not there:
        return (
            f"{held}, without the steps of the runs: they are in memory for a while after a run, and for large grids "
            "and models there is no room for them. “Step through this grid” brings them back."
        )
    points = max(len(steps.calls) for steps in there)
    return f"{held}, with the steps of {len(there)} of {len(grid.results)} runs, at most {points} points of each."


def told_of(kind: str, recipe: Recipe) -> str:
    """What should be known of the file of one picture."""
    place = {SCRIPT: "The program wants {} beside itself.", WORKFLOW: "ComfyUI wants {} in its folder “input”."}
    notes = [COMFY, NOT_THE_SAME.get(recipe.sampler, "")] if kind == WORKFLOW else []
    notes += [WEIGHS] if recipe.prompt_weights and kind == WORKFLOW else []
    lost = [name for name in ("eta", "shift") if getattr(recipe, name) and kind == WORKFLOW]
    notes += [f"Left out, because its sampler has no place for it: {' and '.join(lost)}."] if lost else []
    given = [name for name, picture in ((START, recipe.image), (SHOWN, recipe.control_image)) if picture]
    notes += [place[kind].format(" and ".join(given))] if given and kind in place else []
    if recipe.active_loras and kind == SCRIPT:
        notes.append("Its LoRAs are read from the folder loras in that of the model.")
    if recipe.control_image and kind in place:
        where = (
            "its second argument is the ControlNet's folder" if kind == SCRIPT else "choose the ControlNet in its node"
        )
        notes.append(f"The ControlNet is not in the file: {where}.")
    return " ".join(filter(None, notes))


def finder(engine: Engine, store: Store, start: Sweep) -> Find:
    """What gives the finished picture of a recipe: the store, or the pictures that ship with the first grid."""
    paths = first_view_files(start) if engine.facts.name == SHIPPED else []
    shipped = {result.recipe: result for path in paths if (result := from_png(path.read_bytes()))}
    return lambda recipe: kept_result(engine, store, recipe) or shipped.get(recipe)


def read_file(path: Path, engine: Engine) -> Restored:
    """An uploaded file -> what it restores. Raises Refusal with one sentence for anything else."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refusal(TOO_LARGE)
        data = path.read_bytes()
    except OSError:
        raise Refusal("The file did not arrive; drop it once more.") from None
    if data.startswith(SIGNATURE) or path.suffix.lower() == ".png":
        return read_picture(data, engine.facts)
    return Restored(read_json(data.decode("utf-8", "replace"), read_recipe(engine)))


def _there(path: Path, engine: Engine, name: str) -> str:
    """HTML: the way to the page of the model that drew a dropped picture, with what the picture says for that model."""
    return way_to(engine, comparable(read_file(path, engine.of(name))))


def comparable(restored: Restored) -> Sweep:
    """A grid needs two pictures: beside a single one stands the next seed, which is said."""
    sweep, recipes = restored.sweep, restored.sweep.recipes()
    if len(recipes) > 1:
        return sweep
    restored.sentences.append("A grid needs two pictures, so the next seed stands beside the one of this file.")
    (recipe,) = recipes
    return Sweep(recipe, {"seed": [recipe.seed, recipe.seed + 1 if recipe.seed < SEED_RANGE[1] else 0]})


def _drawn_here(result: Result) -> Recipe:
    """Raises Refusal where no program could draw it."""
    if result.elsewhere:
        raise Refusal(f"This picture was {result.elsewhere}. No program and no workflow draws it.")
    return result.recipe


def _numbered(sheets: list[bytes]) -> dict[str, bytes]:
    return {f"grid-{i + 1}.png" if len(sheets) > 1 else "grid.png": sheet for i, sheet in enumerate(sheets)}


def _workflow(recipe: Recipe, facts: Facts) -> dict[str, Any]:
    """Raises Refusal for models whose graphs have other nodes."""
    if facts.network != "U-Net" or facts.whole:
        raise Refusal(NO_WORKFLOW)
    return to_workflow(recipe)
