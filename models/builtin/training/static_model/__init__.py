"""Makes the built-in static embedding model: one row of weights a word piece, learned from all-MiniLM-L6-v2."""
