"""The ops as native code for CPUs; :mod:`plugins.native.ops` is the way in."""
