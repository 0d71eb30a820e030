"""Real boot servers, in the tests' LAN: `make servers` runs them, and `make test` does not."""
