"""Two models behind one server: both are listed, each has its page, and pictures of both are kept."""

import json
import random
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gradio.http_server import start_server
from gradio_client import Client
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import Recipe, Sweep, open_engine
from playground.engine import House, LocalEngine, Result, Step, Waiting
from playground.export.png import sheet_png
from playground.export.reading import read_picture
from playground.link import to_token
from playground.sources.given import source
from playground.store import Store, to_png
from playground.ui.compare.grid import empty, folded
from playground.ui.compare.telling import progress
from playground.ui.models import LONGEST, ModelList, about, good_at, parameters
from playground.ui.site import build_site
from tests.models.tiny import build

FIRST, SECOND = "sd15-tiny", "zero-snr-tiny"  # the second one knows fewer samplers
PATIENCE = 120_000  # ms
pytestmark = pytest.mark.filterwarnings("error:SSR mode")  # of which whoever starts several models is not told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    sources = [source(build(kind, folder)) for kind in (FIRST, SECOND)]
    (sources[1].path / "README.md").write_text(
        "---\nlicense: openrail++\n---\n# Tiny\n\nIt draws <b>${1+1}</b> noise of **one** kind.\n"
    )
    house = House(lambda which: open_engine(which, torch.device("cpu"), torch.float32, "torch"))
    with closing(Store(tmp_path_factory.mktemp("cells"))) as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        site = build_site(house, sources, store)
        *_, url, running = start_server(site)
        yield url
        running.force_exit = True  # it would wait five seconds for what a program's client keeps open
        running.close()
    house.close()


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=PATIENCE)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text(re.compile(r"(\d+) of \1 pictures"), timeout=PATIENCE)


def test_one_model_after_the_other_draws_and_both_grids_are_kept(browser: Browser, server: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, server)
    models = page.get_by_role("navigation", name="Models").get_by_role("link")
    expect(models).to_have_count(2)
    expect(models.nth(1)).to_contain_text("Stable Diffusion · 0.4 M parameters · made for 64 × 64")
    expect(models.nth(1)).to_contain_text("openrail++ It draws <b>${1+1}</b> noise of one kind.")
    expect(models.nth(0).locator("span")).to_have_text("")  # it has no card
    expect(models.nth(0)).to_have_attribute("aria-current", "page")
    run(page)

    expect(page.get_by_text("Your grids (1)")).to_be_visible()

    models.nth(1).click()
    expect(page.locator(".dp-head")).to_contain_text(f"{SECOND} ·", timeout=PATIENCE)
    expect(page.locator(".dp-past")).to_be_hidden()  # those of the first would mean something else here
    expect(page.locator(".dp-head")).to_contain_text("read into memory when used")
    expect(models.nth(1)).to_have_attribute("aria-current", "page")
    page.get_by_text("What can it draw?").click()
    expect(page.locator("#known")).to_contain_text("From its card: It draws <b>${1+1}</b> noise of one kind.")
    run(page)
    expect(page.locator(".dp-head")).to_contain_text("PyTorch")
    token = re.search(r"grid=(.+)", page.url).group(1)

    opened(page, f"{server}m/{SECOND}?grid={token}")  # also without the slash
    expect(page.locator("#compare-grid .dp-cell img").first).to_be_visible()
    models.nth(0).click()
    expect(page.locator(".dp-head")).to_contain_text("read into memory when used", timeout=PATIENCE)
    expect(page.locator("#compare-grid .dp-cell img").first).to_be_visible()  # kept from before the switch
    page.close()
    assert faults == []


def test_programs_draw_with_every_listed_model_and_vary_it(server: str, tmp_path: Path) -> None:
    first, second = (
        Client(address, verbose=False, download_files=str(tmp_path)) for address in (server, f"{server}m/{SECOND}/")
    )
    sweep = {"base": {"prompt": "cat", "num_inference_steps": 2}, "axes": {"seed": [1, 2]}}
    files, cells = second.predict(sweep, api_name="/render_grid")
    assert {cell["recipe"]["model"] for cell in cells} == {SECOND} and len(files) == 2
    axes = {"model": [FIRST, SECOND], "sampler": ["pndm", "ddim"]}
    files, cells = first.predict({"base": sweep["base"] | {"seed": 1}, "axes": axes}, api_name="/render_grid")
    assert [cell["recipe"]["model"] for cell in cells] == [FIRST, FIRST, SECOND, SECOND] and len(files) == 3
    assert cells[2]["error"].startswith("sampler must be one of") and "pndm" in cells[2]["error"]
    _, cells = first.predict(
        {"base": {"model": SECOND} | sweep["base"], "axes": sweep["axes"]}, api_name="/render_grid"
    )
    assert all(cell["kept"] for cell in cells)  # by the second one's own page
    with pytest.raises(Exception, match=f"model must be {FIRST} on this page; {SECOND} has its own: /m/{SECOND}/"):
        first.predict({"model": SECOND}, api_name="/denoise")


