"""What is made ready for OpenVINO beside everything else, while torch answers in its place."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Preparation:
    """`work` in a thread of its own, begun at once. Where it raises, or `refuse` is called later, that is said in the
    log, once, and torch answers for good."""

    def __init__(self, says: str, work: Callable[[], None]) -> None:
        """`says`: subject and verb of the line in the log, such as "The network runs"."""
        self.refused = False
        self._says, self._work = says, work
        # not a daemon, because a thread that is inside torch when Python ends would abort the process
        self._thread = threading.Thread(target=self._prepare, name=says)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Until it is done or refused, or `seconds` have passed."""
        self._thread.join(seconds)

    def refuse(self, reason: object) -> None:
        if not self.refused:
            log.warning("%s by torch instead of OpenVINO: %s", self._says, " ".join(str(reason).split())[:300])
        self.refused = True

    def _prepare(self) -> None:
        try:
            self._work()
        except Exception as error:  # whatever it is, torch answers
            self.refuse(error)
