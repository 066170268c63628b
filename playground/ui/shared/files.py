"""Finished pictures as files that the browser fetches once; what is downloaded is what is shown."""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

from gradio.utils import get_upload_folder

MOST = 2 * 2**30  # bytes; the least recently shown go first, and come back from the store when asked for again


class PictureFiles:
    """Pictures' bytes in Gradio's own cache folder, under a name made from their content; bounded."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._shown: OrderedDict[Path, int] = OrderedDict()  # path -> bytes
        self._bytes = 0

    def path(self, data: bytes, name: str = "picture.png") -> str:
        """Write the file unless it is there, and forget the oldest ones."""
        path = Path(get_upload_folder()).resolve() / hashlib.sha256(data).hexdigest() / Path(name).name
        with self._lock:
            if not path.exists():
                _write(path, data)
            self._bytes += len(data) - self._shown.pop(path, 0)
            self._shown[path] = len(data)
            while self._bytes > self._most and len(self._shown) > 1:
                oldest, size = self._shown.popitem(last=False)
                self._bytes -= size
                oldest.unlink(missing_ok=True)
                if not any(oldest.parent.glob("*")):
                    oldest.parent.rmdir()
        return str(path)

    def url(self, data: bytes, name: str = "picture.png") -> str:
        """Relative to the page, so that it also works behind a proxy's sub-path."""
        return f"gradio_api/file={self.path(data, name)}"


def _write(path: Path, data: bytes) -> None:
    """Under another name first, because somebody may ask for the file meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


FILES = PictureFiles()
