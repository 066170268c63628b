"""A grid over the shipped model and hosted ones, on the page: nothing is sent before Run, each cell says its origin."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from playground import Recipe, Sweep
from playground.command.line import main
from playground.engine import Done, Failed, LocalEngine, Several
from playground.engine.contract import Result
from playground.export.png import PARAMETERS, cell_png, texts_of
from playground.export.receipt import own_recipe
from playground.hosted.engine import Hosted
from playground.inside.recordings import Recordings
from playground.refusal import Refusal
from playground.render import kept_result, missing, render
from playground.store import Store
from playground.ui.compare.telling import cost
from playground.ui.page import build_page, launch_options
from tests.hosted.stand_in import KEY, KINDS, Provider, models, standing_in, written
from tests.ui.compare.support import RUN_TIMEOUT, cells, fill, finished, run, vary

NAMES = [f"by-{kind}" for kind in KINDS]
PRICE = "about $0.04 a picture, noted 2026-11"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with standing_in() as found:
        yield found


@pytest.fixture
def several(engine: LocalEngine, provider: Provider, tmp_path: Path) -> Several:
    provider.asked.clear()
    asked = models(tmp_path / "hosted.json", provider, price=PRICE).values()
    return Several(engine, {engine.facts.name: engine}, {model.name: Hosted(model) for model in asked})


def recipe(name: str = "by-openai", **changes: object) -> Recipe:
    return Recipe(model=name, prompt="cat", width=64, height=64, seed=3).replace(**changes)


def drawn(several: Several, store: Store, *recipes: Recipe) -> list[Result]:
    events = [event for event in render(several, store, recipes, elsewhere=True) if isinstance(event, Done)]
    return [event.result for event in sorted(events, key=lambda event: event.cell)]


def told(several: Several, store: Store, sweep: Sweep) -> str:
    """The line above Run."""
    return cost(several, sweep, missing(several, store, sweep.recipes()))


def test_nothing_is_sent_where_nobody_said_run(several: Several, provider: Provider, tmp_path: Path) -> None:
    with closing(Store(tmp_path / "cells")) as store:
        events = list(render(several, store, [recipe()]))
        (failed,) = [event for event in events if isinstance(event, Failed)]
        assert failed.reason.startswith("by-openai is asked for pictures by Compare's Run")
        assert failed.reason.endswith("only, so nothing was sent.")
        assert several.outlook([recipe()]).unknown == ("by-openai",)
        list(Recordings(several).record([recipe()]))  # of which no steps can be had
        assert provider.asked == []


def test_a_kept_picture_says_where_it_was_made_and_is_not_asked_for_again(
    several: Several, provider: Provider, tmp_path: Path
) -> None:
    with closing(Store(tmp_path / "cells")) as store:
        (made,) = drawn(several, store, recipe("by-stability"))
        assert made.elsewhere.startswith("made elsewhere by by-stability at 127.0.0.1 (core); ignored: sampler, steps")
        assert kept_result(several, store, made.recipe).elsewhere == made.elsewhere
        assert list(render(several, store, [made.recipe]))[0].stored and len(provider.asked) == 1
        file = cell_png(made, several.of("by-stability").facts)
        texts, _ = texts_of(file)
        assert PARAMETERS not in texts and KEY.encode() not in file and KEY.encode() not in made.png
        with pytest.raises(Refusal, match="made elsewhere by by-stability .* cannot be drawn again here"):
            own_recipe(file)


def test_the_line_above_run_says_what_is_asked_sent_ignored_and_its_price(several: Several, tmp_path: Path) -> None:
    values = [{"model": name, "width": 64, "height": 64} for name in NAMES[1:]]
    sweep = Sweep(Recipe(prompt="cat", seed=3, width=64, height=64), {"guidance_scale": [1, 5], "model": values})
    with closing(Store(tmp_path / "cells")) as store:
        said = told(several, store, sweep)
        assert "1 picture is asked of by-openai at 127.0.0.1; your prompt is sent there." in said
        assert "Ignored there: sampler, steps, guidance scale, seed." in said
        assert "2 cells are the same question, so some show the same picture." in said
        assert "1 picture is asked of by-stability at 127.0.0.1; your prompt is sent there, with seed." in said
        assert f"Price, as noted by whoever started this: {PRICE}." in said
        assert "evaluations" not in said and "pipeline of its own" not in said  # which are of what is drawn here
        weak = Sweep(sweep.base, {"guidance_scale": [0.5, 1], "model": ["pocket", values[0]]})
        beside = told(several, store, weak)
        assert "pocket: all pictures will be the same: at guidance 1 and below" in beside
        assert "40 U-Net evaluations" in beside and "pipeline of its own" not in beside
        drawn(several, store, *sweep.recipes())
        assert "is asked of" not in told(several, store, sweep)


def test_a_grid_over_pocket_and_hosted_models_runs_on_the_page(
    several: Several, provider: Provider, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    with closing(Store(tmp_path / "cells")) as store:
        built = build_page(several, store)
        built.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
        try:
            _runs(built, provider, browser)
        finally:
            built.close()


def _runs(built: gr.Blocks, provider: Provider, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(built.local_url)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=RUN_TIMEOUT)
    assert page.get_by_role("navigation", name="Models").count() == 0  # no second page
    vary(page, "Model")
    for name in NAMES[:2]:
        page.locator("#values-model").get_by_label(name).check()
    page.locator("#values-model").get_by_label(NAMES[2]).uncheck()
    fill(page, "field-prompt", "red apple, blue background")
    expect(page.locator("#cost")).to_contain_text(
        "1 picture is asked of by-openai at 127.0.0.1; your prompt is sent there"
    )
    expect(page.locator("#cost")).to_contain_text(PRICE)
    assert provider.asked == []
    page.set_viewport_size({"width": 1280, "height": 600})
    told = page.locator("#cost").get_by_role("group", name="Before this run")
    assert told.bounding_box()["height"] < 150 < told.evaluate("it => it.scrollHeight")  # it leaves sight of the form
    told.focus()
    page.keyboard.press("End")
    expect(told.get_by_text("asked of by-openai")).to_be_in_viewport(ratio=1)
    run(page)
    finished(page, 3)
    assert [asked["path"].split("/")[1] for asked in provider.asked] == ["huggingface", "openai"]
    note = cells(page, "done").nth(2).locator(".dp-note")
    expect(note).to_contain_text("made elsewhere by by-openai at 127.0.0.1 (core); ignored: sampler, steps")
    tops = [cells(page).nth(i).locator(".dp-picture").bounding_box()["y"] for i in range(3)]
    assert max(tops) - min(tops) < 1  # side by side, however long the notes are
    cells(page).nth(2).locator(".dp-picture").click()
    expect(page.locator("dialog")).to_contain_text(re.compile("origin.*made elsewhere by by-openai", re.I | re.S))
    page.keyboard.press("Escape")

    fill(page, "field-prompt", "echo")  # a refusal whose words repeat the key
    run(page)
    expect(cells(page, "failed").first).to_contain_text(
        "127.0.0.1 refused the request (status 400).", timeout=RUN_TIMEOUT
    )
    expect(page.locator("#total")).to_contain_text("1 of 3 pictures in", timeout=RUN_TIMEOUT)
    expect(cells(page, "failed")).to_have_count(2)
    assert KEY not in page.content() and "sk-test" not in page.content()
    page.close()
    assert faults == []

    asked = len(provider.asked)
    sweep = {"base": {"prompt": "dog"}, "axes": {"model": ["by-openai"]}}
    _, rows = Client(built.local_url, verbose=False).predict(sweep, api_name="/render_grid")
    assert "so nothing was sent" in rows[0]["error"] and len(provider.asked) == asked


def test_the_command_line_draws_the_same_grid(
    provider: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.asked.clear()
    monkeypatch.setenv("PLAYGROUND_CELLS", str(tmp_path / "cells"))
    monkeypatch.setenv("TEST_KEY", KEY)
    file, sweep, out = written(tmp_path / "hosted.json", provider), tmp_path / "sweep.json", tmp_path / "out"
    sweep.write_text(json.dumps({"base": {"prompt": "cat"}, "axes": {"model": NAMES}}))
    assert main(["grid", str(sweep), "-o", str(out), "--hosted", str(file), "--json"]) == 0
    told = capsys.readouterr()
    assert '"pictures": 3, "failed": 0' in told.out and "Hosted: by-openai at 127.0.0.1, at most 100" in told.err
    assert KEY not in told.out + told.err and len(provider.asked) == 3
    assert "made elsewhere by by-stability" in (out / "cells.csv").read_text() + (out / "grid.html").read_text()
    picture = next((out / "cells").glob("*by-openai*.png"))
    assert main(["verify", str(picture)]) == 2 and "cannot be drawn again here" in capsys.readouterr().err
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
