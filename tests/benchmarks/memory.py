"""What the process holds after many grids of many visitors: it must not grow with every grid.

python -m tests.benchmarks.memory [--repeats 3]     # one run, whatever --repeats says
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psutil

from playground import open_engine
from playground.store import Store
from playground.ui.page import build_page, launch_options
from tests.benchmarks.measure import main

GRIDS = 300
SETTLED = 30  # grids after which all that is made once has been made
VISITORS = 20  # each with a page of their own, one grid after the other
STEPS = 4


def draw_grid(client: httpx.Client, config: dict[str, Any], session: str, prompt: str) -> None:
    """Press Run on a page whose prompt is this, and read every update of the grid as a browser does."""
    named = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    values = {c["id"]: c["props"].get("value") for c in config["components"]}
    values |= {named["field-prompt"]: prompt, named["field-num-inference-steps"]: STEPS}
    run = next(d for d in config["dependencies"] if [named["run"], "click"] in d["targets"])
    body = {
        "data": [values[i] for i in run["inputs"]],
        "fn_index": run["id"],
        "session_hash": session,
        "trigger_id": named["run"],
    }
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            if line.startswith("data:") and (message := json.loads(line[5:]))["msg"] == "process_completed":
                if not message["success"]:
                    raise RuntimeError(message["output"])
                return


def held() -> float:
    """MB of this process in memory"""
    return psutil.Process().memory_info().rss / 1e6


def rows(repeats: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "gradio")
        store = Store(Path(folder) / "cells")
        page = build_page(open_engine("pocket"), store)
        _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
        with httpx.Client(base_url=url.rstrip("/"), timeout=600) as client:
            config = client.get("/config").json()
            taken = {}
            for n in range(1, GRIDS + 1):
                draw_grid(client, config, f"visitor-{n % VISITORS}", f"cat number {n}")
                if n in (SETTLED, GRIDS // 2, GRIDS):
                    taken[n] = held()
        page.close()
        store.close()
    told = ", ".join(f"{mb:.0f} MB after {n}" for n, mb in taken.items())
    return [(f"memory over {GRIDS} grids of {VISITORS} visitors, {STEPS} steps each", "–", told)]


if __name__ == "__main__":
    main(__doc__, rows)
