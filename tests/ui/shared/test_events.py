"""The page's own events under odd values: one sentence, no failure of the server, nothing in its log."""

import json
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from playground.ui.page import launch_options
from playground.ui.shared.events import GONE, UNFIT, UNKNOWN, UNREAD
from tests.ui.shared import own_loop

JSON = {"content-type": "application/json"}
ODD: list[Any] = [
    None, "", "x", -1, 1e308, True, [], [[1]], {}, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"path": "/etc/passwd"}, "data:image/png;base64,AAAA", {"index": None}, 10**400, "half of \ud83d",
]  # fmt: skip
ODD_EVENTS: list[Any] = [
    None, {}, {"index": "x"}, {"index": True}, [1], "x", {"index": 10**9, "value": 1},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": "\0", "meta": {"_type": "gradio.FileData"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address.rstrip("/"), timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def config(client: httpx.Client) -> dict[str, Any]:
    return client.get("/config").json()


def ask(client: httpx.Client, event: dict[str, Any], data: list[Any], about: Any = None) -> httpx.Response:
    body = {"data": data, "fn_index": event["id"], "session_hash": "odd", "event_data": about}
    return client.post(
        "/gradio_api/run/predict", content=json.dumps(body), headers=JSON
    )  # httpx's refuses half letters


def queued(client: httpx.Client, event: dict[str, Any], data: list[Any]) -> dict[str, Any]:
    """-> the message that ends it"""
    session = f"odd{event['id']}"
    body = {"data": data, "fn_index": event["id"], "session_hash": session}
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            if line.startswith("data:") and (message := json.loads(line[5:]))["msg"] == "process_completed":
                return message
    raise AssertionError("it was never answered")


def test_no_odd_value_of_any_field_fails_the_server(
    client: httpx.Client, config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    answers, tried = [], dict[int, set[int]]()
    for event in (event for event in config["dependencies"] if event["queue"] is False):
        usual = [values[i] for i in event["inputs"]]
        answers += [ask(client, event, usual[:-1]) for _ in usual[:1]]  # one too few
        for place, field in enumerate(event["inputs"]):
            # the same field in many events is the same code: each event tries what others have not tried with it yet
            untried = [k for k in range(len(ODD)) if k not in tried.setdefault(field, set())][:4]
            for k in untried or [(event["id"] + place) % len(ODD)]:
                answers.append(ask(client, event, [*usual[:place], ODD[k], *usual[place + 1 :]]))
            tried[field].update(untried)
        if any(kind == "select" for _, kind in event["targets"]):
            answers += [ask(client, event, usual, about) for about in ODD_EVENTS]
    assert {answer.status_code for answer in answers} == {200, 422}
    refused = {answer.json()["error"] for answer in answers if answer.status_code == 422}
    assert {UNFIT, GONE} < refused  # too few values are of no field
    labels = {component["props"].get("label") for component in config["components"]}
    named = [re.fullmatch("The field “(.+)” (was .+)", sentence) for sentence in refused - {UNFIT, GONE}]
    assert named and all(found[1] in labels and UNFIT.endswith(found[2]) for found in named)
    assert "Traceback" not in capfd.readouterr().err


def test_a_queued_event_with_too_few_values_ends_with_one_sentence(
    client: httpx.Client, config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    events = [e for e in config["dependencies"] if e["queue"] is not False and e["inputs"]]
    assert len(events) > 10
    for event in events:
        ended = queued(client, event, [])
        assert not ended["success"] and ended["output"]["error"] == UNFIT
    assert "Traceback" not in capfd.readouterr().err


def test_an_event_that_the_page_does_not_have_is_said_so(client: httpx.Client) -> None:
    for path in ("run/predict", "queue/join", "call/nope", "run/no-pe"):
        body = {"data": [], "fn_index": 9999, "session_hash": "odd"}
        answer = client.post(f"/gradio_api/{path}", json=body)
        assert (answer.status_code, answer.json()) == (404, {"error": UNKNOWN})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("run/predict", b'{"data": [], "fn_index": 1e400}'),
        ("queue/join", b'{"data": [], "fn_index": 1e400}'),
        ("cancel", b'{"session_hash": NaN}'),
        ("reset", b'{"event_id": 1e400}'),
        ("call/v2/denoise", b'{"data": []}'),
        ("component_server", b'{"session_hash": "x", "component_id": -1, "fn_name": "x", "data": null}'),
        ("upload", b"--x"),
    ],
)
def test_a_request_that_no_page_makes_gets_one_sentence(
    client: httpx.Client, capfd: pytest.CaptureFixture[str], path: str, body: bytes
) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={'x' * 5000}"} if path == "upload" else JSON
    answer = client.post(f"/gradio_api/{path}", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": UNREAD})
    assert "Traceback" not in capfd.readouterr().err


def test_a_path_that_is_too_long_gets_one_sentence(client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    answer = client.get(f"/static/{'a' * 5000}")
    assert (answer.status_code, answer.json()) == (400, {"error": UNREAD})
    assert "Traceback" not in capfd.readouterr().err


def test_answers_to_a_call_that_nobody_made_come_to_an_end(
    client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = client.get("/gradio_api/call/denoise/nope")
    assert answer.text.startswith("event: error\n")
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_without_a_path_is_none_as_the_api_pages_curl_sends_it(client: httpx.Client) -> None:
    body = {"picture": {"path": "", "meta": {"_type": "gradio.FileData"}}, "t": 400, "example": "Lake at dusk"}
    event = client.post("/gradio_api/call/v2/add_noise", json=body).json()["event_id"]
    assert client.get(f"/gradio_api/call/add_noise/{event}").text.startswith("event: complete\n")


def test_a_client_that_leaves_in_the_middle_of_an_upload_is_no_failure() -> None:
    blank = gr.Blocks()
    blank.max_file_size = None  # which `launch` would set
    app = App.create_app(blank, app_kwargs=launch_options()["app_kwargs"])
    told = iter([{"type": "http.request", "body": b"--x\r\n", "more_body": True}])
    sent = []

    async def receive() -> Any:
        return next(told, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"x"), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b"", "headers": headers}
    own_loop.run(app(scope | {"scheme": "http", "client": ("127.0.0.1", 1), "server": ("x", 80)}, receive, send))
    assert sent == []
