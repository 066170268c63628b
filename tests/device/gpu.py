"""A GPU that is not there: tensors that say they lie on it, computed by the CPU, and a count of every wait for it.

What a real GPU refuses is refused: a tensor of the host among its own, its numbers read without a copy, float64 on
Apple's. What makes the host wait for a real one is counted: reading a number, copying to the host, copying pageable
memory to the GPU (https://docs.nvidia.com/cuda/cuda-driver-api/api-sync-behavior.html), waiting on purpose.
Speed and rounding are the CPU's: what a GPU makes of them is not seen here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

READS = {"item", "tolist", "__float__", "__int__", "__bool__", "__index__", "nonzero", "equal", "allclose"}
MADE_ON_THE_GPU = {"zeros", "ones", "full", "empty", "arange", "linspace"}
MAY_MIX = {"copy_", "__setitem__", "type_as", "to"}


class OnGPU(Tensor):
    """A tensor of the GPU; only a `GPU` makes them."""

    gpu: GPU

    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Tensor:
        """What accelerate makes in the place of a parameter, with the class that the old one had."""
        return torch.nn.Parameter(data, requires_grad)

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            gpu = next(x.gpu for x in tree_flatten([args, kwargs or {}])[0] if isinstance(x, OnGPU))
            return gpu.compute(func, args, kwargs or {})


class GPU(TorchFunctionMode):
    """`with GPU(torch.device("cuda", 0)) as gpu`: whatever this thread sends there lies there."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.waits: list[str] = []  # what made the host wait
        self.largest = 0  # bytes of the largest result so far
        self.memory = 2**62  # bytes that one result may have

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if any(issubclass(t, OnGPU) for t in types):
            with torch._C.DisableTorchFunctionSubclass():
                return self.compute(func, args, kwargs)
        name = getattr(func, "__name__", "")
        bare, settings, target = self._without_device(name, args, kwargs)
        if target is None or target.type != self.device.type:
            return func(*args, **kwargs)
        if name not in MADE_ON_THE_GPU:
            self.waits.append(f"{name} onto the GPU")
        return self.wrapped(func(*bare, **settings))

    def compute(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """One function with tensors of the GPU among its arguments."""
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(getattr(func.__self__, "__name__", ""), func, args)
        if name in ("numpy", "__array__"):
            raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")
        if name == "_has_compatible_shallow_copy_type":
            return False  # so modules take new parameters instead of putting new data into old ones
        args, kwargs, target = self._without_device(name, args, kwargs)
        if name not in MAY_MIX:
            strangers = [x for x in tree_flatten([args, kwargs])[0] if isinstance(x, Tensor) and x.dim()]
            if not all(isinstance(x, OnGPU) or x.device.type == "meta" for x in strangers):
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but {name} got {self.device} and cpu"
                )
        found = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        leaves = name == "cpu" or (target is not None and target.type == "cpu")
        if leaves or name in READS or _masked(name, args):
            self.waits.append(name)
        if target is not None and target.type == "meta":
            return found.to("meta")
        if leaves:
            return found.clone() if any(found is _plain(x) for x in args) else found
        if name == "copy_" and not isinstance(args[0], OnGPU):
            self.waits.append(name)
            return args[0]
        return self.wrapped(found)

    def wrapped(self, found: Any) -> Any:
        """The tensors of a result, laid onto the GPU."""
        return tree_map(lambda x: self._lay(x) if isinstance(x, Tensor) else x, found)

    def _lay(self, x: Tensor) -> Tensor:
        if x.device.type == "meta":
            return x
        if self.device.type == "mps" and x.dtype is torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        size = x.numel() * x.element_size()
        if size > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.largest = max(self.largest, size)
        laid = x.as_subclass(OnGPU)
        laid.gpu = self
        return laid

    def _attribute(self, attribute: str, func: Callable, args: tuple) -> Any:
        if attribute == "device":
            return self.device
        if attribute in ("is_cuda", "is_mps", "is_cpu"):
            return attribute == f"is_{self.device.type}"
        return self.wrapped(func(*tree_map(_plain, args)))

    def _without_device(self, name: str, args: tuple, kwargs: dict) -> tuple[tuple, dict, torch.device | None]:
        """Arguments that the CPU understands, and the device that they named."""
        kwargs = dict(kwargs)
        named = kwargs.pop("device", None)
        target = torch.device(named) if named is not None else None
        if name == "to":
            dtypes = [x for x in args[1:] if isinstance(x, torch.dtype)]
            for x in args[1:]:
                if isinstance(x, Tensor):
                    target, dtypes = x.device, [x.dtype]
                elif isinstance(x, (str, torch.device)):
                    target = torch.device(x)
            args = (args[0], *dtypes) if dtypes or kwargs else (args[0], args[0].dtype)
        return args, kwargs, target


def _plain(x: Any) -> Any:
    return x.as_subclass(Tensor) if isinstance(x, OnGPU) else x


def _masked(name: str, args: tuple) -> bool:
    """x[mask], whose size only the GPU knows"""
    return name == "__getitem__" and any(
        isinstance(x, Tensor) and x.dtype is torch.bool for x in tree_flatten(args[1:])[0]
    )
