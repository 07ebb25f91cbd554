"""The GPU: its facts, CUDA's runtime, arrays in its memory, and the ops on them."""
