"""Hugging Face's form: InferenceClient, which knows the forms of many providers, or one's own endpoint by its address.

The client fetches what a provider's answer names, with redirects, as much as comes. So all of its requests that are
made here pass two hooks, which let it go only where a picture may be and stop what is too large or too late.
"""

import ipaddress
import socket
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from huggingface_hub import InferenceClient, InferenceTimeoutError
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session
from PIL import Image

from playground.hosted.answers import bounded, no_picture, picture, refused, too_late, unreachable
from playground.hosted.configuration import HostedModel
from playground.recipe import Recipe
from playground.refusal import Refusal


@dataclass
class Asking:
    """The request of this thread that is under way."""

    model: HostedModel
    until: float  # `time.monotonic()`
    first: str = ""  # the origin of its first request, which the configuration chose, or else the library


ASKING: ContextVar[Asking | None] = ContextVar("asking", default=None)


def ask(model: HostedModel, recipe: Recipe, sent: tuple[str, ...]) -> Image.Image:
    """One picture, in the size that came; `sent` are the fields besides prompt and size. Raises Refusal where there is
    none."""
    _hook(get_session())
    asking = ASKING.set(Asking(model, time.monotonic() + model.seconds, _origin(urlsplit(model.url))))
    given = {name: getattr(recipe, name) for name in sent if getattr(recipe, name) != ""}
    try:
        client = InferenceClient(
            provider=None if model.url else model.through or None, api_key=model.key, timeout=model.seconds
        )
        opened = client.text_to_image(
            recipe.prompt,
            model=model.url or model.model,  # an endpoint of one's own has one model
            width=recipe.width,
            height=recipe.height,
            extra_body=dict(model.extra) or None,
            **given,
        )
        if not isinstance(opened, Image.Image):
            raise Refusal(no_picture(model))
        return picture(opened, model)
    except Refusal:
        raise
    except InferenceTimeoutError:
        raise Refusal(too_late(model)) from None
    except HfHubHTTPError as error:
        raise Refusal(_answered(model, error)) from None
    except (Image.UnidentifiedImageError, LookupError, ValueError, TypeError):
        # what the client raises for answers that are none, and for a model that the provider does not have
        raise Refusal(no_picture(model)) from None
    except Exception as error:
        raise Refusal(unreachable(model, error)) from None
    finally:
        ASKING.reset(asking)


def _answered(model: HostedModel, error: HfHubHTTPError) -> str:
    response = error.response
    try:
        body = response.content
    except Exception:  # it was not read, or broke off
        body = b""
    return refused(model, response.status_code, response.headers, body)


def _hook(session: Any) -> None:
    """The library has one session, and makes another one now and then; other requests pass the hooks unseen."""
    hooks = session.event_hooks
    if _before not in hooks["request"]:
        session.event_hooks = {
            "request": [*hooks["request"], _before],
            "response": [*hooks["response"], _after],
        }


def _before(request: Any) -> None:
    """Each request, those after a redirect too. Raises Refusal where it leads elsewhere than to a public address."""
    if (asking := ASKING.get()) is None:
        return
    left = asking.until - time.monotonic()
    if left <= 0:
        raise Refusal(too_late(asking.model))
    request.headers["accept-encoding"] = "identity"
    request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)
    origin = _origin(urlsplit(str(request.url)))
    asking.first = asking.first or origin
    public = not asking.model.url and request.url.scheme == "https" and _is_public(request.url.host)
    if origin != asking.first and not public:  # one's own endpoint has no need of another place
        raise Refusal(f"{asking.model.provider} answered with an address that is not fetched from here.")


def _origin(url: SplitResult) -> str:
    """Empty where there is no address."""
    return f"{url.scheme}://{url.netloc}" if url.netloc else ""


def _after(response: Any) -> None:
    """Each answer is read through a stream that ends where it is too large or too late."""
    if (asking := ASKING.get()) is None:
        return
    if response.headers.get("content-encoding", "identity") != "identity":  # nothing is unpacked, see `posting`
        raise Refusal(no_picture(asking.model))
    # httpx or its successor, whichever the library uses: the answer's stream must be one of its own kind
    kind = sys.modules[type(response).__module__.partition(".")[0]].SyncByteStream

    class Bounded(kind):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            yield bounded(self._stream, asking.model, asking.until)

        def close(self) -> None:
            self._stream.close()

    response.stream = Bounded(response.stream)


def _is_public(host: str) -> bool:
    """All addresses of a host are of the open network. One that cannot be looked up counts as not. Should a name lead
    elsewhere a moment later, its certificate would have to be that of the name all the same."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
        return bool(found) and all(ipaddress.ip_address(address).is_global for address in found)
    except (OSError, ValueError):
        return False
