"""TensorRT engines: built from a bundle's graphs on the machine that runs them, kept in the bundle.

One code path serves TensorRT 10.0 to 11 and TensorRT-RTX.  ``build`` makes an engine, ``store``
keeps and finds it, ``record`` says what it was built for.
"""
