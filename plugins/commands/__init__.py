"""The commands around the custom ops, a file each, and their table."""

from spit_edge.base.command_line import Command

COMMANDS = (
    Command(
        "contracts",
        "inputs, outputs and attributes of the ops",
        "spit_edge.plugins.commands.contracts",
    ),
    Command(
        "kernels",
        "compile the CUDA kernels; registers, memory and launches (needs no GPU)",
        "spit_edge.plugins.commands.kernels",
    ),
    Command(
        "build",
        "compile the TensorRT plugin library (needs no GPU); prints its path",
        "spit_edge.plugins.commands.build",
    ),
    Command(
        "info", "what a plugin library is and what it is for", "spit_edge.plugins.commands.info"
    ),
    Command(
        "trust",
        "let this machine run a library that lies in a bundle and was built elsewhere",
        "spit_edge.plugins.commands.trust",
    ),
)
