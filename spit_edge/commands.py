"""The table of ``spit-edge``: the commands of all packages."""

from spit_edge.base.command_line import Command, CommandGroup
from spit_edge.export.commands import COMMANDS as EXPORT
from spit_edge.plugins.commands import COMMANDS as PLUGINS
from spit_edge.runtime.commands import COMMANDS as RUNTIME

PROG = "spit-edge"
ABOUT = "SPiT, the superpixel vision transformer, from PyTorch to ONNX and NVIDIA's edge devices."
COMMANDS = (
    *EXPORT,
    *RUNTIME,
    CommandGroup("plugins", "the custom ops: contracts, kernels and plugin library", PLUGINS),
    Command(
        "completion",
        "print a script that lets a shell complete these commands",
        "spit_edge.completion",
    ),
)
