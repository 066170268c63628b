"""A class of thirty through one step of a lesson, over HTTP as thirty browsers ask, and then a grid of each one's own.

python -m tests.benchmarks.classroom [--repeats 3]     # one run, whatever --repeats says
"""

import json
import multiprocessing
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from playground import open_engine
from playground.store import Store
from playground.ui.page import build_page, launch_options
from tests.benchmarks.measure import main

VISITORS = 30
EVERY = 1.5  # seconds between two looks of a browser
IDLE = 12  # seconds in which all only look
STEP = "05-guidance/0"  # five pictures of twenty steps, and a curve to draw
CURVE = [10, 20, 30, 40, 50]


class Browser:
    """What a page of this server asks, without drawing it."""

    def __init__(self, url: str, page: str, session: str) -> None:
        self.client = httpx.Client(base_url=url.rstrip("/"), timeout=600)
        self.client.get(f"/{page}").raise_for_status()
        self.config = self.client.get("/config", params={"page": page}).json()
        self._ids = {c["props"].get("elem_id"): c["id"] for c in self.config["components"] if c["props"].get("elem_id")}
        self.session, self.kept, self.seen = session, {}, ""

    def event(self, elem_id: str | None, kind: str) -> dict[str, Any]:
        """`elem_id`: None for whichever component has an event of this kind."""
        wanted = None if elem_id is None else self._ids[elem_id]
        targets = ((e, t) for e in self.config["dependencies"] for t in e["targets"])
        return next(e for e, (owner, name) in targets if name == kind and wanted in (None, owner))

    def ask(self, event: dict[str, Any], data: list[Any], about: Any = None) -> list[Any]:
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session, "event_data": about}
        answer = self.client.post("/gradio_api/run/predict", json=body)
        answer.raise_for_status()
        values = answer.json()["data"]
        self.kept = next((v for v in values if isinstance(v, dict) and "token" in v), self.kept)
        return values

    def look(self) -> str:
        """What is new on the page; empty where nothing is."""
        values = self.ask(self.event(None, "tick"), [self.kept, None])
        return next((v for v in values if isinstance(v, str) and "dpc" in v), "")

    def queued(self, event: dict[str, Any], data: list[Any], about: Any = None) -> Iterator[str]:
        """Every message of a run, as it comes."""
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session, "event_data": about}
        self.client.post("/gradio_api/queue/join", json=body).raise_for_status()
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:"):
                    yield line[5:]
                    message = json.loads(line[5:])
                    if message["msg"] == "process_completed":
                        if not message["success"]:
                            raise RuntimeError(message["output"])
                        return


def until(browser: Browser, text: str, phase: float = 0.0) -> str:
    """Look as a page does, until this is shown; `phase`: how far between two looks it begins, 0 to 1."""
    time.sleep(EVERY * phase)
    while text not in (shown := browser.look()):
        time.sleep(EVERY)
    return shown


def fetched(browser: Browser, shown: str) -> int:
    """All pictures of a view, loaded -> how many."""
    urls = [part.partition('"')[0] for part in shown.split('<img src="')[1:]]
    for url in urls:
        browser.client.get(f"/{url}").raise_for_status()
    return len(urls)


def everybody(work: Any) -> list[Any]:
    with ThreadPoolExecutor(VISITORS) as pool:
        return list(pool.map(work, range(VISITORS)))


def p95(seconds: list[float]) -> str:
    return f"{np.percentile(seconds, 95):.1f} s"


