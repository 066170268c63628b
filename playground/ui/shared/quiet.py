"""How the page's own events are wired: no endpoint for programs, and nothing drawn over what they change."""

from typing import Any

# Gradio's part in the browser tells every component that shows progress of each message of each event, and copies all
# that it holds for that. So none shows it: `show_progress` hides it only, and takes the same time.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": ()}
