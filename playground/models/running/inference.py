"""A network of OpenVINO's, compiled for this CPU."""

import threading
from typing import Any

import numpy as np
import torch

from playground.models.running.conversion import openvino

SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}


class Inference:
    """In fp32, with as many threads as torch has; for one call at a time."""

    def __init__(self, found: Any) -> None:
        """`found`: an openvino.Model with one output."""
        settings = SETTINGS | {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._request = openvino().Core().compile_model(found, "CPU", settings).create_infer_request()
        self._one_at_a_time = threading.Lock()

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Contiguous arrays -> the output, of the caller's own. Raises RuntimeError for inputs that do not fit."""
        with self._one_at_a_time:
            return self._request.infer(list(inputs), share_inputs=True)[0].copy()
