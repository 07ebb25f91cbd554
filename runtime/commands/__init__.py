"""The commands that run bundles, a file each, and their table."""

from spit_edge.base.command_line import Command

DOCTOR = Command(
    "doctor",
    "say what engines need, what is missing here, and what to do",
    "spit_edge.runtime.commands.doctor",
)
COMMANDS = (
    Command("run", "classify an image and draw its regions", "spit_edge.runtime.commands.run"),
    Command(
        "check",
        "run the bundle's own images and compare the results with the reference's",
        "spit_edge.runtime.commands.check",
    ),
    Command("engine", "build a TensorRT engine for a bundle", "spit_edge.runtime.commands.engine"),
    Command(
        "bench",
        "time a bundle here: latency, throughput, stages, memory, power",
        "spit_edge.runtime.commands.bench",
    ),
    Command(
        "serve-camera",
        "run the model on a camera, a video or a folder, for hours",
        "spit_edge.runtime.commands.serve_camera",
    ),
    DOCTOR,
)
