"""Threads for arithmetic: as many as there are cores, and only one team of them at a time.

GNU's OpenMP, which torch's Linux builds bring, keeps a team of threads for every Python thread that ever computed, and
lets them spin between two pieces of work only while all teams together have no more threads than there are cores.
With one idle team too many, each of the hundreds of pieces of a U-Net call puts threads to sleep and wakes them again.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch

PAUSE_SOFT = 1  # omp_pause_soft, OpenMP 5.0


def usable_cores(limits: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: a container sees all of its host's, and threads on more only wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limits.read_text().split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def use_the_cores_present() -> None:
    """Never more threads than cores; torch's own smaller choice (physical cores, OMP_NUM_THREADS) stays."""
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))


def dismiss_team() -> None:
    """End the calling thread's own team; the next piece of work that it computes itself makes a new one.

    For threads that hand over to the engine's, and for the engine's when it has nothing to do. Does nothing where torch
    uses another OpenMP.
    """
    if (pause := _pause()) is not None:
        pause(PAUSE_SOFT)


@cache
def _pause():  # noqa: ANN202  (a C function)
    """`omp_pause_resource_all` of the library that torch has loaded, or None."""
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*"):
        try:
            return ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW).omp_pause_resource_all
        except (OSError, AttributeError):  # not the one in use, or older than OpenMP 5.0
            continue
    return None
