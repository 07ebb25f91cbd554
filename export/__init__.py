"""From PyTorch to a bundle: ONNX export, validation, and the command line around them."""
