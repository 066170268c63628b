"""Pictures -> numbers -> one table; one file a measure."""
