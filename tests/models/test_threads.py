"""Threads for arithmetic: no more than there are cores, and no idle team beside the engine's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from playground.models.running import threads

# In a process of its own, where no other test's threads come and go.
ENGINE_ALONE = """
import os, time, torch
from playground import Recipe, open_engine
from playground.engine import local as module
from playground.models.running.threads import dismiss_team

def tasks():
    return len(os.listdir("/proc/self/task"))

def compute():
    torch.randn(512, 512) @ torch.randn(512, 512)

torch.set_num_threads(2)
engine = open_engine("pocket", torch.device("cpu"), torch.float32, "torch")
module.dismiss_team = lambda: None
dismiss_team()
engine.render(Recipe(num_inference_steps=1))
with_team = tasks()
module.dismiss_team = dismiss_team
engine.render(Recipe(num_inference_steps=1, seed=1))
for _ in range(100):  # the engine's team ends a moment after its last picture is read
    if (quiet := tasks()) < with_team:
        break
    time.sleep(0.1)
compute()
own = tasks()
engine.render(Recipe(num_inference_steps=1, seed=2))
for _ in range(100):
    if (after_run := tasks()) == quiet:
        break
    time.sleep(0.1)
compute()
engine.words("cat")
dismiss_team()
print(with_team - quiet, own - quiet, after_run - quiet, tasks() - quiet)
"""


@pytest.mark.parametrize(("limit", "cores"), [("100000 100000", 1), ("150000 100000", 2), ("50000 100000", 1)])
def test_a_containers_quota_limits_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text(limit)
    assert threads.usable_cores(tmp_path / "cpu.max") == cores
    (tmp_path / "cpu.max").write_text("max 100000")
    assert threads.usable_cores(tmp_path / "cpu.max") == 64
    assert threads.usable_cores(tmp_path / "absent") == 64


@pytest.mark.skipif(threads._pause() is None, reason="torch uses another OpenMP here")
def test_an_idle_engine_and_whoever_hands_over_to_it_keep_no_team() -> None:
    done = subprocess.run([sys.executable, "-c", ENGINE_ALONE], capture_output=True, text=True, env=os.environ)
    assert done.stdout.split() == ["1", "1", "0", "0"], done.stderr


def test_dismissing_twice_or_without_a_team_does_nothing() -> None:
    expected = torch.ones(300, 300) @ torch.ones(300, 300)
    for _ in range(2):
        threads.dismiss_team()
    assert torch.equal(torch.ones(300, 300) @ torch.ones(300, 300), expected)


IDLE_THEN_LEAVING = """
import socket, sys, threading, time

def refused(*_):
    raise OSError("nobody is called from here")

socket.socket.connect = refused
from playground import Recipe, open_engine
from playground.engine import Step

engine = open_engine("pocket")
engine.warm_up()
list(engine.run([Recipe(num_inference_steps=4, seed=s) for s in range(3)]))
time.sleep(1)
before = time.process_time()
time.sleep(2)
print(engine.runtime, "openvino_telemetry.main" in sys.modules, round(time.process_time() - before, 2))

computes = threading.Event()

def compute():
    for event in engine.run([Recipe(num_inference_steps=400, seed=seed) for seed in range(2)]):
        if isinstance(event, Step):
            computes.set()

threading.Thread(target=compute, daemon=True).start()
print(computes.wait(60))
"""


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    """One process for both tests, because it has to load torch and the model."""
    return subprocess.run([sys.executable, "-c", IDLE_THEN_LEAVING], capture_output=True, text=True, timeout=300)


def test_idle_threads_do_not_spin_and_nobody_is_told_of_it(ended: subprocess.CompletedProcess[str]) -> None:
    """Processor time, not time: one spinning thread would take all of two seconds."""
    assert len(said := ended.stdout.split()) == 4, ended.stderr[-2000:]
    runtime, telemetry, spent, _ = said
    assert (runtime, telemetry) == ("OpenVINO", "False") and float(spent) < 1.0


def test_a_process_can_end_while_the_engine_computes(ended: subprocess.CompletedProcess[str]) -> None:
    assert ended.stdout.split()[-1:] == ["True"] and ended.returncode == 0, ended.stderr[-2000:]