def through_a_step(url: str, server: psutil.Process) -> list[tuple[str, str]]:
    """-> (work, measured)"""
    teacher = Browser(url, "teach", "teacher")
    teacher.ask(teacher.event("class-open", "click"), ["Thirty", "", 1])
    visitors = everybody(lambda i: Browser(url, "join", f"visitor-{i}"))
    code = teacher.kept["code"]
    everybody(lambda i: visitors[i].ask(visitors[i].event("join-enter", "click"), [{}, code, f"V{i}"]))
    before, asked = server.cpu_times(), time.perf_counter()
    ends = asked + IDLE
    everybody(
        lambda i: [(visitors[i].look(), time.sleep(EVERY)) for _ in iter(lambda: time.perf_counter() < ends, False)]
    )
    after = server.cpu_times()
    share = (after.user + after.system - before.user - before.system) / (time.perf_counter() - asked)

    begun = time.perf_counter()
    teacher.ask(teacher.event("class-show-step", "click"), [teacher.kept, STEP])

    def predict(i: int) -> float:
        until(visitors[i], "<form", i / VISITORS)
        seen = time.perf_counter() - begun
        answer = {"round": 1, "answer": CURVE if i % 2 else CURVE[::-1]}
        visitors[i].ask(visitors[i].event("class-view", "class_answer"), [visitors[i].kept], answer)
        return seen

    questions = everybody(predict)
    board = until(teacher, "<b>0</b> still without an answer")
    answered = re.search(r"<b>(\d+)</b> answered", board)[1]
    revealed = time.perf_counter()
    teacher.ask(teacher.event("class-reveal", "click"), [teacher.kept])

    def sees(i: int) -> tuple[float, int]:
        pictures = fetched(visitors[i], until(visitors[i], "<img", i / VISITORS))
        return time.perf_counter() - revealed, pictures

    pictures = everybody(sees)
    loaded = [seconds for seconds, count in pictures if count == len(CURVE)]
    after_reveal = f"{p95(loaded)}, by {len(loaded)} of {VISITORS}"
    return [
        (f"a class of {VISITORS} looks every {EVERY} s", f"{100 * share:.0f} % of one core"),
        ("the question on everybody's page, 95th percentile", p95(questions)),
        ("answers kept", f"{answered} of {VISITORS}"),
        ("all five pictures loaded after the reveal, 95th percentile", after_reveal),
    ]


def runs_of_their_own(url: str) -> list[tuple[str, str]]:
    """Everybody runs the same step of a lesson at once; then everybody a grid that nobody else has."""
    browsers = everybody(lambda i: Browser(url, "", f"own-{i}"))
    together = threading.Barrier(VISITORS)

    def lesson(i: int) -> tuple[float, float]:
        event = browsers[i].event("lesson-rail", "lesson_run")
        about = {"lesson": "05-guidance", "step": 1, "done": [], "answer": "falls"}
        return timed(browsers[i], event, [], about, together, "data:image", "Run here and now")

    def grid(i: int) -> tuple[float, float]:
        browser, named = browsers[i], browsers[i]._ids
        values = {c["id"]: c["props"].get("value") for c in browser.config["components"]}
        values[named["field-prompt"]] = f"cat number {i}, blue background"
        event = browser.event("run", "click")
        return timed(
            browser, event, [values[n] for n in event["inputs"]], None, together, "data:image", "5 of 5 pictures"
        )

    found = []
    for work, run in (
        ("the same step of a lesson, asked by all at once", lesson),
        ("a five-cell grid of each one's own", grid),
    ):
        times = everybody(run)
        finished = sum(last > 0 for _, last in times)
        told = (
            f"first preview {p95([first for first, _ in times])} (95th percentile), {finished} of {VISITORS} finished"
        )
        found.append((work, f"{told}, the last after {max(last for _, last in times):.1f} s"))
    return found


def timed(
    browser: Browser, event: dict[str, Any], data: list[Any], about: Any, together: Any, first: str, last: str
) -> tuple[float, float]:
    """-> (seconds until a message has `first` in it, seconds until one has `last`; 0 where none ever had)"""
    together.wait()
    begun, preview, finished = time.perf_counter(), 0.0, 0.0
    for message in browser.queued(event, data, about):
        now = time.perf_counter() - begun
        preview = preview or (now if first in message or "gradio_api/file" in message else 0.0)
        finished = finished or (now if last in message else 0.0)
    return preview, finished


def serve(folder: str, say: Connection) -> None:
    """In a process of its own, so that what is measured of it is the server's alone."""
    os.environ |= {"GRADIO_TEMP_DIR": f"{folder}/gradio", "GRADIO_ANALYTICS_ENABLED": "False"}
    engine = open_engine("pocket")
    engine.warm_up()
    page = build_page(engine, Store(Path(folder) / "cells"))
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    say.send(url)
    say.recv()  # until it may end
    page.close()


def rows(repeats: int) -> list[tuple[str, str, str]]:
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(folder, there))
        process.start()
        url, server = here.recv(), psutil.Process(process.pid)

        def held() -> str:
            return f"{server.memory_info().rss / 1e6:.0f} MB"

        before, load = held(), os.getloadavg()[0]
        found = through_a_step(url, server)
        between = held()
        found += runs_of_their_own(url)
        found.append(("memory of the server", f"{before} before, {between} after the class, {held()} after the grids"))
        here.send("end")
        process.join()
    return [(work, f"load average {load:.1f} at the start", measured) for work, measured in found]


if __name__ == "__main__":
    main(__doc__, rows)
