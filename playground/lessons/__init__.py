"""Guided lessons: text, questions and what to run, as data in Markdown files; and what reads and checks them."""
