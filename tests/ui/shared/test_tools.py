"""The endpoints as an agent meets them: by the MCP package's own client, over HTTP, with the embedded model."""

import base64
import io
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult
from PIL import Image

from playground import Recipe
from playground.engine import Engine
from playground.recipe import FIELDS
from playground.store import Store
from playground.ui.shared.tools import MOST_SHOWN, NO_FILE, NO_PICTURE
from tests.conftest import whole_page
from tests.ui.shared import own_loop

TAKES = {
    "render_grid": {"sweep", "picture"},
    "add_noise": {"picture", "t", "schedule", "seed", "example"},
    "predict_noise": {"picture", "prompt", "t", "seed", "num_inference_steps", "sampler", "example"},
    "denoise": {"recipe"},
    "inspect_prompt": {"recipe"},
}
BASE = {"prompt": "cat, yellow background", "num_inference_steps": 2}
SWEEP = {"base": BASE, "axes": {"seed": [1, 2]}}
NOISE = {"t": 400, "schedule": "linear", "seed": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module")
def served(engine: Engine, server_store: Store, folder: Path) -> Iterator[str]:
    with whole_page(engine, server_store, folder, mcp=True) as url:
        yield url


def asked(address: str, question: Callable[[ClientSession], Coroutine[Any, Any, Any]]) -> Any:
    async def whole() -> Any:
        async with streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                return await question(session)

    return own_loop.run(whole())


def called(address: str, tool: str, **given: Any) -> CallToolResult:
    return asked(address, lambda session: session.call_tool(tool, given))


def pictures(answer: CallToolResult) -> list[Image.Image]:
    assert not answer.isError, answer.content
    return [Image.open(io.BytesIO(base64.b64decode(c.data))) for c in answer.content if c.type == "image"]


def refused(answer: CallToolResult) -> str:
    assert answer.isError and len(answer.content) == 1
    return answer.content[0].text


def test_the_tools_are_the_five_endpoints_and_say_what_they_take(served: str, engine: Engine) -> None:
    tools = {tool.name: tool for tool in asked(served, lambda session: session.list_tools()).tools}
    assert tools.keys() == TAKES.keys()
    for name, tool in tools.items():
        fields = tool.inputSchema["properties"]
        assert fields.keys() == TAKES[name]
        for field, about in fields.items():
            assert about["type"] in ("object", "string", "number") and len(about["description"]) > 20, field
        assert len(tool.description) > 60
        assert "{" not in tool.description, "a part of the description was not filled in"
    # no other model is named, and Pocket has none of these
    known = {name for name in FIELDS - {"model", "true_cfg_scale", "shift"} if "control" not in name}
    for name, field in (("render_grid", "sweep"), ("denoise", "recipe"), ("inspect_prompt", "recipe")):
        says = tools[name].inputSchema["properties"][field]["description"]
        assert not {known_field for known_field in known if known_field not in says}
        assert all(sampler in says for sampler in engine.facts.samplers) and "0 to 4294967295" in says


def test_the_examples_in_the_descriptions_can_be_drawn(served: str) -> None:
    tools = {tool.name: tool for tool in asked(served, lambda session: session.list_tools()).tools}
    for name, field in (("render_grid", "sweep"), ("denoise", "recipe")):
        says = tools[name].inputSchema["properties"][field]["description"]
        example, _ = json.JSONDecoder().raw_decode(says.split("for example ", 1)[1])
        assert pictures(called(served, name, **{field: example}))


def test_a_grid_comes_back_as_pictures_addresses_and_numbers(served: str, engine: Engine) -> None:
    answer = called(served, "render_grid", sweep=SWEEP)
    drawn = pictures(answer)
    assert [p.size for p in drawn] == [(128, 128)] * 2 and drawn[0].tobytes() != drawn[1].tobytes()
    *addresses, numbers = [c.text for c in answer.content if c.type == "text"]
    assert len(addresses) == 2 and all(served in address for address in addresses)
    cells = json.loads(numbers)
    assert [cell["recipe"]["seed"] for cell in cells] == [1, 2] and [cell["evaluations"] for cell in cells] == [4, 4]
    assert cells[0]["digest"] == Recipe(**BASE, seed=1).digest()

    noised = called(served, "add_noise", picture=addresses[0].removeprefix("Image URL: "), **NOISE)
    assert [p.size for p in pictures(noised)] == [(256, 256)]
    inside = next(c.data for c in answer.content if c.type == "image")
    again = called(served, "add_noise", picture=f"data:image/png;base64,{inside}", **NOISE)
    assert pictures(again)[0].tobytes() == pictures(noised)[0].tobytes()


def test_of_many_pictures_the_first_are_shown_and_all_have_addresses(served: str) -> None:
    many = MOST_SHOWN + 2
    answer = called(served, "render_grid", sweep={"base": BASE, "axes": {"seed": list(range(many))}})
    assert len(pictures(answer)) == MOST_SHOWN
    assert len([c for c in answer.content if c.type == "text" and served in c.text]) == many


def test_a_wrong_recipe_is_answered_with_the_sentence_of_the_refusal(served: str) -> None:
    wrong = {"base": {**BASE, "guidance_scale": 99}, "axes": {"seed": [1]}}
    assert refused(called(served, "render_grid", sweep=wrong)) == "guidance_scale must be from 0 to 50, not 99."
    assert refused(called(served, "denoise", recipe={"seed": -1})) == "seed must be from 0 to 4,294,967,295, not -1."
    assert "is not of type 'object'" in refused(called(served, "render_grid", sweep=json.dumps(SWEEP)))


def test_no_argument_makes_the_server_read_a_file_of_its_own(served: str, folder: Path, tmp_path: Path) -> None:
    private = tmp_path / "private.png"
    Image.effect_noise((64, 64), 50).save(private)
    inside = {"path": str(private), "meta": {"_type": "gradio.FileData"}}
    for sweep in (
        inside,
        {"base": {"prompt": inside}, "axes": {"seed": [1]}},
        {"base": {}, "axes": {"seed": [[inside]]}},
    ):
        assert refused(called(served, "render_grid", sweep=sweep)) == NO_FILE
    (folder / "link.png").symlink_to(private)
    for picture in (
        str(private),
        private.as_uri(),
        f"{served}gradio_api/file={private}",
        f"{served}gradio_api/file={folder}/../{private.parent.name}/{private.name}",
        f"{served}gradio_api/file={folder}/link.png",
        "http://127.0.0.1:1/picture.png",
        "data:image/png;base64,???",
        "data:text/plain,x",
    ):
        assert refused(called(served, "add_noise", picture=picture, **NOISE)) == NO_PICTURE, picture
    assert "is not of type" in refused(called(served, "add_noise", picture=inside, **NOISE))
    assert private.read_bytes() not in [p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    data = base64.b64encode(private.read_bytes()).decode()  # the same picture from who may see it
    assert pictures(called(served, "add_noise", picture=f"data:image/png;base64,{data}", **NOISE))
