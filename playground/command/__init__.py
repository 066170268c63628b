"""The command line: `python -m playground grid`, `verify`, `serve`."""
