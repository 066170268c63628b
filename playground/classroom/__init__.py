"""A class: what a teacher shows to everybody, what the visitors answer, and what is kept of it."""
