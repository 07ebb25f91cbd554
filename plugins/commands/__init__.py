"""The commands around the custom ops, a file each, and their table."""

from spit_edge.base.command_line import Command

COMMANDS = (
    Command(
        "contracts",
        "show the ops' inputs, outputs and attributes",
        "spit_edge.plugins.commands.contracts",
    ),
    Command(
        "kernels",
        "compile the CUDA kernels and show registers, memory and launches (needs no GPU)",
        "spit_edge.plugins.commands.kernels",
    ),
    Command(
        "build",
        "compile the TensorRT plugin library (needs no GPU); prints its path",
        "spit_edge.plugins.commands.build",
    ),
    Command("info", "show what a plugin library was built for", "spit_edge.plugins.commands.info"),
    Command(
        "trust",
        "allow a plugin library that was built elsewhere to run on this machine",
        "spit_edge.plugins.commands.trust",
    ),
)
