"""Models of the hub, by the real client against a server on this machine; each start is a process of its own."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from playground import open_engine
from playground.models.registry import FAMILIES
from playground.refusal import Refusal
from playground.sources.given import Source
from playground.sources.parts import INDEX, PIPELINES, needed
from tests.models.sources.stand_in_hub import GATED, HIDDEN, Hub, serving
from tests.models.test_whole import aura_flow
from tests.models.tiny import build

ROOT = Path(__file__).parents[3]
EACH = """
import sys
from playground.refusal import Refusal
from playground.sources.given import source
for given in sys.argv[1:]:
    try:
        print(source(given).path)
    except Refusal as no:
        print(no)
"""
FIND = "import sys; from playground.sources.given import source; it = source(sys.argv[1]); print(it.name, it.path)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As repositories are: with more in them than is needed."""
    folder = build("sd15-tiny", tmp_path_factory.mktemp("models"))
    for extra in (
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.non_ema.safetensors",
        "text_encoder/pytorch_model.bin",
        "safety_checker/model.safetensors",
        "v1-5-pruned.ckpt",
        "pipeline.py",
    ):
        (folder / extra).parent.mkdir(exist_ok=True)
        (folder / extra).write_bytes(b"\x80" * 1_000_000)
    (folder / "README.md").write_text("---\nlicense: openrail\n---\n")
    return folder


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    with serving() as hub:
        hub.add("owner/tiny", folder, v2="b" * 40)
        hub.add(GATED, folder)
        yield hub


def started(hub: Hub, home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=os.environ | own | env, timeout=120
    )


def found(hub: Hub, home: Path, given: str, **env: str) -> tuple[Path, str]:
    """The folder that it is fetched to, and what was said about that."""
    done = started(hub, home, "-c", FIND, given, **env)
    assert done.returncode == 0, done.stderr
    *said, last = done.stdout.splitlines()
    name, _, path = last.partition(" ")
    assert name == "tiny"
    return Path(path), "\n".join(said)


def refused(hub: Hub, home: Path, given: str, **env: str) -> str:
    done = started(hub, home, "app.py", "--model", given, **env)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_what_a_picture_needs_is_fetched_and_its_bytes_are_said_before(hub: Hub, folder: Path, tmp_path: Path) -> None:
    path, said = found(hub, tmp_path, "owner/tiny")
    here = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file()}
    assert {name for name in here if not name.endswith((".json", ".txt"))} == {
        "README.md",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }
    assert all(p.read_bytes() == (folder / name).read_bytes() for name, p in here.items())
    size = sum(p.stat().st_size for p in here.values())
    assert (
        f"owner/tiny at aaaaaaa: {size / 1e3:.3g} kB to download" in said or f"{size / 1e6:.3g} MB to download" in said
    )

    hub.asked.clear()  # and afterwards it starts without a network, at the commit that it had
    hub.commits["owner/tiny"]["main"] = "c" * 40
    assert found(hub, tmp_path, "owner/tiny") == (path, "") and hub.asked == []
    assert found(hub, tmp_path, "owner/tiny", HF_HUB_OFFLINE="1") == (path, "")


def test_a_fetched_model_draws_under_the_name_of_its_repository(hub: Hub, folder: Path, tmp_path: Path) -> None:
    path, _ = found(hub, tmp_path, "owner/tiny")
    drawn = []
    for source in (Source("tiny", path), Source("tiny", folder)):
        engine = open_engine(source, torch.device("cpu"), torch.float32, "torch")
        assert (engine.facts.name, engine.facts.licence) == ("tiny", "openrail")
        drawn.append(engine.render(engine.facts.usual.replace(prompt="cat", num_inference_steps=2)).image.tobytes())
        engine.close()
    assert drawn[0] == drawn[1]


