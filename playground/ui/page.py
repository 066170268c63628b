"""The page: a head line, one tab per view, and the endpoints."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from playground.classroom.room import Room
from playground.engine import Engine
from playground.lessons.lesson import Lesson
from playground.lessons.shelf import shelf
from playground.store import Store
from playground.ui import theme
from playground.ui.add_noise import api as noise_api
from playground.ui.add_noise import tab as add_noise
from playground.ui.classroom import join, teach
from playground.ui.classroom.offers import grids
from playground.ui.compare import api
from playground.ui.compare import tab as compare
from playground.ui.denoise import api as denoise_api
from playground.ui.denoise import tab as denoise
from playground.ui.inside import api as inside_api
from playground.ui.inside import tab as inside
from playground.ui.lessons import tab as lessons_tab
from playground.ui.models import ModelList, parameters
from playground.ui.predict_noise import api as predict_api
from playground.ui.predict_noise import tab as predict_noise
from playground.ui.shared import glossary
from playground.ui.shared.endpoint import THREADS
from playground.ui.shared.events import Refusals, check_events
from playground.ui.shared.html import escaped
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.shipped import SHIPPED
from playground.ui.shared.tools import checked_tools

LARGEST_UPLOAD = "8mb"
SESSIONS = 256  # pages whose values the server remembers, about a megabyte each; the latest used stay
NEW = (
    '<p class="dp-new">A diffusion model draws a picture out of noise, led by words. New to it? '
    '<button type="button" data-tab="Lessons">Begin with the lessons</button></p>'
)
QUEUE = 64  # visitors' requests waiting at once, over all events

Build = Callable[[Engine], Any]
VIEWS = (  # besides Compare and Lessons: the tab, what builds it, and what builds its endpoint alone
    ("Add noise", add_noise.build, lambda _: noise_api.build()),
    ("Predict noise", predict_noise.build, predict_api.build),
    ("Denoise", denoise.build, denoise_api.build),
    ("Inside", inside.build, inside_api.build),
)


class Page(gr.Blocks):
    """The page, and what its first views need of the network, which is asked when the page is served already."""

    begin: Callable[[], None]
    stands = False  # whether all of it is built

    def get_config_file(self) -> Any:
        """What browsers are told of it. Gradio also asks for it at seven moments of the building, when no browser can
        be told and nobody reads it; that would be a third of a second."""
        return super().get_config_file() if self.stands else {}

    def fill(self) -> None:
        """Ask it now. Whoever opens the page from then on finds the answers there; before, each tab asks itself."""
        self.begin()
        self.config = self.get_config_file()


def build_page(
    engine: Engine, store: Store, lessons: Sequence[Lesson] | None = None, models: ModelList | None = None
) -> Page:
    """`lessons`: those on the shelf, unless others are given. `models`: the list of all, where there are several.
    Beside the page itself there are /teach and /join."""
    lessons = shelf() if lessons is None else lessons
    with Page(title="Diffusion playground", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        head = gr.HTML(_head(engine))
        if models is not None:
            models.build(engine.facts.name)
        notice = gr.HTML(elem_classes=["dp-notice", "dp-flush"], elem_id="notice")
        glossary.build(engine.facts)
        with gr.Tab("Compare"):
            ran = compare.build(page, engine, store)
        begins = [_view(engine, *view) for view in VIEWS]
        page.begin = next((begin for begin in begins if begin is not None), lambda: None)
        with gr.Tab("Lessons"):
            lessons_tab.build(engine, store, lessons)
        api.build(engine, store)
        quiet: dict[str, Any] = {**QUIET, "queue": False}
        gr.on([page.load, ran.change], lambda: (_head(engine), _notice(store)), None, [head, notice], **quiet)
    room = Room(engine, store, lessons)
    with page.route("Teach a class", "/teach", show_in_navbar=False):
        teach.build(page, room, grids(engine))
    with page.route("Join a class", "/join", show_in_navbar=False):
        join.build(page, room)
    check_events(page)
    page.stands = True
    page.queue(max_size=QUEUE, default_concurrency_limit=8, api_open=False)
    return page


def _view(engine: Engine, title: str, build: Build, endpoint: Build) -> Callable[[], None] | None:
    """One tab -> what its first view asks of the network, if anything. Of a model into whose steps nothing looks it
    says so, and so does its endpoint."""
    with gr.Tab(title):
        if not engine.facts.whole:
            return build(engine)
        gr.HTML(f'<p class="dp-quiet">{escaped(engine.facts.whole)}</p>', elem_classes=["dp-flush"])
        endpoint(engine)
    return None


def launch_options(mcp: bool = False) -> dict[str, Any]:
    """What every start of the page shares, also in tests. `mcp`: whether the endpoints are tools for agents as well,
    which needs the package mcp; said either way, so that Gradio's own variable does not decide it."""
    return {
        "theme": theme.theme(),
        "css": theme.css(),
        "head": theme.head(),
        "footer_links": ["api", "settings"],
        "app_kwargs": {"middleware": [Middleware(Refusals)], "lifespan": checked_tools},
        "mcp_server": mcp,
        "max_threads": THREADS,
        "state_session_capacity": SESSIONS,
        "max_file_size": LARGEST_UPLOAD,
        "enable_monitoring": False,
        "strict_cors": True,
        "run_history": False,
        "ssr_mode": False,
    }


def _notice(store: Store) -> str:
    """What visitors should know about the store, as HTML; nothing where all is well."""
    return f'<p role="status">{escaped(store.notice)}</p>' if store.notice else ""


def _head(engine: Engine) -> str:
    """What runs here, and by what at this moment."""
    facts = engine.facts
    name = facts.name.capitalize() if facts.name == SHIPPED else f"{facts.name} · {facts.family}"
    parts = f"{name} · {parameters(facts.parameters)} · {facts.device.upper()} {facts.precision}"
    parts += f" · {facts.memory}" if facts.memory else ""
    parts += f" · {engine.runtime}" + (f" · ControlNet {facts.controlnet}" if facts.controlnet else "")
    return f'<header class="dp-head"><h1>Diffusion playground</h1><p>{escaped(parts)}</p>{NEW}</header>'
