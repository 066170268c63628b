"""How far the host runs ahead of an accelerator, which takes work now and does it later: one tick.

Further ahead, steps would be told before they happened, Stop would come too late and times would say nothing; not at
all, and the accelerator would idle while the host prepares the next tick.
"""

import torch


class Pace:
    """Of one loop on one device. On a CPU, whose work is done when a call returns, it does nothing."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: torch.cuda.Event | None = None  # the end of the tick before

    def keep(self) -> None:
        """The tick's work is handed over: wait until that of the tick before is done."""
        if self._device.type != "cuda":  # MPS has events too, but its queue is not worth the risk of a second way
            synchronize(self._device)
            return
        now = torch.cuda.Event()
        now.record()
        if self._before is not None:
            self._before.synchronize()
        self._before = now

    def catch_up(self) -> None:
        """Wait until everything handed over is done."""
        synchronize(self._device)
        self._before = None


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