def test_a_grid_varies_the_model_and_says_what_one_of_them_cannot_draw(browser: Browser, server: str) -> None:
    new = random.randrange(2**32)  # also for a second try of this test, because finished cells are kept
    base = Recipe(prompt="owl", model=FIRST, width=64, height=64, num_inference_steps=2, seed=new)
    usual = Recipe(model=FIRST, width=64, height=64, num_inference_steps=25, guidance_scale=7.5)
    token = to_token(Sweep(base, {"model": [FIRST, SECOND], "sampler": ["pndm", "ddim"]}), usual)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, f"{server}?grid={token}")
    expect(page.locator("#values-model").get_by_role("checkbox", checked=True)).to_have_count(2)
    expect(page.locator("#cost")).to_contain_text("3 pictures", timeout=PATIENCE)
    expect(page.locator("#cost")).to_contain_text("2 models, read in turn")
    expect(page.locator("#cost")).to_contain_text(f"{SECOND} cannot draw 1 of its 2 pictures. Sampler must be one of")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text("3 of 4 pictures in", timeout=PATIENCE)
    cells = page.locator(".dp-table .dp-cell")
    expect(page.locator(".dp-table th[scope=row]")).to_have_text([FIRST, SECOND])
    expect(cells.nth(2).locator(".dp-note")).to_contain_text("for this model, not PLMS")
    expect(page.locator("#cost")).to_contain_text("nothing left to compute", timeout=PATIENCE)

    page.get_by_role("button", name="Take away, or bring back").click()
    page.locator("#which input").click()
    page.get_by_role("option", name=f"Model {SECOND}, Sampler DDIM").click()
    page.get_by_role("button", name="Make it again and compare").click()
    expect(page.locator("#taken")).to_contain_text("Made again in", timeout=PATIENCE)
    expect(page.locator("#taken")).not_to_contain_text("not the same")

    drawn = Result(Image.new("RGB", (64, 64)), base.replace(model=SECOND, sampler="ddim", prompt="dog"), 1.0, 4)
    upload = page.locator("#restore input[type=file]")
    upload.set_input_files({"name": "theirs.png", "mimeType": "image/png", "buffer": to_png(drawn)})
    expect(page.locator("#taken")).to_contain_text(f"drawn by {SECOND}; here {FIRST} draws", timeout=PATIENCE)
    page.locator("#taken").get_by_role("link", name=f"Open it on the page of {SECOND}").click()
    expect(page.locator(".dp-head")).to_contain_text(f"{SECOND} ·", timeout=PATIENCE)
    expect(page.locator("#field-prompt textarea, #field-prompt input").first).to_have_value("dog", timeout=PATIENCE)
    expect(page.locator("#cost")).to_contain_text("2 pictures", timeout=PATIENCE)

    page.get_by_role("button", name="Take away, or bring back").click()
    of_first = {"recipe": base.to_dict()}
    text = json.dumps(of_first).encode()
    upload.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": text})
    expect(page.locator("#taken")).to_contain_text(f"This is a recipe for {FIRST}.", timeout=PATIENCE)
    page.locator("#taken").get_by_role("link", name=f"Open it on the page of {FIRST}").click()
    expect(page.locator(".dp-head")).to_contain_text(f"{FIRST} ·", timeout=PATIENCE)
    expect(page.locator("#field-prompt textarea, #field-prompt input").first).to_have_value("owl", timeout=PATIENCE)
    page.close()
    assert faults == []


