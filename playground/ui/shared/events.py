"""What the page's own events are given is checked before their functions see it, as the endpoints check theirs.

Gradio answers a value that no field of the page could hold with status 500, no sentence, and a stack in the log.
"""

import errno
import json
import logging
import re
from functools import wraps
from traceback import walk_tb
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import check_all_files_in_cache
from gradio.route_utils import FnIndexInferError
from gradio_client.utils import is_file_obj_with_meta
from httpx import InvalidURL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

UNFIT = "A field was given a value that it cannot hold, so nothing was changed."
GONE = "That file is not on this server any more; choose it again."
UNKNOWN = "This page has no such event; load it again."
UNREAD = "This is no request that the page makes, so nothing was changed."
EVENTS = re.compile(r"/((run|call)/[^/]+|queue/join)/?$")  # where a page, or a program, asks for one


def check_events(page: gr.Blocks) -> None:
    """From now on every event of the page refuses, in one sentence, what its fields cannot hold; nothing runs then.

    Set on the instance, because Gradio itself makes and serves it.
    """
    as_gradio_does = page.preprocess_data

    @wraps(as_gradio_does)
    async def preprocess_data(event: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        try:
            json.dumps(inputs, ensure_ascii=False, default=str).encode()  # half a character could not be sent back
            given = [None if _is_no_file(value) else value for value in inputs]
            return await as_gradio_does(event, given, *args, **options)
        except (InvalidPathError, FileNotFoundError):
            raise gr.Error(GONE, print_exception=False) from None
        except Exception as failure:  # nearly anything: ValueError, TypeError, pydantic's ValidationError, …
            raise gr.Error(_unfit(failure), print_exception=False) from None

    page.preprocess_data = preprocess_data
    as_gradio_runs = page.process_api

    @wraps(as_gradio_runs)
    async def process_api(*args: Any, event_data: gr.EventData | None = None, **options: Any) -> Any:
        try:
            check_all_files_in_cache(event_data and event_data._data)
        except Exception:  # Gradio's Error for a path, which it would log, and ValueError for what is none
            raise gr.Error(GONE, print_exception=False) from None
        return await as_gradio_runs(*args, event_data=event_data, **options)

    page.process_api = process_api


def _is_no_file(value: Any) -> bool:
    """Whether it is a file without a path, as the API page's cURL sends it where nothing was uploaded before."""
    return isinstance(value, dict) and value.get("path") == "" and is_file_obj_with_meta(value)


def _unfit(failure: Exception) -> str:
    """UNFIT, with the name of the field at which Gradio stopped, where it had come to one that has a name."""
    code = gr.Blocks.preprocess_data.__code__
    frames = [frame for frame, _ in walk_tb(failure.__traceback__) if frame.f_code is code]
    label = getattr(frames[0].f_locals.get("block"), "label", None) if frames else None
    return UNFIT.replace("A field", f"The field “{label}”") if label else UNFIT


def said(event: gr.EventData, name: str) -> Any:
    """What the browser said under this name; None where it said nothing of the kind."""
    return event._data.get(name) if isinstance(event._data, dict) else None


def picked(event: gr.EventData, of: int) -> int | None:
    """Which of so many pictures a select event is about; None where it names none of them.

    A function that asks for `gr.SelectData` fails on an event without an index before it can look.
    """
    index = said(event, "index")
    return index if type(index) is int and 0 <= index < of else None


class Refusals:
    """ASGI middleware: an event that was refused with a sentence answers 422, one that does not exist 404, and a
    request that Gradio's routes cannot read 400.

    Gradio has 500 for all of them, as if the server had failed, and a stack in the log for most. A failure, which has
    no sentence, keeps its status.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started: Message | None = None
        begun = False  # whether the status has been sent

        async def judged(message: Message) -> None:
            nonlocal started, begun
            if message["type"] == "http.response.start" and message["status"] == 500:
                started = message  # until the body says why
                return
            if started is not None:
                refused = message["type"] == "http.response.body" and _has_sentence(message.get("body", b""))
                await send({**started, "status": 422} if refused else started)
                started = None
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, judged)
        except ClientDisconnect:
            return  # nobody is there any more to be told
        except Exception as failure:
            if scope["type"] != "http" or not _unread(failure) or begun is not isinstance(failure, RuntimeError):
                raise
            if begun:  # a stream of answers, in which Gradio has said it
                await send({"type": "http.response.body"})
            elif isinstance(failure, KeyError | FnIndexInferError) and EVENTS.search(scope["path"]):
                await JSONResponse({"error": UNKNOWN}, 404)(scope, receive, send)
            else:
                log.warning("%r was not read: %.200r", scope["path"][:200], failure)  # if it was a fault of ours
                await JSONResponse({"error": UNREAD}, 400)(scope, receive, send)


def _unread(failure: Exception) -> bool:
    """Whether it was raised by Gradio's routes over what they were sent, before any function of the page ran: those
    never fail out here. A full disk, for example, is no such failure."""
    if isinstance(failure, RuntimeError):  # so Starlette calls a refusal that comes when a stream has begun
        return isinstance(failure.__cause__, HTTPException)
    if isinstance(failure, OSError):
        return failure.errno == errno.ENAMETOOLONG
    return isinstance(
        failure, KeyError | TypeError | ValueError | RequestValidationError | InvalidURL | FnIndexInferError
    )


def _has_sentence(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("error"), str)
