"""Real boot servers on the test LAN. `make integration` runs all these tests, `make test` some."""
