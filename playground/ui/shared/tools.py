"""The endpoints as tools for agents (MCP, by Gradio's own server): what they may be given, and what they answer.

Gradio passes a call on through a client of its own that runs on this machine, and that client would upload any file of
this machine that an argument names. So arguments are checked before it sees them.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gradio.utils import get_upload_folder
from gradio_client import handle_file
from gradio_client.utils import is_file_obj_with_meta

from playground.refusal import Refusal
from playground.ui.shared.files import FILES

MOST_SHOWN = 16  # pictures inside one answer; of further ones the address alone, so that an answer stays readable
SERVED = "/gradio_api/file="  # what stands before a file's path in its address here
NO_FILE = "Only picture names a file, so no other value may have the fields path and meta."
NO_PICTURE = (
    "picture must be a data: address of base64, or the address of a file of this playground as it gave it; "
    "no other is fetched."
)


@asynccontextmanager
async def checked_tools(app: Any) -> AsyncIterator[None]:
    """A lifespan of Gradio's app: before it serves anybody, its tools take and give what is said here.

    Set on the instance, because Gradio itself makes it. Does nothing where the page serves no tools.
    """
    server = app.get_blocks().mcp_server_obj
    if server is not None:
        schema, as_gradio_does = server.get_input_schema, server.postprocess_output_data
        server.get_input_schema = lambda *tool: with_objects(schema(*tool))
        server.convert_strings_to_filedata = arguments
        server.postprocess_output_data = lambda data, root: content(data, root, as_gradio_does)
    yield


def with_objects(schema: tuple[dict[str, Any], Any]) -> tuple[dict[str, Any], Any]:
    """A tool's input schema and its places of files, with a JSON field as an object, which ours all are.

    Gradio gives it the type {}, which is no JSON Schema, so that no client's call would pass.
    """
    whole, places = schema
    for given in whole["properties"].values():
        if given.get("type") == {}:
            given["type"] = "object"
    return whole, places


def arguments(value: dict[str, Any], pictures: Sequence[list[str | int]]) -> dict[str, Any]:
    """A tool's arguments -> the same, with what stands at the places of `pictures` as files that Gradio takes.

    Raises Refusal for files that are named anywhere else, and for pictures that are not in the call or not ours.
    """
    places = {place[0] for place in pictures if len(place) == 1}
    for name, given in value.items():
        if _names_a_file(given):
            raise Refusal(NO_FILE)
        if name in places and given is not None and not isinstance(given, str):
            raise Refusal(NO_PICTURE)
    return {name: handle_file(_own(given)) if name in places and given else given for name, given in value.items()}


def content(data: Sequence[Any], root: str, as_gradio_does: Any) -> list[Any]:
    """A tool's outputs as MCP content: pictures and their addresses one by one, and everything else as JSON.

    Gradio itself writes lists of files, and JSON, as Python would print them.
    """
    if len(data) == 1 and isinstance(data[0], list | tuple):  # all outputs as one, where nobody asked for progress
        data = data[0]
    answer: list[Any] = []
    for output in data:
        files = output if isinstance(output, list) else [output]
        if files and all(map(is_file_obj_with_meta, files)):
            answer += as_gradio_does(files[:MOST_SHOWN], root)
            answer += as_gradio_does([{**file, "path": ""} for file in files[MOST_SHOWN:]], root)
        else:
            answer += as_gradio_does([json.dumps(output, ensure_ascii=False)], root)
    return answer


def _names_a_file(value: Any) -> bool:
    """Whether Gradio could take it, or anything in it, for a file."""
    if isinstance(value, dict):
        return {"path", "meta"} <= set(value) or any(map(_names_a_file, value.values()))
    return isinstance(value, list) and any(map(_names_a_file, value))


def _own(address: str) -> str:
    """A data: address, or that of a file here -> the path of a file in Gradio's own folder. Fetches nothing."""
    if address.startswith("data:"):
        head, _, body = address.partition(",")
        if not head.endswith(";base64"):
            raise Refusal(NO_PICTURE)
        try:
            return FILES.path(base64.b64decode(body, validate=True), "picture")
        except (binascii.Error, ValueError):
            raise Refusal(NO_PICTURE) from None
    folder = Path(get_upload_folder()).resolve()
    _, served, path = address.partition(SERVED)
    try:
        file = Path(unquote(path)).resolve()
        if served and file.is_relative_to(folder) and file.is_file():
            return str(file)
    except (OSError, ValueError):
        pass
    raise Refusal(NO_PICTURE)
