"""Runners for NVIDIA GPUs.  CUDA and TensorRT are imported when one of them is opened."""
