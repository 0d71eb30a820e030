"""Real boot servers, in the tests' LAN: `make integration` runs them all, and `make test` some."""
