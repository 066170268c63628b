"""One server with a page for every model."""

import warnings
from collections.abc import Mapping, Sequence

import gradio as gr
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse

from playground.engine import Guest, House, Member, Several
from playground.lessons.lesson import Lesson
from playground.sources.given import Source
from playground.store import Store
from playground.ui.models import ModelList
from playground.ui.page import SESSIONS, build_page, launch_options
from playground.ui.shared.endpoint import THREADS

OF_A_LAUNCH = ("max_threads", "state_session_capacity", "strict_cors")  # which a mounted page has as attributes, or not


def build_site(
    house: House,
    sources: Sequence[Source],
    store: Store,
    lessons: Sequence[Lesson] | None = None,
    mcp: bool = False,
    hosted: Mapping[str, Member] | None = None,
) -> FastAPI:
    """The first model's page at "/", the others' at "/m/NAME"; `hosted` ones have none, and are in the grids of all.
    Raises Refusal where a model cannot be read.

    Each is read once, so that its facts are known and its page can be built; the first one last, so that it is there.
    """
    models = ModelList([source.name for source in sources])
    pages: dict[str, gr.Blocks] = {}
    guests: dict[str, Guest] = {}
    for source in reversed(sources):
        guest = guests[source.name] = Guest(house, source)
        guest.say_others(models.others(source.name))
        pages[source.name] = build_page(Several(guest, guests, hosted), store, lessons, models)
    models.fill({name: guest.facts for name, guest in guests.items()})
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for name in pages:
        if (path := models.address(name)) != "/":
            site.add_api_route(path, _with_slash, include_in_schema=False)
    for name, page in pages.items():  # "/" comes last, because it would answer for every path
        page.max_threads = page._queue.max_thread_count = THREADS
        page.state_session_capacity = SESSIONS
        options = {key: value for key, value in launch_options(mcp).items() if key not in OF_A_LAUNCH}
        with warnings.catch_warnings():  # of what `options` leave off, Gradio warns that it is left off
            warnings.filterwarnings("ignore", "SSR mode is not supported")
            gr.mount_gradio_app(site, page, models.address(name), show_error=False, **options)
    return site


def _with_slash(request: Request) -> RedirectResponse:
    """The page of "/m/NAME" is at "/m/NAME/", with whatever was asked of it."""
    asked = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{request.url.path.rsplit('/', 1)[-1]}/{asked}")
