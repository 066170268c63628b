"""How a function becomes an endpoint for programs: no visible part, and one sentence where it refuses."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import gradio as gr
from gradio_client import handle_file

from playground.refusal import Refusal

VISITORS = 40  # whose runs go on at once, a class with its teacher; each keeps a thread of the server, mostly waiting
THREADS = VISITORS + 24  # of the server; the rest is for what is answered at once
# of every event that asks the model; the engine shares fairly, so nobody waits here for somebody else's whole grid
ENGINE: dict[str, Any] = {"concurrency_limit": VISITORS, "concurrency_id": "engine"}
# what the API page's snippets send: they can be run as they stand; those in Python send no picture
A_PICTURE = handle_file("https://raw.githubusercontent.com/gradio-app/gradio/main/test/test_files/bus.png")
A_RECIPE = {"prompt": "red apple, blue background", "num_inference_steps": 10, "seed": 7}
A_SWEEP = {"base": {"prompt": "cat, yellow background"}, "axes": {"seed": [1, 2, 3]}}
C = TypeVar("C", bound=gr.components.Component)


def exemplary(component: C, example: Any) -> C:
    """The component with this example on the API page; Gradio's own for its kind would be refused here."""
    component.example_payload = lambda: example  # of the instance, because a subclass would be another component
    return component


def register(
    function: Callable[..., Any],
    api_name: str,
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    **options: Any,
) -> None:
    """`function` takes the inputs' values and gives, or yields, the outputs'; its docstring documents the endpoint.

    The components must be made with `render=False`.
    """
    with gr.Group(visible=False):
        for component in (*inputs, *outputs):
            component.render()
        gr.Button(api_name).click(_spoken(function), list(inputs), list(outputs), api_name=api_name, **options)


def _spoken(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; what it refuses reaches programs as one sentence, without a stack."""

    @wraps(function)
    def results(*args: Any) -> Iterator[Any]:
        with _one_sentence():
            yield from function(*args)

    @wraps(function)
    def result(*args: Any) -> Any:
        with _one_sentence():
            return function(*args)

    return results if inspect.isgeneratorfunction(function) else result


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except Refusal as problem:
        raise gr.Error(str(problem), print_exception=False) from None
