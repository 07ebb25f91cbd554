"""SPiT, the superpixel vision transformer, from PyTorch to ONNX and NVIDIA's edge devices."""
