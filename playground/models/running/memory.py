"""How much memory is free: of the device, and of the host within the limit that a container sets."""

from pathlib import Path

import psutil
import torch

CGROUP = Path("/sys/fs/cgroup")


def free_of_host() -> int:
    """Bytes that this process may still take; a container sees all of its host's, but is ended beyond its own limit."""
    free = psutil.virtual_memory().available
    try:
        most, now = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        files = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(0, min(free, most - now + int(files["inactive_file"])))  # pages of files are given up when asked for
    except (OSError, ValueError, KeyError):  # no such file, or "max": no limit
        return free


def free_of_device(device: torch.device) -> int:
    """Bytes; of an Apple GPU, and of a CPU, those of the host."""
    if device.type != "cuda":
        return free_of_host()
    total = torch.cuda.get_device_properties(device).total_memory
    try:
        return min(torch.cuda.mem_get_info()[0], total)
    except RuntimeError:  # ZeroGPU lends its device later, whole
        return total
