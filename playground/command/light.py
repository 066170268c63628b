"""What keeps the start short: parts of the libraries that a page does not need, or not before it is served.

Nobody else is running yet while this looks after what is imported.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, NoReturn

NO_STUBS = "Type stubs are not written at every start."
INIT = "__init__.py"


def leave_out(package: str) -> None:
    """Libraries import some packages wherever these are installed; from now on this process finds none of that name."""
    if package not in sys.modules:
        sys.modules[package] = None  # type: ignore[assignment]  # how Python is told that there is no such module


def import_gradio() -> None:
    """Gradio, without the type stubs that it writes for editors beside each of its components whenever it is imported:
    parsing their sources takes more than half as long as all the rest of it, and the file is the same every time.

    It writes none for a class whose file Python cannot tell, and asks that of `inspect`.
    """
    if "gradio" in sys.modules:
        return
    told = inspect.getfile
    inspect.getfile = _untold
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = told


def import_transformers() -> None:
    """transformers reads in its 1,700 files of models which names these offer, and does all of it again a moment later,
    because it remembers 128 folders of 560. The second time it is given what it found in all of them together."""
    from transformers.utils import import_utils

    read = getattr(import_utils, "create_import_structure_from_path", None)
    if read is None or "transformers.models" in sys.modules:
        return
    models = Path(import_utils.__file__).parents[1] / "models"
    import_utils.create_import_structure_from_path = lambda path: read(models if Path(path) == models / INIT else path)
    try:
        import transformers.models  # noqa: F401
    finally:
        import_utils.create_import_structure_from_path = read


def _untold(_thing: object) -> NoReturn:
    raise OSError(NO_STUBS)


@contextmanager
def without_lines_of_source() -> Iterator[None]:
    """torch notes in which file and line each of its operators is registered. It asks that of `inspect`, which also
    reads and searches the file to quote the line, unless it is told that nobody wants a quotation."""
    told = inspect.getframeinfo

    def place(frame: FrameType | TracebackType, context: int = 1) -> inspect.Traceback:
        return told(frame, 0)

    inspect.getframeinfo = place
    try:
        yield
    finally:
        inspect.getframeinfo = told


class _Later(ModuleType):
    """Stands for a module, which is imported when anything is asked of it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_now(self), name)


def _now(stand_in: ModuleType) -> ModuleType:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
    return import_module(stand_in.__name__)


def import_scipy_later() -> None:
    """diffusers and transformers import much of scipy, and a page begins without any of it."""
    _import_later("scipy.integrate")  # for a sampler that is none of those here
    _import_later("scipy.ndimage")  # for edges, and for counts of things
    _import_later("scipy.optimize", "linear_sum_assignment")  # for teaching detectors
    _import_later("scipy.stats")  # for one kind of schedule


def _import_later(name: str, *functions: str) -> None:
    """`import NAME` brings a stand-in from now on, and so does `from NAME import FUNCTION`. The package that the module
    is in must look its modules up when they are asked for, as scipy does."""
    if name in sys.modules or (found := find_spec(name)) is None:
        return
    stand_in = sys.modules[name] = _Later(name)
    stand_in.__file__ = found.origin  # which `inspect` asks of all modules
    if functions:
        stand_in.__path__ = found.submodule_search_locations  # which `from NAME import` asks for first
    for function in functions:
        setattr(stand_in, function, partial(_called, stand_in, function))


def _called(stand_in: ModuleType, function: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(_now(stand_in), function)(*args, **kwargs)


def import_the_rest() -> None:
    """What is still left for later, so that no visitor waits for it."""
    for module in list(sys.modules.values()):
        if type(module) is _Later:
            _now(module)
