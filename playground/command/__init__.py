"""The command line: `python -m playground grid`, `verify`, `lessons`, `serve`, `class`."""
