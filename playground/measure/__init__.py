"""Pictures -> numbers, one measure a file; each takes uint8 RGB arrays (H, W, 3) or what NumPy makes one of."""
