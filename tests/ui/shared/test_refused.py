"""What an event does that is refused."""

import inspect
from collections.abc import Iterator

import gradio as gr
import pytest

from playground.refusal import Refusal
from playground.ui.shared.refused import Update, says_refusals

SENTENCE = '<p role="alert">Steps must be 1 to 200.</p>'


def test_a_refused_function_answers_with_the_sentence_and_what_goes_with_it():
    with gr.Blocks():
        slot, files, stage = gr.HTML(), gr.File(), gr.HTML()

        @says_refusals(slot, also={files: None})
        def run(steps: int, request: gr.Request) -> Update:
            if steps < 1:
                raise Refusal("num_inference_steps must be 1 to 200.")
            return {stage: steps}

    assert run(0, gr.Request()) == {slot: SENTENCE, files: None}
    assert run(2, gr.Request()) == {stage: 2}
    assert list(inspect.signature(run).parameters) == ["steps", "request"]  # Gradio gives what it reads there


def test_what_a_generator_has_shown_stays_and_the_sentence_comes_last():
    with gr.Blocks():
        slot, stage = gr.HTML(), gr.HTML()

        @says_refusals(slot)
        def grow() -> Iterator[Update]:
            yield {stage: "begun"}
            raise Refusal("num_inference_steps must be 1 to 200.")

    assert inspect.isgeneratorfunction(grow)  # by which Gradio tells what to send bit by bit
    assert list(grow()) == [{stage: "begun"}, {slot: SENTENCE}]


def test_another_exception_is_no_sentence():
    with gr.Blocks():
        slot = gr.HTML()

        @says_refusals(slot)
        def broken() -> Update:
            raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        broken()
