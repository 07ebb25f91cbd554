"""The custom ops of exported graphs: their contracts, and what executes them."""