def test_a_revision_is_asked_for_at_every_start_and_its_pin_holds_while_the_hub_is_away(
    hub: Hub, tmp_path: Path
) -> None:
    first, _ = found(hub, tmp_path, "owner/tiny@v2")
    assert first.name == "b" * 40
    hub.commits["owner/tiny"]["v2"] = "d" * 40
    second, said = found(hub, tmp_path, "owner/tiny@v2")
    assert second.name == "d" * 40
    third, said = found(hub, tmp_path, "owner/tiny@v2", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert third == second and "The hub cannot be reached: owner/tiny@v2 as it was fetched before, ddddddd." in said


def test_a_cut_connection_is_taken_up_where_it_broke_off(hub: Hub, folder: Path, tmp_path: Path) -> None:
    """The hub's client keeps what it has in pieces of 10 MiB, so the file is larger than two."""
    large = tmp_path / "large"
    shutil.copytree(folder, large)
    whole = large / "unet" / "diffusion_pytorch_model.safetensors"
    whole.write_bytes(random.Random(0).randbytes(24 * 2**20))
    hub.add("else/tiny", large)
    hub.cut = "unet/diffusion_pytorch_model.safetensors"
    path, said = found(hub, tmp_path, "else/tiny")
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    assert f"else/tiny: {size / 1e6:.3g} MB of {size / 1e6:.3g} MB" in said and said.count("MB of") > 2
    assert (path / "unet" / whole.name).read_bytes() == whole.read_bytes()
    ranges = [asked for _, name, asked in hub.asked if name.endswith(whole.name) and "/unet/" in name and asked]
    assert ranges == [f"bytes={10 * 2**20}-"]


def test_a_download_is_given_up_when_it_is_stopped(hub: Hub, folder: Path, tmp_path: Path) -> None:
    """The hub's own client would fetch the rest before it ends."""
    large = shutil.copytree(folder, tmp_path / "large")
    whole = large / "unet" / "diffusion_pytorch_model.safetensors"
    whole.write_bytes(random.Random(0).randbytes(48 * 2**20))
    hub.add("else/tiny", large)
    hub.slow = 0.1
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "app.py", "--model", "else/tiny"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a shell without job control has what it runs in the background ignore Ctrl-C, and all that this starts
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | own, preexec_fn=heeds, **piped) as running:
        told = iter(running.stderr.readline, "")
        assert any(" MB of " in line for line in told)  # the first piece of the large file is here
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in said, said
    hub.slow, hub.asked[:] = 0.0, []
    path, _ = found(hub, tmp_path / "home", "else/tiny")
    assert (path / "unet" / whole.name).read_bytes() == whole.read_bytes()
    assert any(name.endswith(f"unet/{whole.name}") for name in hub.paths("GET"))  # of which the rest was not fetched


