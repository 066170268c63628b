"""What a visitor can take away, one file per thing."""
