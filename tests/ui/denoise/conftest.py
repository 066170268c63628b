"""The "Denoise" tab, served for its own tests and no longer: a server's folder is set for the whole process."""

from collections.abc import Iterator

import pytest
from gradio_client import Client

from playground.engine import LocalEngine
from playground.ui.denoise import tab as denoise
from playground.ui.shared.shipped import start_recipe
from tests.conftest import one_tab

STEPS = 6  # a short film, so that the tests are quick


@pytest.fixture(scope="package")
def address(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    start = start_recipe(engine.facts).replace(num_inference_steps=STEPS)

    def build() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(denoise, "start_recipe", lambda facts: start)
            denoise.build(engine)

    with one_tab("Denoise", build, tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture(scope="package")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
