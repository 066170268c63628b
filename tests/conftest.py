"""Real parts only: the shipped model, a real Gradio server, a real Chromium."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import gradio as gr
import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from playground import open_engine  # noqa: E402
from playground.engine import LocalEngine  # noqa: E402
from playground.store import Store  # noqa: E402
from playground.ui import theme  # noqa: E402
from tests.ensure_chromium import found  # noqa: E402
from tests.models.tiny import KINDS, build  # noqa: E402

settings.register_profile("any machine", deadline=None)  # no test depends on how fast it is
settings.load_profile("any machine")
expect.set_options(timeout=30_000)  # ms; generous, because other work may share the machine


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Fast ones first: what needs neither a model nor a browser, then what needs neither a browser nor a page that is
    served for one. Tests that share a fixture of their module stay together, so that it is made once."""
    most: dict[tuple[ModuleType, str], tuple[bool, bool]] = {}
    for item in items:
        for name in of_its_module(item):
            most[item.module, name] = max(needs(item), most.get((item.module, name), (False, False)))
    items.sort(key=lambda item: max([needs(item), *(most[item.module, name] for name in of_its_module(item))]))
    for item in items:
        names = item.fixturenames
        if "browser" in names or any(name.endswith("engine") for name in names):
            # once more, as a busy machine can starve a browser or a thread; the summary names each
            item.add_marker(pytest.mark.flaky(reruns=1))


def needs(item: pytest.Function) -> tuple[bool, bool]:
    """Whether a page or a browser, and whether an engine."""
    names = item.fixturenames
    return "browser" in names or "address" in names, any("engine" in name for name in names)


def of_its_module(item: pytest.Function) -> list[str]:
    """The fixtures of a test that its own module defines."""
    return [name for name in item.fixturenames if name in vars(item.module)]


@pytest.fixture(scope="session")
def engine() -> LocalEngine:
    """The embedded model in fp32 on the CPU, so that comparisons mean the same on every machine, by OpenVINO."""
    engine = open_engine("pocket", torch.device("cpu"), torch.float32)
    engine.warm_up()
    return engine


@pytest.fixture(scope="session")
def by_torch() -> LocalEngine:
    """The same by torch alone: the reference."""
    return open_engine("pocket", torch.device("cpu"), torch.float32, runtime="torch")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models with random weights of every kind of Stable Diffusion, by kind; see `tests/models/tiny.py`."""
    folder = tmp_path_factory.mktemp("models")
    return {kind: build(kind, folder) for kind in KINDS}


@pytest.fixture(scope="session")
def engines(folders: dict[str, Path]) -> Iterator[dict[str, LocalEngine]]:
    """An engine for each of them."""
    on_cpu = (torch.device("cpu"), torch.float32, "torch")  # five conversions would serve nobody
    engines = {kind: open_engine(folder, *on_cpu) for kind, folder in folders.items()}
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cells")
    yield store
    store.close()


@pytest.fixture(scope="session")
def server_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("cells"))
    yield store
    store.close()


@contextmanager
def whole_page(engine: LocalEngine, store: Store, folder: Path, mcp: bool = False) -> Iterator[str]:
    """The address of the whole page with this engine, served as app.py serves it; `folder` is for Gradio's files, and
    with `mcp` the endpoints are tools as well."""
    from playground.ui.page import build_page, launch_options  # every tab, which the tests of one tab do not need

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        page = build_page(engine, store)
        _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(mcp))
        yield url
        page.close()


@pytest.fixture(scope="session")
def address(engine: LocalEngine, server_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the whole page with the embedded model."""
    with whole_page(engine, server_store, tmp_path_factory.mktemp("gradio")) as url:
        yield url


@contextmanager
def one_tab(title: str, build: Callable[[], None], folder: Path) -> Iterator[str]:
    """The address of a page that has only this tab, and another one to come from; `folder` is for Gradio's files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        with gr.Blocks(analytics_enabled=False) as demo:
            with gr.Tab("Elsewhere"):
                gr.Markdown("Another tab.")
            with gr.Tab(title):
                build()
        demo.queue(api_open=False)
        _, url, _ = demo.launch(
            prevent_thread_lock=True, quiet=True, theme=theme.theme(), css=theme.css(), server_name="127.0.0.1"
        )
        yield url
        demo.close()


@contextmanager
def opened_tab(browser: Browser, address: str, title: str, ready: str) -> Iterator[Page]:
    """That tab of `one_tab` or of the whole page, once `ready` is there; fails the test on any script error."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "js_on_load" in line.text else None)
    page.goto(address)
    page.get_by_role("tab", name=title, exact=True).click()
    page.locator(ready).first.wait_for()
    yield page
    page.close()
    assert faults == []


def schemes(page: Page) -> Iterator[str]:
    """The page, which was opened light, as it is light and then dark."""
    for scheme in ("light", "dark"):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
        yield scheme


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a moving test picture
        browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox", "--disable-gpu", *camera])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page in a fresh browser profile; fails the test on any script error."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=60_000)
    yield page
    context.close()
    assert errors == []
