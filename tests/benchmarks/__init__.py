"""Ratios of two things measured in one run; nothing here asserts a time."""
