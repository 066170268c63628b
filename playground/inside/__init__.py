"""What happens inside: the tensors of this very model, taken out while it works."""
