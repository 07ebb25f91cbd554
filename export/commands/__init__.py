"""The commands that make, judge and deploy bundles, a file each, and their table."""

from spit_edge.base.command_line import Command

COMMANDS = (
    Command(
        "build",
        "export a model and check it; prints the bundle's folder",
        "spit_edge.export.commands.build",
        extra="export",
    ),
    Command(
        "validate",
        "compare a bundle with the reference",
        "spit_edge.export.commands.validate",
        extra="export",
    ),
    Command(
        "bisect",
        "find the matrix products that must stay in fp32 for a bundle to pass",
        "spit_edge.export.commands.bisect",
        extra="export",
    ),
    Command(
        "inspect",
        "verify a bundle and say what is in it",
        "spit_edge.export.commands.inspect",
    ),
    Command(
        "list",
        "list the models, their sizes and official weights",
        "spit_edge.export.commands.models",
    ),
    Command(
        "deploy",
        "install a bundle on a device over ssh and check it there",
        "spit_edge.export.commands.deploy",
        extra="export",
    ),
    Command(
        "fleet",
        "deploy to many devices at once",
        "spit_edge.export.commands.fleet",
        extra="export",
    ),
    Command(
        "pack",
        "write what deploy would send to a tar file",
        "spit_edge.export.commands.pack",
    ),
)
