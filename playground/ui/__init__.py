"""The page: what several tabs share, and a folder for each tab; no maths and no torch."""