def test_pictures_of_several_models_are_as_wide_as_their_places(browser: Browser, server: str) -> None:
    """Also where the words under them are short."""
    new = random.randrange(2**32)  # also for a second try of this test, because finished cells are kept
    base = Recipe(prompt="owl", model=FIRST, width=64, height=64, sampler="ddim", num_inference_steps=1, seed=new)
    token = to_token(Sweep(base, {"model": [FIRST, SECOND]}), base.replace(num_inference_steps=25, guidance_scale=7.5))
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened(page, f"{server}?grid={token}")
    expect(page.locator("#cost")).to_contain_text("2 pictures", timeout=PATIENCE)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures in", timeout=PATIENCE)
    for cell in page.locator(".dp-cell").all():
        place, picture = cell.bounding_box(), cell.locator(".dp-picture").bounding_box()
        assert abs(picture["x"] - place["x"]) < 1 and abs(picture["width"] - place["width"]) < 1
        assert place["width"] > 200
    page.close()


def test_a_grid_that_waits_for_its_model_says_how_far_that_is(engine: LocalEngine) -> None:
    waiting = empty(Sweep(Recipe(), {"seed": [1, 2]}))
    told = folded(waiting, Waiting(0, None, "turbo-tiny is being read into memory: 3 of about 8 s."))
    assert progress(told, time.perf_counter(), engine) == "turbo-tiny is being read into memory: 3 of about 8 s."
    assert progress(folded(told, Step(0, 1, 20, None)), time.perf_counter(), engine).startswith("0 of 2 finished")


def test_a_picture_of_another_listed_model_says_which(engine: LocalEngine) -> None:
    facts = replace(engine.facts, others={SECOND: f"/m/{SECOND}/"})
    drawn = Result(Image.new("RGB", (64, 64)), Recipe(model=SECOND, width=64, height=64), 1.0, 20)
    restored = read_picture(to_png(drawn), facts)
    assert f"It was drawn by {SECOND}; here pocket draws" in restored.sentences[0] and restored.drawn_by == SECOND


def test_a_sheet_over_models_comes_back_where_all_of_them_are_listed(engine: LocalEngine) -> None:
    sweep = Sweep(Recipe(prompt="cat"), {"model": ["pocket", {"model": SECOND, "width": 64, "height": 64}]})
    sheet = sheet_png(Image.new("RGB", (64, 64)), sweep)
    assert read_picture(sheet, replace(engine.facts, others={SECOND: f"/m/{SECOND}/"})).sweep == sweep
    alone = read_picture(sheet, engine.facts)
    assert alone.sweep == Sweep(Recipe(prompt="cat"), {"seed": [0]})
    assert f"It varied the model (pocket, {SECOND}), of which not all are here" in alone.sentences[0]


def test_addresses_are_plain_and_differ() -> None:
    models = ModelList(["pocket", "my model", "my-model", "größe"])
    assert [models.address(name) for name in models.names] == ["/", "/m/my-model", "/m/my-model-2", "/m/gr--e"]


def test_a_model_in_a_line_says_its_size_as_people_do_and_whether_its_licence_is_known(engine: LocalEngine) -> None:
    assert about(replace(engine.facts, licence="apache-2.0")).endswith(" · apache-2.0")
    assert about(replace(engine.facts, licence="")).endswith(" · no licence named")
    assert [parameters(n) for n in (388_000, 19_000_000, 999_900_000, 11_901_408_320)] == [
        "0.4 M parameters", "19.0 M parameters", "999.9 M parameters", "11.9 B parameters",
    ]  # fmt: skip


def test_what_a_model_is_good_at_is_one_short_sentence_of_its_own(engine: LocalEngine) -> None:
    def told(card: str) -> str:
        return good_at(replace(engine.facts, name="another", card=card))

    assert good_at(engine.facts) == "Taught 1,317 things, in 4 styles, on plain backgrounds of 11 colours."
    assert told("") == ""
    assert (
        told("Model v1.5 draws cats, e.g. red ones. It was trained on ten.") == "Model v1.5 draws cats, e.g. red ones."
    )
    assert told("It draws. 描く 猫を") == "It draws."
    long = told("It draws " + "very " * 200 + "well. And so on.")
    assert long.endswith("very …") and LONGEST - 5 < len(long) <= LONGEST + 2
    assert len(told("x " + "y" * 300)) <= LONGEST + 2
