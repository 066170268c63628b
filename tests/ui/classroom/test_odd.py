"""The events of /teach and /join under odd values: sentences, nothing in the log, nobody's class touched."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

ODD: list[Any] = [None, {}, [], "x", 7, {"code": 7}, {"code": "CDFH", "token": "x" * 9999}, {"code": ["CDFH"]}]
ODD_ANSWERS: list[Any] = [
    None, {}, [1], "x", {"round": True, "answer": 1}, {"round": 1, "answer": {"a": [1]}}, {"round": 1e308},
    {"round": 1, "answer": float("1e308")}, {"round": 1, "answer": [0] * 5000}, {"round": -1, "answer": "\ud800"},
]  # fmt: skip


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address.rstrip("/"), timeout=120) as client:
        yield client


def ask(client: httpx.Client, event: dict[str, Any], data: list[Any], about: Any = None) -> httpx.Response:
    body = {"data": data, "fn_index": event["id"], "session_hash": "odd", "event_data": about}
    return client.post("/gradio_api/run/predict", json=body)


def events_of(client: httpx.Client, page: str) -> list[dict[str, Any]]:
    return client.get("/config", params={"page": page}).json()["dependencies"]


def test_odd_browsers_and_answers_get_sentences(client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    answers = []
    for page in ("teach", "join"):
        for event in events_of(client, page):
            rest = [None] * (len(event["inputs"]) - 1)
            answers += [ask(client, event, [odd, *rest]) for odd in ODD if event["inputs"]]
            if ["class_answer"] == [kind for _, kind in event["targets"]]:
                answers += [ask(client, event, [odd], about) for odd in ODD[-3:] for about in ODD_ANSWERS[:-1]]
    assert len(answers) > 80 and {answer.status_code for answer in answers} <= {200, 422}
    assert "Traceback" not in capfd.readouterr().err
    assert not any("Traceback" in answer.text for answer in answers)


def test_nobody_acts_for_a_class_without_its_token(client: httpx.Client) -> None:
    teach, join = events_of(client, "teach"), events_of(client, "join")
    components = {c["id"]: c for c in client.get("/config", params={"page": "teach"}).json()["components"]}

    def pressed(elem_id: str) -> dict[str, Any]:
        return next(e for e in teach if any(_id(components, t) == elem_id for t, _ in e["targets"]))

    opened = ask(client, pressed("class-open"), ["Friday", "", 7]).json()["data"]
    kept = next(value for value in opened if isinstance(value, dict) and "token" in value)
    thief = {"code": kept["code"], "token": "x"}
    for elem_id, more in (("class-reveal", []), ("class-csv", []), ("class-close", []), ("class-delete", [True])):
        answer = ask(client, pressed(elem_id), [thief, *more])
        assert "does not teach that class" in answer.text, elem_id
    step = pressed("class-show-step")  # its inputs are told apart by what they are
    given = {"class-step": "06-seeds/0", "class-long-sure": False}
    named = [given.get(_id(components, number)) for number in step["inputs"]]
    told = [
        thief if number == pressed("class-reveal")["inputs"][0] else value
        for number, value in zip(step["inputs"], named, strict=True)
    ]
    assert "does not teach that class" in ask(client, step, told).text
    entering = next(e for e in join if len(e["inputs"]) == 3)
    entered = ask(client, entering, [{}, kept["code"], "Ada"]).json()["data"]
    member = next(value for value in entered if isinstance(value, dict) and "token" in value)
    assert "does not teach that class" in ask(client, pressed("class-reveal"), [member]).text
    assert "Ada" in str(entered)
    assert "Tick the box" in ask(client, pressed("class-delete"), [kept, False]).text
    assert ask(client, pressed("class-delete"), [kept, True]).status_code == 200
    assert "no class with this code" in ask(client, entering, [{}, kept["code"], "Ada"]).text


def _id(components: dict[int, dict[str, Any]], target: Any) -> str:
    return components.get(target, {}).get("props", {}).get("elem_id") or ""
