"""One request by HTTP: no redirect is followed, and neither time nor size is left to whoever answers."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from playground.hosted.answers import bounded, refused, too_late, unreachable
from playground.hosted.configuration import THIS_MACHINE, HostedModel
from playground.refusal import Refusal

OK = 200


@dataclass(frozen=True)
class Reply:
    headers: httpx.Headers
    body: bytes


def posted(model: HostedModel, path: str, accept: str, **content: Any) -> Reply:
    """POST below the model's address, with its key; `content` as httpx takes it. Raises Refusal, with one sentence,
    for every answer but the one that was asked for."""
    until = time.monotonic() + model.seconds
    # not compressed, and nothing is unpacked, so that its size is what is counted
    headers = {"authorization": f"Bearer {model.key}", "accept": accept, "accept-encoding": "identity"}
    proxies = urlsplit(model.url).hostname not in THIS_MACHINE
    options: dict[str, Any] = {"follow_redirects": False, "timeout": model.seconds, "trust_env": proxies}
    try:
        with httpx.Client(**options) as client:
            with client.stream("POST", f"{model.url}{path}", headers=headers, **content) as response:
                body = bounded(response.iter_raw(), model, until)
    except Refusal:
        raise
    except httpx.TimeoutException:
        raise Refusal(too_late(model)) from None
    except Exception as error:  # of httpx, of the system's certificates, of a proxy
        raise Refusal(unreachable(model, error)) from None
    if response.status_code != OK:
        raise Refusal(refused(model, response.status_code, response.headers, body))
    return Reply(response.headers, body)
