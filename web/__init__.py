"""Makes the page that bakes in a browser."""
