"""A wrong start is one sentence, exit code 2, before anything heavy is imported; and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def started(*arguments: str, env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess[str]:  # noqa: ANN003
    """`python -X importtime` tells which modules were imported, on standard error."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        timeout=120,
        **options,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 2 and not imported & {"torch", "diffusers", "transformers", "gradio"}
    assert "Traceback" not in done.stderr and len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("start", [("app.py",), ("-m", "playground", "serve")], ids=["app", "serve"])
def test_a_wrong_model_or_port_ends_at_once(start: tuple[str, ...], tmp_path: Path) -> None:
    assert "no model named 'nowhere'" in refused(started(*start, "--model", "nowhere"))
    assert "it has no model_index.json" in refused(started(*start, "--model", str(tmp_path)))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        assert f"Port {port} is in use already" in refused(started(*start, "--port", port))
        assert f"Port {port} is in use already" in refused(started(*start, env={"PORT": port}))
    assert "--loras needs a folder, and 'nowhere' is none" in refused(started(*start, "--loras", "nowhere"))
    assert "holds no .safetensors file" in refused(started(*start, "--loras", str(tmp_path)))
    assert "must be a whole number" in refused(started(*start, "--port", "http"))
    assert "must be a whole number" in refused(started(*start, env={"GRADIO_SERVER_PORT": "99999"}))
    for host in ("192.0.2.1", "no.such.host.invalid"):  # with a port and without: Gradio would try ports for minutes
        assert "is not an address of this machine" in refused(started(*start, "--host", host))
    assert "'192.0.2.1' is not an address" in refused(
        started(*start, "--port", "7799", env={"PLAYGROUND_HOST": "192.0.2.1"})
    )
    assert "no model named 'elsewhere'" in refused(started(*start, env={"PLAYGROUND_MODEL": "elsewhere"}))


def test_a_file_that_is_no_whole_model_ends_at_once(tmp_path: Path) -> None:
    """From the header alone, of which some tensor names are enough to say what it is."""
    import numpy as np
    from safetensors.numpy import save_file

    for name, tensor, says in (
        ("style", "lora_unet_mid_block.lora_down.weight", "style.safetensors is a LoRA, not a model"),
        ("vae", "first_stage_model.decoder.conv_in.weight", "vae.safetensors holds a VAE only"),
        ("flux", "double_blocks.0.img_attn.norm.key_norm.scale", "is of Flux, which is not read from one file here"),
    ):
        save_file({tensor: np.zeros(1, np.float32)}, tmp_path / f"{name}.safetensors")
        assert says in refused(started("app.py", "--model", str(tmp_path / f"{name}.safetensors")))
    again = tmp_path / "again" / "flux"
    again.mkdir(parents=True)
    (again / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    twice = ("--model", str(again), "--model", str(again))
    assert "Two models are named flux, so recipes could not tell them apart" in refused(started("app.py", *twice))
    (tmp_path / "old.ckpt").write_bytes(b"\x80\x02}q\x00.")
    assert "is a pickled file" in refused(started("app.py", "--model", str(tmp_path / "old.ckpt")))
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "vae.safetensors").read_bytes()[:-2])
    assert "is not a whole .safetensors file" in refused(
        started("app.py", "--model", str(tmp_path / "cut.safetensors"))
    )


@pytest.mark.parametrize(
    ("index", "says"),
    [("{", "not valid JSON"), ("[]", "names no pipeline"), ('{"_class_name": 1}', "names no pipeline"), (None, "")],
)
def test_a_folder_with_a_broken_index_says_so(index: str | None, says: str, tmp_path: Path) -> None:
    if index is None:
        (tmp_path / "model_index.json").mkdir()  # is a folder, so it cannot be read as a file
        says = "cannot be read"
    else:
        (tmp_path / "model_index.json").write_text(index)
    assert says in refused(started("app.py", "--model", str(tmp_path)))


def test_an_unreadable_folder_says_so(tmp_path: Path) -> None:
    """Root may read everything, so the child becomes nobody where this is root, once all is imported."""
    (tmp_path / "model_index.json").write_text("{}")
    tmp_path.chmod(0)
    code = (
        "import os, sys\n"
        "from playground.sources.given import Refusal, source\n"
        "os.getuid() or os.setuid(65534)\n"
        "try:\n"
        f"    source({str(tmp_path)!r})\n"
        "except Refusal as problem:\n"
        "    sys.exit(print(problem, file=sys.stderr) or 2)\n"
    )
    done = started("-c", code)
    tmp_path.chmod(0o700)
    assert "cannot be read: Permission denied." in refused(done)


