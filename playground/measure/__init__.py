"""Pictures -> numbers -> one table."""
