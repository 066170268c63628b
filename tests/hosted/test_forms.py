"""Each provider's wire form, against a server that answers well, badly, slowly and wrongly."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub.utils import get_session

from playground import Recipe
from playground.engine import Done, Failed, Result, Waiting
from playground.hosted import huggingface
from playground.hosted.configuration import HostedModel
from playground.hosted.engine import Hosted
from playground.refusal import Refusal
from tests.hosted.stand_in import KEY, KINDS, SLOW, Provider, models, standing_in

BASE = Recipe(sampler="euler", num_inference_steps=7, guidance_scale=3.0, seed=5, width=64, height=64)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with standing_in() as found:
        yield found


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, provider: Provider, tmp_path: Path) -> HostedModel:
    provider.asked.clear()
    return models(tmp_path / "hosted.json", provider)[request.param]


def ended(model: HostedModel, *prompts: str, **changes: object) -> list[Done | Failed]:
    recipes = [BASE.replace(model=model.name, prompt=prompt, **changes) for prompt in prompts]
    events = [event for event in Hosted(model).run(recipes) if not isinstance(event, Waiting)]
    return sorted(events, key=lambda event: event.cell)


def reason(model: HostedModel, prompt: str) -> str:
    (event,) = ended(model, prompt)
    assert isinstance(event, Failed), event
    assert KEY not in event.reason and KEY[:6] not in event.reason and "Traceback" not in event.reason
    assert event.reason.endswith((".", "”")) and "\n" not in event.reason
    return event.reason


SENT = {
    "huggingface": {
        "path": "/huggingface",
        "inputs": "cat",
        "parameters": {"height": 64, "width": 64, "num_inference_steps": 7, "guidance_scale": 3.0, "seed": 5},
    },
    "openai": {"path": "/openai/images/generations", "prompt": "cat", "model": "core", "n": 1, "size": "64x64"},
    "stability": {
        "path": "/stability/v2beta/stable-image/generate/core",
        "prompt": "cat",
        "aspect_ratio": "1:1",
        "output_format": "png",
        "seed": "5",
    },
}
IGNORED = {
    "huggingface": "ignored: sampler",
    "openai": "ignored: sampler, steps, guidance scale, seed",
    "stability": "ignored: sampler, steps, guidance scale; cut and resized from 96 × 96",
}


def test_a_picture_is_asked_for_as_the_provider_reads_it_and_says_where_it_was_made(
    model: HostedModel, provider: Provider
) -> None:
    (event,) = ended(model, "cat")
    assert isinstance(event, Done) and event.result.image.size == (64, 64) and event.result.evaluations == 0
    assert provider.asked == [SENT[model.kind] | {"key": f"Bearer {KEY}"}]
    made = f"made elsewhere by {model.name} at 127.0.0.1 (core)"
    assert event.result.elsewhere == f"{made}; {IGNORED[model.kind]}"
    assert KEY not in repr(model) and KEY not in repr(event)


def test_a_negative_prompt_goes_where_the_form_has_a_place_for_it(model: HostedModel, provider: Provider) -> None:
    (event,) = ended(model, "cat", negative_prompt="blue")
    sent = provider.asked[0].get("parameters", provider.asked[0])
    assert (sent.get("negative_prompt") == "blue") == (model.kind != "openai")
    assert ("negative prompt" in event.result.elsewhere) == (model.kind == "openai")


FAULTS = {  # "|" stands between sentences of which one is said
    "unknown key": "127.0.0.1 does not accept the key in TEST_KEY.",
    "no credit": "127.0.0.1 says that the credit of the key in TEST_KEY is used up.",
    "forbidden": "127.0.0.1 does not let the key in TEST_KEY use core.",
    "too often": "127.0.0.1 is asked too often by this key; try again in 7 s.",
    "broken down": "127.0.0.1 has failed (status 503); try later.",
    "wrong": "127.0.0.1 refused the request (status 400): “It was wrong.”",
    "echo": "127.0.0.1 refused the request (status 400).",  # whose words repeat the key
    "moderated": "127.0.0.1 refuses to draw this prompt, by its own rules.",
    "nonsense": "holds no picture|no picture that can be used",
    "packed": "holds no picture|no picture that can be used",  # a small answer may unpack to any size
    "damaged": "127.0.0.1 sent no picture that can be used. The picture file is damaged",
    "huge": "127.0.0.1 sent no picture that can be used. The picture has more than 40 megapixels.",
    "endless": "The answer of 127.0.0.1 has more than 12 MB, so it was dropped.",
}


@pytest.mark.parametrize("prompt", FAULTS)
def test_what_goes_wrong_is_one_sentence_in_its_cell(model: HostedModel, prompt: str) -> None:
    said = reason(model, prompt)
    assert any(part in said for part in FAULTS[prompt].split("|")), said


@pytest.mark.parametrize("prompt", ["slow", "drip"])
def test_an_answer_that_takes_too_long_is_given_up(model: HostedModel, prompt: str) -> None:
    begun = time.monotonic()
    assert reason(model, prompt) == "127.0.0.1 did not answer within 1 s."
    assert time.monotonic() - begun < SLOW


def test_no_redirect_leads_to_another_place_of_this_machine(model: HostedModel, provider: Provider) -> None:
    assert "address" in reason(model, "redirected")
    assert provider.elsewhere == []


def test_an_address_in_the_place_of_a_picture_is_not_fetched(provider: Provider, tmp_path: Path) -> None:
    assert 'extra = {response_format = "b64_json"}' in reason(
        models(tmp_path / "h.json", provider)["openai"], "address"
    )
    assert provider.elsewhere == []
    extra = models(tmp_path / "h.json", provider, extra={"response_format": "b64_json"})["openai"]
    ended(extra, "cat")
    assert provider.asked[-1]["response_format"] == "b64_json"


def test_a_picture_that_was_blurred_counts_as_refused(provider: Provider, tmp_path: Path) -> None:
    assert "refuses to show what it drew" in reason(models(tmp_path / "h.json", provider)["stability"], "blurred")


@pytest.mark.parametrize(
    ("host", "public"), [("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("::1", False),
                         ("8.8.8.8", True), ("no.such.host.invalid", False)]
)  # fmt: skip
def test_which_hosts_a_providers_answer_may_name(host: str, public: bool) -> None:
    assert huggingface._is_public(host) == public


def test_a_providers_answer_leads_nowhere_but_to_the_open_network(provider: Provider, tmp_path: Path) -> None:
    """By the library's own session, which fetches what such an answer names; other requests of it are nobody's
    business here."""
    model, session = replace(models(tmp_path / "h.json", provider)["huggingface"], url=""), get_session()
    huggingface._hook(session)
    asking = huggingface.ASKING.set(huggingface.Asking(model, time.monotonic() + 5, "https://chosen.example"))
    try:
        for address in (
            f"{provider.address}/secret",
            "https://127.0.0.1:9/secret",
            "https://[::1]/",
            "http://8.8.8.8/",
        ):
            with pytest.raises(Refusal, match="answered with an address that is not fetched from here"):
                session.get(address)
    finally:
        huggingface.ASKING.reset(asking)
    assert provider.elsewhere == []
    assert session.get(f"{provider.address}/plain").status_code == 200
    provider.elsewhere.clear()


def test_a_server_that_is_not_there_is_said_without_what_was_sent(provider: Provider, tmp_path: Path) -> None:
    for model in models(tmp_path / "h.json", provider, url="http://127.0.0.1:9").values():
        assert reason(model, "cat").startswith("127.0.0.1 could not be asked (Connect")


def test_cells_that_differ_only_in_what_is_ignored_are_asked_for_once(provider: Provider, tmp_path: Path) -> None:
    model = models(tmp_path / "h.json", provider)["openai"]
    provider.asked.clear()
    recipes = [BASE.replace(model=model.name, prompt="cat", guidance_scale=scale) for scale in (1, 5, 9)]
    recipes.append(recipes[0].replace(seed=6))  # another draw, though the seed is not sent
    events = [event for event in Hosted(model).run(recipes) if isinstance(event, Done)]
    assert sorted(event.cell for event in events) == [0, 1, 2, 3] and len(provider.asked) == 2
    assert [event.result.recipe for event in sorted(events, key=lambda event: event.cell)] == recipes


def test_stop_asks_for_nothing_more_and_keeps_what_was_asked_for(provider: Provider, tmp_path: Path) -> None:
    model = models(tmp_path / "h.json", provider, seconds=20, at_once=1)["openai"]
    provider.asked.clear()
    recipes = [BASE.replace(model=model.name, prompt="slow", seed=seed) for seed in range(4)]
    late: list[Result] = []
    with closing(Hosted(model).run(recipes, unread=lambda done: late.append(done.result))) as events:
        assert "is asked for 4 pictures" in next(events).model
        while not provider.asked:
            time.sleep(0.02)
    until = time.monotonic() + 3 * SLOW
    while not late and time.monotonic() < until:
        time.sleep(0.05)
    assert [result.recipe for result in late] == recipes[:1] and len(provider.asked) == 1


def test_no_more_pictures_are_asked_for_than_the_file_allows(provider: Provider, tmp_path: Path) -> None:
    model = models(tmp_path / "h.json", provider, most=2, at_once=1)["openai"]
    first, second, third = ended(model, "a", "b", "c")
    assert isinstance(first, Done) and isinstance(second, Done)
    assert third.reason.startswith("by-openai was asked for 2 pictures since the start, which is the most")


def test_what_would_be_another_question_is_refused_and_nothing_is_sent(provider: Provider, tmp_path: Path) -> None:
    hosted = Hosted(models(tmp_path / "h.json", provider)["stability"])
    fine = BASE.replace(model=hosted.facts.name, prompt="cat")
    hosted.check(fine.replace(eta=0.5, sampler="ddim"))
    for changes, named in [({"width": 128}, "width"), ({"prompt": " "}, "prompt"), ({"image": "0" * 64}, "image")]:
        with pytest.raises(Refusal, match=f"^{named} "):
            hosted.check(fine.replace(**changes))
    assert "eta" in hosted.facts.elsewhere.ignored(fine.replace(eta=0.5, sampler="ddim"))
    assert "seed" in hosted.facts.elsewhere.ignored(fine.replace(seed=0))  # which means any seed there
    with pytest.raises(Refusal, match="cannot be drawn again here"):
        hosted.render(fine)