@pytest.mark.parametrize("start", [("app.py",), ("-m", "playground", "serve")], ids=["app", "serve"])
def test_tools_without_their_package_end_at_once(start: tuple[str, ...], tmp_path: Path) -> None:
    """A finder that comes first and knows no mcp: what a Python without the package finds."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.machinery, sys\n"
        "class Without(importlib.machinery.PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'mcp' else super().find_spec(name, path, target)\n"
        "at = sys.meta_path.index(importlib.machinery.PathFinder)\n"
        "sys.meta_path[at] = Without\n"
    )
    without = {"PYTHONPATH": str(tmp_path)}
    says = '--mcp needs the package mcp, which is not installed: pip install "gradio[mcp]"'
    assert says in refused(started(*start, "--mcp", env=without))
    assert says in refused(started(*start, env=without | {"PLAYGROUND_MCP": "1"}))
    assert "PLAYGROUND_MCP must be 1 or 0, not 'maybe'." in refused(started(*start, env={"PLAYGROUND_MCP": "maybe"}))


def test_help_has_examples_and_the_environment() -> None:
    for arguments in (["--help"], ["serve", "--help"], ["grid", "--help"], ["verify", "--help"]):
        done = started("-m", "playground", *arguments)
        assert done.returncode == 0 and "PLAYGROUND_MODEL" in done.stdout and "examples/recipes/" in done.stdout
        assert "exit codes: 0" in done.stdout and "PORT" in done.stdout


def test_without_a_command_it_is_the_page() -> None:
    assert "no model named 'nowhere'" in refused(started("-m", "playground", "--model", "nowhere"))
    assert "no model named 'nowhere'" in refused(started("-m", "playground", env={"PLAYGROUND_MODEL": "nowhere"}))


def test_an_unknown_command_is_asked_wrongly() -> None:
    for arguments in (["draw"], ["grid"], ["verify"]):
        done = started("-m", "playground", *arguments)
        assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    from playground.command.line import main

    (tmp_path / "bad.json").write_text('{"seed": -1}')
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "file").write_text("")
    good = str(ROOT / "examples" / "recipes" / "seed.json")
    for arguments in (
        ["grid", str(tmp_path / "none.json"), "-o", str(tmp_path / "out")],
        ["grid", str(tmp_path / "bad.json"), "-o", str(tmp_path / "out")],
        ["grid", good, "-o", str(tmp_path / "file" / "out")],
        ["verify", str(tmp_path / "text.png")],
        ["verify", str(tmp_path / "none.png")],
    ):
        assert main(arguments) == 2, arguments


def test_starting_leaves_out_what_takes_long_and_changes_nothing() -> None:
    """Type stubs, which Gradio writes at every other import; models' files, which transformers reads twice; the quoted
    lines of source in which torch registers its operators; modules that are used after the start, if at all."""
    program = """
import inspect, sys
opened, told = [], (inspect.getfile, inspect.getframeinfo)
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from playground.command import light
light.import_gradio()
import gradio
assert gradio.Textbox("words").value == "words" and not [name for name in opened if ".pyi" in name]
assert told == (inspect.getfile, inspect.getframeinfo)
light.import_transformers()
assert sum(name.endswith("models/clip/modeling_clip.py") for name in opened) == 1
from transformers import CLIPTextConfig
assert CLIPTextConfig().hidden_size == 512
with light.without_lines_of_source():
    here, line = inspect.getframeinfo(inspect.currentframe()), inspect.currentframe().f_lineno
assert (here.filename, here.lineno, here.code_context) == ("<string>", line, None)
assert inspect.getframeinfo is told[1]  # torch itself looks after inspect.getfile
light.import_scipy_later()
import scipy.stats
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
assert not [name for name in sys.modules if name.startswith(("scipy.ndimage.", "scipy.optimize.", "scipy.stats."))]
assert ndimage.label([1, 0, 1])[1] == 2 and list(linear_sum_assignment([[2, 1], [1, 2]])[1]) == [1, 0]
light.import_the_rest()
assert "scipy.stats._stats_py" in sys.modules and sys.modules["scipy.stats"] is scipy.stats
print("all of it")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "all of it", done.stderr


def test_a_served_page_answers_and_names_its_address_in_the_network(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    from urllib.request import urlopen

    from playground.classroom.address import address_from_outside

    served = subprocess.Popen(
        [sys.executable, "-u", "-X", "importtime", "app.py", "--host", "0.0.0.0", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PLAYGROUND_CELLS": str(tmp_path / "cells"), "GRADIO_TEMP_DIR": str(tmp_path / "gradio")},
    )
    try:
        said = []
        for line in served.stdout:
            said.append(line)
            if line.startswith("* From another machine") or line.startswith("* This machine is in no network"):
                break
        address = address_from_outside()
        ready = next(i for i, line in enumerate(said) if line.startswith("* Running on"))
        modules = [line.split("|")[-1].strip() for line in said[:ready] if line.startswith("import time:")]
        assert "gradio" in modules
        scipy = ("scipy.integrate.", "scipy.ndimage.", "scipy.optimize.", "scipy.stats.")
        late = ("mcp.", "peft.", *scipy, "openvino")  # not needed, or not yet
        assert not [name for name in modules if name.startswith(late)]
        assert (f"http://{address}:{port}" if address else "in no network") in said[-1], said
        with urlopen(f"http://{address or '127.0.0.1'}:{port}/", timeout=60) as page:
            assert page.status == 200
    finally:
        served.terminate()
        served.wait(60)


def test_a_page_with_tools_says_their_address(tmp_path: Path) -> None:
    from urllib.request import urlopen

    served = subprocess.Popen(
        [sys.executable, "-u", "app.py"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ
        | {
            "PLAYGROUND_MCP": "1",
            "PLAYGROUND_CELLS": str(tmp_path / "cells"),
            "GRADIO_TEMP_DIR": str(tmp_path / "gradio"),
        },
    )
    try:
        address = next(line.split()[-1] for line in served.stdout if line.endswith("/gradio_api/mcp/\n"))
        with urlopen(f"{address}schema", timeout=60) as tools:
            assert b"render_grid" in tools.read()
    finally:
        served.terminate()
        served.wait(60)
