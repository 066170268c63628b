"""Models that draw at a provider's, as further values of the model axis; nothing is sent before somebody runs one."""
