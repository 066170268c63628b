"""Which samplers the pipelines of flow models take, by what their schedule says."""

from typing import Any

from playground.samplers import SAMPLERS

FLOW_SAMPLERS = tuple(key for key, sampler in SAMPLERS.items() if sampler.flow_class)


def samplers(schedule: dict[str, Any]) -> tuple[str, ...]:
    """Heun's flow form knows neither a shift that depends on the size nor given σ, DPM++ no given σ; and where the
    shift is fixed, pipelines that give σ still hand DPM++ one that depends on the size."""
    dynamic, even = (bool(schedule.get(name)) for name in ("use_dynamic_shifting", "_even"))
    left_out = {"heun"} if dynamic or even else set()
    left_out |= {"dpmpp_2m"} if schedule.get("_even_unipc") or (even and not dynamic) else set()
    return tuple(key for key in FLOW_SAMPLERS if key not in left_out)
