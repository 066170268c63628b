"""What a lesson's step can run, one kind a file; each kind says what it needs and what it measures."""
