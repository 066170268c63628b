"""What the documents say is what the code does."""

import re
from pathlib import Path

from gradio_client import Client

from playground.samplers import SAMPLERS

ROOT = Path(__file__).parent.parent


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "open_engine" in block)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [f"{i}.png" for i in range(5)]


def test_the_readmes_endpoints_are_those_of_the_page(address: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(/\w+)`", readme, re.M))
    assert named == set(Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"])


def test_every_direct_dependency_is_bounded_below_and_above() -> None:
    for file in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text().split():
            assert re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line), line


def test_the_space_runs_a_gradio_that_the_requirements_allow() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    version = re.search(r"^sdk_version: ([\d.]+)$", readme, re.M).group(1)
    assert "gradio>=6.31,<7" in (ROOT / "requirements.txt").read_text() and version.startswith("6.31")


def test_imports_go_downward_only() -> None:
    """design: recipe, sweep, samplers, noise < models < engine, inside < store, export < render < ui."""
    floor = {"samplers": 0, "recipe": 0, "sweep": 0, "noise": 0, "pictures": 0, "models": 1, "engine": 2}
    floor |= {"inside": 2, "store": 3, "export": 3, "render": 4, "ui": 5}
    for path in (ROOT / "playground").rglob("*.py"):
        room = path.relative_to(ROOT / "playground").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for name in re.findall(r"^\s*from playground\.(\w+)", path.read_text(encoding="utf-8"), re.M):
            assert floor[name] <= floor[room], f"{path.name} imports playground.{name}"
        if room == "ui":
            assert not re.search(r"^\s*(import|from) torch", path.read_text(encoding="utf-8"), re.M), path.name


def test_the_table_of_samplers_and_their_labels_are_distinct() -> None:
    assert len({s.label for s in SAMPLERS.values()}) == len(SAMPLERS)
