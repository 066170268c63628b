"""The page. One file per tab, each with one `build`; no maths and no torch."""

from playground.ui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
