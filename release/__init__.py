"""Makes what a stranger downloads, and the proof of what is inside."""
