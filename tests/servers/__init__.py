"""Real boot servers, in the tests' LAN: `make servers` runs them all, and `make test` some."""
