"""The commands that run bundles, a file each, and their table."""

from spit_edge.base.command_line import Command

DOCTOR = Command(
    "doctor",
    "what engines need, what there is of it here, and what to do",
    "spit_edge.runtime.commands.doctor",
)
COMMANDS = (
    Command("run", "classify an image and draw its regions", "spit_edge.runtime.commands.run"),
    Command(
        "check",
        "run the bundle's own images and compare with the reference's answers",
        "spit_edge.runtime.commands.check",
    ),
    Command("engine", "build a TensorRT engine into a bundle", "spit_edge.runtime.commands.engine"),
    Command(
        "bench",
        "time a bundle here: latency, throughput, stages, memory, power",
        "spit_edge.runtime.commands.bench",
    ),
    Command(
        "serve-camera",
        "run the frames of a camera, a video or a folder, for hours",
        "spit_edge.runtime.commands.serve_camera",
    ),
    DOCTOR,
)
