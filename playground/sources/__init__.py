"""Where a model may come from, as far as it can be said before anything heavy is imported: a file's header, the hub."""
