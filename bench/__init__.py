"""How long, how large, against what."""
