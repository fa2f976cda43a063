"""Examples that run: `make demo` runs `examples.flights`."""
