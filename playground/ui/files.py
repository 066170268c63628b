"""Finished pictures as files that the browser fetches once; what is downloaded is what is shown."""

import threading
from collections import OrderedDict
from pathlib import Path

from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

MOST = 4000  # files; the least recently shown go first, and come back from the store when asked for again


class PictureFiles:
    """Pictures' bytes in Gradio's own cache folder, under a name made from their content; bounded."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._shown: OrderedDict[str, None] = OrderedDict()

    def path(self, data: bytes, name: str = "picture.png") -> str:
        """Write the file unless it is there, and forget the oldest ones."""
        with self._lock:
            path = save_bytes_to_cache(data, name, get_upload_folder())
            self._shown[path] = None
            self._shown.move_to_end(path)
            while len(self._shown) > self._most:
                Path(self._shown.popitem(last=False)[0]).unlink(missing_ok=True)
        return path

    def url(self, data: bytes, name: str = "picture.png") -> str:
        """Relative to the page, so that it also works behind a proxy's sub-path."""
        return f"gradio_api/file={self.path(data, name)}"


FILES = PictureFiles()
