"""Makes the release files, and a bill of materials that proves what is inside them."""
