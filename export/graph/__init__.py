"""The ONNX graphs: tokenizer and trunk."""