def test_gated_unknown_and_offline_each_have_their_sentence(hub: Hub, tmp_path: Path) -> None:
    assert "owner/gated is gated: accept its terms" in refused(hub, tmp_path, GATED)
    assert "There is no folder owner/hidden here and no such model at the hub" in refused(hub, tmp_path, HIDDEN)
    assert "owner/tiny has no revision 'v9'." in refused(hub, tmp_path, "owner/tiny@v9")
    away = refused(hub, tmp_path, "owner/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    assert "The hub cannot be reached, and owner/tiny is not whole on this machine: ConnectError." in away
    off = refused(hub, tmp_path, "owner/tiny", HF_HUB_OFFLINE="1")
    assert "The hub cannot be reached, and owner/tiny is not whole on this machine: HF_HUB_OFFLINE is set." in off


def test_a_broken_model_of_the_hub_is_called_by_its_id(hub: Hub, folder: Path, tmp_path: Path) -> None:
    """And not by the commit, which names its folder in the client's cache."""
    broken = {
        "unet/config.json": (b"[]", "The model in else/tiny cannot be loaded: its unet/config.json holds no settings."),
        "unet/diffusion_pytorch_model.safetensors": (b"x" * 99, "The model in else/tiny cannot be loaded: "),
        "tokenizer/tokenizer_config.json": (b"{}", "else/tiny is no whole model: its tokenizer does not say"),
    }
    for number, (file, (data, says)) in enumerate(broken.items()):
        copy = shutil.copytree(folder, tmp_path / str(number))
        (copy / file).write_bytes(data)
        hub.add("else/tiny", copy)
        said = refused(hub, tmp_path / f"home{number}", "else/tiny")
        assert says in said and "aaaa" not in said


def test_a_model_that_is_not_run_here_is_said_before_anything_large_is_fetched(hub: Hub, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "unet").mkdir(parents=True)
    (other / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"0" * 1000)
    hub.add("owner/other", other)
    assert "owner/other is no model in diffusers layout: it has no model_index.json." in refused(
        hub, tmp_path, "owner/other"
    )
    (other / "model_index.json").write_text('{"_class_name": ["own_pipeline", "OwnPipeline"]}')
    assert "owner/other needs code of its own, which is not run here." in refused(hub, tmp_path, "owner/other")
    listed = {"unet": ["diffusers", "UNet2DConditionModel"], "scheduler": ["diffusers", "IPNDMScheduler"]}
    unknown = shutil.copytree(other, tmp_path / "unknown")
    (unknown / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"} | listed))
    hub.add("owner/unknown", unknown)
    assert "its scheduler, IPNDMScheduler, is none of the samplers" in refused(hub, tmp_path, "owner/unknown")
    assert not [path for path in hub.paths("GET") if path.endswith(".safetensors")]


def test_a_pipeline_that_no_family_runs_is_fetched_as_safely_and_draws(hub: Hub, tmp_path: Path) -> None:
    made = aura_flow(tmp_path / "aura")
    engine = open_engine(made, torch.device("cpu"), torch.float32)
    expected = engine.render(engine.facts.usual.replace(prompt="cat", num_inference_steps=2, width=64, height=64))
    for extra in ("transformer/diffusion_pytorch_model.bin", "transformer/network.py", "pipeline.py"):
        (made / extra).write_bytes(b"\x80" * 1000)
    hub.add("else/tiny", made)
    film = shutil.copytree(made, tmp_path / "film")
    (film / "model_index.json").write_text((made / "model_index.json").read_text().replace("AuraFlow", "LTX", 1))
    hub.add("else/film", film)
    done = started(hub, tmp_path / "home", "-c", EACH, "else/film", "else/tiny")
    assert done.returncode == 0, done.stderr
    no, *said, last = done.stdout.splitlines()
    assert no == "else/film is a LTXPipeline, which cannot be run here: its pipeline draws films."
    assert [p for p in hub.paths("GET") if p.startswith("/else/film")] == [f"/else/film/resolve/{'a' * 40}/{INDEX}"]
    assert said[0].startswith("else/tiny at aaaaaaa: ") and " to download" in said[0]
    path = Path(last)
    fetched = {p.name for p in path.rglob("*") if p.is_file()}
    assert "diffusion_pytorch_model.safetensors" in fetched and not {n for n in fetched if n.endswith((".bin", ".py"))}
    again = open_engine(Source("aura", path), torch.device("cpu"), torch.float32)
    assert again.facts.whole and again.render(expected.recipe).image.tobytes() == expected.image.tobytes()
    engine.close()
    again.close()


@pytest.mark.parametrize(
    ("files", "index", "says"),
    [
        (["unet/diffusion_pytorch_model.fp16.safetensors"], {}, "only as diffusion_pytorch_model.fp16.safetensors"),
        (["unet/diffusion_pytorch_model.bin"], {}, "only pickled"),
        (["unet/my_unet.py"], {"unet": ["my_unet", "MyUNet"]}, "needs code of its own for its unet"),
    ],
)
def test_weights_that_are_not_read_are_a_sentence(files: list[str], index: dict[str, list[str]], says: str) -> None:
    parts = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]} | index
    with pytest.raises(Refusal, match=says):
        needed(parts, ["model_index.json", *files], "owner/name")


def test_sharded_weights_are_fetched_whole() -> None:
    shards = [f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    table = "unet/diffusion_pytorch_model.safetensors.index.json"
    others = ["unet/diffusion_pytorch_model-00001-of-00002.fp16.safetensors", "unet/model.fp16.safetensors.index.json"]
    found = needed({"unet": ["diffusers", "UNet2DConditionModel"]}, [*shards, table, *others], "owner/name")
    assert sorted(found) == sorted([*shards, table])


def test_what_may_be_fetched_is_what_can_be_run() -> None:
    assert set(PIPELINES) == set(FAMILIES)
