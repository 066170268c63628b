"""The "Add noise" tab, served for its own tests and no longer: a server's folder is set for the whole process."""

from collections.abc import Iterator

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page

from playground.engine import Engine
from playground.ui.add_noise import tab as add_noise
from tests.conftest import one_tab, opened_tab
from tests.ui.add_noise.tab import READY


@pytest.fixture(scope="package")
def address(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_tab("Add noise", lambda: add_noise.build(engine), tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture(scope="package")
def client(address: str) -> Client:
    return Client(address, verbose=False)


@pytest.fixture(scope="package")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The tab with its first picture, for tests that do no more than move along its timeline."""
    with opened_tab(browser, address, "Add noise", READY) as page:
        yield page


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened_tab(browser, address, "Add noise", READY) as page:
        yield page
