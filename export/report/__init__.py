"""The parity report: what a bundle computes beside what the reference does, as one HTML file."""
