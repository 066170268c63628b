"""What happens inside: made from what a run hands over when it is asked to keep it, and from single questions."""
