"""What the documents say is what the code does."""

import ast
import re
from pathlib import Path

import pytest
from gradio_client import Client

from playground.samplers import SAMPLERS
from playground.store import from_png

ROOT = Path(__file__).parent.parent


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "open_engine" in block)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [f"{i}.png" for i in range(5)]


def test_the_readmes_call_from_another_program_runs(address: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "gradio_client" in block)
    answered: dict[str, list] = {}
    exec(compile(code.replace("http://127.0.0.1:7860", address), "README.md", "exec"), answered)
    assert [cell["recipe"]["seed"] for cell in answered["cells"]] == [1, 2, 3]
    assert all(from_png(Path(file).read_bytes()).recipe.seed == seed for seed, file in enumerate(answered["files"], 1))


def test_the_readmes_endpoints_are_those_of_the_page(address: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(/\w+)`", readme, re.M))
    endpoints = Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert named == set(endpoints)
    (given,) = re.findall(r"^\| `/add_noise` \| (.*?) \|", readme, re.M)
    arguments = {argument["parameter_name"] for argument in endpoints["/add_noise"]["parameters"]}
    assert {"picture", "example"} == set(re.findall(r"`(\w+)`", given)) and {"picture", "example"} < arguments


def test_every_direct_dependency_is_bounded_below_and_above() -> None:
    for file in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+( ; .+)?", line), line  # after ";" where there are wheels


def test_the_space_runs_a_gradio_that_the_requirements_allow() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    version = re.search(r"^sdk_version: ([\d.]+)$", readme, re.M).group(1)
    assert "gradio>=6.31,<7" in (ROOT / "requirements.txt").read_text() and version.startswith("6.31")


# design: plain data and maths < schedule < models < engine < store < render < views and exports < pages < app
FLOORS = {
    "refusal": 0,
    "link": 0,
    "samplers": 0,
    "recipe": 0,
    "sweep": 0,
    "labels": 0,
    "noise": 1,
    "pictures": 0,
    "sources": 0,
    "edges": 0,
    "disk": 0,
    "emphasis": 0,
    "answer": 1,
    "schedule": 1,
    "models": 2,
}
FLOORS |= {"engine": 3, "hosted": 4, "store": 4, "render": 5, "inside": 6, "export": 6, "measure": 6, "lessons": 6}
FLOORS |= {"classroom": 6, "ui": 7}
FLOORS |= {"command": 8, "__main__": 9}
PUBLIC = "playground/__init__.py"  # what a program imports; nothing in the house does
HOUSE = sorted((ROOT / "playground").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module and name that a file imports, relative ones resolved, wherever in the file it does."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str | None:
    """ "playground.engine.loop.Loop" -> "engine"; None for other people's modules."""
    parts = module.split(".")
    return parts[1] if parts[0] == "playground" and len(parts) > 1 else None


@pytest.mark.parametrize("path", HOUSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward_only(path: Path) -> None:
    own = path.relative_to(ROOT / "playground").parts[0].removesuffix(".py")
    for module in imported(path):
        assert module.split(".")[0] not in ("tests", "examples", "app"), module
        if own == "__init__" or (room := room_of(module)) is None:
            continue
        assert room in FLOORS, f"{module}: import it from where it stands, not from {PUBLIC}"
        assert FLOORS[room] <= FLOORS[own], f"imports {module}"


UI = ROOT / "playground" / "ui"
TABS = sorted(path.parent for path in UI.glob("*/__init__.py") if path.parent.name != "shared")


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_no_tab_imports_another(tab: Path) -> None:
    """What two of them use stands in shared/; the page, which puts them together, is above them."""
    for path in tab.rglob("*.py"):
        for module in imported(path):
            room = module.removeprefix("playground.ui.").split(".")[0]
            assert not module.startswith("playground.ui.") or room in (tab.name, "shared"), f"{path.name}: {module}"


def classes(styles: str) -> set[str]:
    """The classes of this house that are named in CSS."""
    selectors = re.findall(r"([^{}]+){", re.sub(r"/\*.*?\*/", "", styles, flags=re.S))
    return {name for selector in selectors for name in re.findall(r"\.(dp[a-z]?(?:-[a-z0-9]+)*)", selector)}


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_no_tab_is_styled_by_another(tab: Path) -> None:
    common = {name for path in (UI / "page.css", *UI.glob("shared/*.css")) for name in classes(path.read_text("utf-8"))}
    others = [path for path in UI.rglob("*") if path.suffix in (".py", ".js", ".html") and path.parent != tab]
    own = {name for path in tab.glob("*.css") for name in classes(path.read_text("utf-8"))} - common
    for path in others:
        assert not own & set(re.findall(r"(?<![\w-])dp[\w-]*", path.read_text("utf-8"))), path


def test_the_reader_of_imports_sees_all_ways_to_import(tmp_path: Path) -> None:
    fake = ROOT / "playground" / "engine" / "fake.py"
    text = "from playground import Recipe\nimport playground.ui.page\ndef f():\n    from ..ui import theme\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda self, **_: text)
        found = imported(fake)
    assert found == {"playground.Recipe", "playground.ui.page", "playground.ui.theme"}


def test_views_and_pages_hold_no_network() -> None:
    """What they know of a model is facts, what they get is events: so the engine can be anywhere."""
    for path in HOUSE:
        room = path.relative_to(ROOT / "playground").parts[0]
        modules = imported(path)
        if path.name in ("adherence.py", "clip_pair.py"):  # measures that are networks of their own, not the model's
            continue
        if room in ("inside", "ui", "export", "lessons", "measure", "classroom"):
            assert not {m for m in modules if m.split(".")[0] in ("diffusers", "transformers", "accelerate")}, path
            heavy = ("playground.models.families", "playground.models.running", "playground.models.registry")
            assert not {m for m in modules if m.startswith(heavy)}, path
            engine = {m for m in modules if m.startswith("playground.engine.")}
            named = {m for m in engine if m.startswith("playground.engine.contract.") or m.count(".") == 2}
            assert engine == named, path
        if room == "ui":
            assert not {m for m in modules if m.split(".")[0] == "torch"}, path


def test_only_the_engine_steps_a_scheduler() -> None:
    steps = re.compile(r"scheduler\.step\(|model\.predict\(|\.set_timesteps\(")
    found = {str(p.relative_to(ROOT)) for p in HOUSE if steps.search(p.read_text(encoding="utf-8"))}
    allowed = {"playground/schedule.py", "playground/engine/trajectory.py", "playground/engine/rows.py"}
    assert found - {"playground/engine/capacity.py"} <= allowed, found


def test_the_table_of_samplers_and_their_labels_are_distinct() -> None:
    assert len({s.label for s in SAMPLERS.values()}) == len(SAMPLERS)
