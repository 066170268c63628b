"""What keeps the start short: parts of Gradio that a page does not need."""

import inspect
import sys
from typing import NoReturn

NO_STUBS = "Type stubs are not written at every start."


def leave_mcp_out() -> None:
    """Gradio imports the package wherever it is installed, which takes 0.2 s; from now on this process finds none."""
    if "mcp" not in sys.modules:
        sys.modules["mcp"] = None  # type: ignore[assignment]  # how Python is told that there is no such module


def import_gradio() -> None:
    """Gradio, without the type stubs that it writes for editors beside each of its components whenever it is imported:
    parsing their sources takes more than half as long as all the rest of it, and the file is the same every time.

    It writes none for a class whose file Python cannot tell, and asks that of `inspect`; nobody else is running yet.
    """
    if "gradio" in sys.modules:
        return
    told = inspect.getfile
    inspect.getfile = _untold
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = told


def _untold(_thing: object) -> NoReturn:
    raise OSError(NO_STUBS)
