"""The ops as native code for CPUs; :mod:`spit_edge.plugins.native.ops` is the way in."""
