"""Both command lines as a user meets them: output, exit codes, errors, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from spit_edge.__main__ import main as spit_edge_main
from spit_edge.base.command_line import guarded
from spit_edge.base.errors import OptionError
from spit_edge.base.ranges import image_size
from spit_edge.export.__main__ import main as export_main
from spit_edge.export.commands.build import batch_profile
from spit_edge.export.options import BuildOptions
from spit_edge.runtime import Session
from spit_edge.runtime.__main__ import main as runtime_main
from spit_edge.runtime.bundle.manifest import BatchProfile, PrecisionPlan
from spit_edge.spit_ref import load_model
from tests.conftest import GOLDENS

TINY = ["--model", "spit_tiny", "--weights", str(GOLDENS / "tiny_gradient.pth")]
SMALL = ["--image-size", "48x64"]
COMMANDS = (
    "build", "validate", "bisect", "inspect", "list", "deploy", "fleet", "pack",
    "run", "check", "engine", "bench", "serve-camera", "doctor", "completion",
)  # fmt: skip
PLUGIN_COMMANDS = ("contracts", "kernels", "build", "info")
HEAVY = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "openvino", "scipy")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Jobs in the background of a shell are started with Ctrl-C ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def bundle(make_bundle, tmp_path) -> Path:
    """A bundle of one's own to spoil."""
    return Path(shutil.copytree(make_bundle(height=48, width=64).path, tmp_path / "bundle"))


def test_build_prints_the_folder_alone_on_stdout(tmp_path, capsys) -> None:
    out = tmp_path / "mine"
    code = export_main(["build", *TINY, *SMALL, "--fp16", "--batch", "1:4:8", "--out", str(out)])
    printed = capsys.readouterr()
    assert code == 0 and printed.out.strip() == str(out)
    assert "tracing" in printed.err and "pass" in printed.err
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["precision"] == "fp16" and manifest["batch"] == {"min": 1, "opt": 4, "max": 8}
    assert manifest["weights"]["source"] == "file" and manifest["token_budget"] == 64
    assert sorted(p.name for p in (out / "check").iterdir()) == [
        "astronaut.png", "chelsea.png", "coffee.png", "expected.npz",
    ]  # fmt: skip


def test_random_weights_show_in_the_name(tmp_path, capsys) -> None:
    out = tmp_path / "mine"
    code = export_main(["build", "--model", "spit_tiny", *SMALL, "--out", str(out)])
    printed = capsys.readouterr()
    assert code == 0 and printed.out.strip() == f"{out}-random" and not out.exists()
    assert "RANDOM" in printed.err
    assert export_main(["validate", str(out)]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert export_main(["validate", f"{out}-random"]) == 0


def test_default_folders() -> None:
    assert BuildOptions("spit_b16", precision="fp16").folder(random_weights=False) == Path(
        "build/spit_b16-fp16"
    )
    wide = BuildOptions("rvit_s16", gradient=False, height=384, width=512, part="trunk")
    assert wide.folder(random_weights=True) == Path(
        "build/rvit_s16-plain-fp32-384x512-trunk-random"
    )


DIFFERENT: dict[str, Any] = {
    "classes": 10, "seed": 7, "max_tokens": 300, "outputs": ("attention", "tokens"),
    "tessellation": "pca_tree", "seed_input": True, "batch": BatchProfile(min=1, opt=4, max=8),
    "plan": PrecisionPlan(model="spit_b16", precision="fp16", fp32=["blocks.3.up"]),
    "weights": "models/my best.pth", "gradient": False, "precision": "bf16", "height": 256,
    "width": 256, "part": "trunk", "final_threshold": 0.5,
}  # fmt: skip


def test_different_builds_have_different_folders() -> None:
    plain = BuildOptions("spit_b16", precision="fp16")
    names = {plain.folder(random_weights=False)}
    for option, value in DIFFERENT.items():
        name = replace(plain, **{option: value}).folder(random_weights=False)
        assert name == replace(plain, **{option: value}).folder(random_weights=False)
        assert re.fullmatch(r"build/spit_b16-[A-Za-z0-9.+_-]{1,60}", str(name))
        names.add(name)
    assert len(names) == 1 + len(DIFFERENT)
    unnamed = {field.name for field in fields(BuildOptions)} - {*DIFFERENT, "model", "out"}
    assert not unnamed
    other = replace(plain, weights="my.pth")
    assert other.folder(random_weights=False, sha256="12" * 32) == Path(
        "build/spit_b16-fp16-my.121212"
    )
    assert replace(other, out=Path("mine")).folder(random_weights=False) == Path("mine")


def test_folders_that_are_asked_for(tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", "/home/me")

    def folder(out: str, random: bool = False) -> Path:
        return BuildOptions("spit_tiny", out=Path(out)).folder(random_weights=random)

    assert folder(".") == tmp_path / "here" and folder("..") == tmp_path
    assert folder(".", random=True) == tmp_path / "here-random"
    assert folder("~/x", random=True) == Path("/home/me/x-random")
    with pytest.raises(ValueError, match="cannot hold a bundle"):
        folder("/")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "resnet50"], "invalid choice"),
        ([*TINY, "--image-size", "4x"], "HxW"),
        ([*TINY, "--image-size", "0x4"], "height must be a whole number from 1"),
        ([*TINY, "--image-size", "9000x9000"], "2^26 pixels"),
        ([*TINY, "--seed", "-1"], "from 0 to 9223372036854775807"),
        ([*TINY, "--classes", "0"], "from 1 to 1048576"),
        ([*TINY, "--final-threshold", "9"], "must lie in [0, 8]"),
        ([*TINY, "--final-threshold", "x"], "must be a number"),
        ([*TINY, "--batch", "4:2:8"], "in rising order"),
        ([*TINY, "--batch", "1:2"], "MIN:OPT:MAX"),
        ([*TINY, "--batch", "a"], "from 1 to 65536"),
        ([*TINY, "--max-tokens", "0"], "from 1 to 1048576"),
        ([*TINY, "--outputs", "colours"], "there is no output colours"),
        ([*TINY, "--fp16", "--precision", "fp32"], "not allowed with"),
        (["--fp16"], "--model"),
    ],
)
def test_usage_errors(arguments, says, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        export_main(["build", *arguments])
    assert stopped.value.code == 2 and says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weights", "says"),
    [("no/such.pth", "no/such.pth"), (str(GOLDENS / "tiny_plain.pth"), "wrong shape")],
)
def test_unfit_weights_leave_nothing(weights, says, tmp_path, capsys) -> None:
    out = tmp_path / "x"
    arguments = ["build", "--model", "spit_tiny", "--weights", weights, "--out", str(out)]
    assert export_main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error and list(tmp_path.iterdir()) == []


def test_a_foreign_folder_is_not_replaced(tmp_path, capsys) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    assert export_main(["build", *TINY, *SMALL, "--out", str(tmp_path / "mine")]) == 2
    assert "not a bundle" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_validate_on_images_of_ones_own(bundle, tmp_path, capsys) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    assert export_main(["validate", str(bundle), "--images", str(photos)]) == 2
    assert "no images" in capsys.readouterr().err
    Image.effect_noise((90, 70), 80).save(photos / "grey.png")
    assert export_main(["validate", str(bundle), "--images", str(photos)]) == 0
    table = capsys.readouterr().out
    assert "grey.png" in table and "pass" in table


def test_validate_fails_with_code_1_where_a_gate_fails(make_bundle, capsys) -> None:
    built = make_bundle(max_tokens=56, height=96, width=128)
    assert export_main(["validate", str(built.path)]) == 1
    assert "FAIL: token budget" in capsys.readouterr().out


def test_validate_refuses_weights_that_changed(tmp_path, capsys) -> None:
    weights = tmp_path / "my.pth"
    shutil.copy(GOLDENS / "tiny_gradient.pth", weights)
    out = str(tmp_path / "out")
    build = ["build", "--model", "spit_tiny", "--weights", str(weights), *SMALL, "--out", out]
    assert export_main(build) == 0
    weights.unlink()
    photos = str(Path(__file__).parent.parent / "runtime" / "photos")
    assert export_main(["validate", out, "--images", photos]) == 2
    assert "my.pth" in capsys.readouterr().err
    assert export_main(["validate", out]) == 0  # its own images need no reference


def test_inspect_and_list(bundle, capsys) -> None:
    assert export_main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for part in ("spit_tiny", "spit::SuperpixelMerge", "48x64", "token budget", "verified"):
        assert part in shown
    assert export_main(["list"]) == 0
    listed = capsys.readouterr().out
    for name in ("spit_tiny", "spit_l16", "vit_b16", "rvit_s16", "none published"):
        assert name in listed


def test_run_draws_the_regions(bundle, tmp_path, capsys) -> None:
    photo, picture = tmp_path / "photo.jpg", tmp_path / "out.png"
    Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(photo)
    assert runtime_main(["run", str(bundle), str(photo), "--overlay", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("%") == 5 and "regions: " in printed
    with Image.open(picture) as drawn:
        assert min(drawn.size) >= 500


def test_check_reports_a_changed_file(bundle, capsys) -> None:
    assert runtime_main(["check", str(bundle)]) == 0
    assert capsys.readouterr().out.count("pass") == 3
    data = bytearray((bundle / "model.onnx.data").read_bytes())
    data[1000] ^= 1
    (bundle / "model.onnx.data").write_bytes(data)
    assert runtime_main(["check", str(bundle)]) == 2
    assert "model.onnx.data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no/bundle", "photo.png"], "photo.png"),
        (["no/bundle", __file__], "not an image"),
    ],
)
def test_run_errors_are_one_line(arguments, says, capsys) -> None:
    assert runtime_main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and says in error and error.count("\n") == 1


@pytest.mark.parametrize("command", [["export"], ["runtime"], ["export", "build"]])
def test_help(command) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "usage: python -m" in done.stdout


@pytest.mark.parametrize("later", [0.0, 1.5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_nothing_behind(tmp_path, later, number) -> None:
    running = started("-m", "export", "build", *TINY, "--out", str(tmp_path / "x"))
    deadline = time.monotonic() + 60
    # The hidden folder beside the target stands as soon as there is something to leave behind.
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.iterdir())
    time.sleep(later)
    os.kill(running.pid, number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    said = "interrupted" if number == signal.SIGINT else "terminated"
    assert said in errors and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_sizes_and_batches_are_parsed() -> None:
    assert image_size("384x512") == (384, 512) and image_size("224") == (224, 224)
    profile = batch_profile("4")
    assert (profile.min, profile.opt, profile.max) == (4, 4, 4)


def test_a_device_needs_neither_torch_nor_the_exporter(bundle) -> None:
    program = (
        "import sys\n"
        "for heavy in 'torch onnx onnx_ir spit_ref export'.split(): sys.modules[heavy] = None\n"
        "from spit_edge.runtime.__main__ import main\n"
        f"sys.exit(main(['check', {str(bundle)!r}, '--backend', 'onnxruntime']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("pass") == 3, done.stderr


def test_help_of_anything_needs_no_heavy_package() -> None:
    program = (
        "import contextlib, io, sys\n"
        "from spit_edge.__main__ import main\n"
        "for words in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        try: main([*words.split(), '--help'])\n"
        "        except SystemExit as end: assert end.code == 0\n"
        "    assert out.getvalue().startswith('usage: spit-edge ' + words), words\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    words = ["", *COMMANDS, *(f"plugins {name}" for name in PLUGIN_COMMANDS)]
    done = python("-c", program, *words)
    assert done.returncode == 0, done.stderr


def test_help_imports_only_the_command_that_is_asked_for() -> None:
    program = (
        "import sys\n"
        "from spit_edge.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if '.commands.' in name or name == 'numpy'])\n"
    )
    assert python("-c", program).stdout.splitlines()[-1] == "[]"


def test_devices_and_deployment_need_neither_torch_nor_onnx(bundle, tmp_path) -> None:
    program = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"
        "from spit_edge.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    listed = python("-c", program, "list")
    assert listed.returncode == 0 and "spit_l16" in listed.stdout, listed.stderr
    inspected = python("-c", program, "inspect", str(bundle))
    assert inspected.returncode == 0 and "verified" in inspected.stdout, inspected.stderr
    assert "pip install" in inspected.stdout
    packed = python("-c", program, "pack", str(bundle), "--no-plugins")
    assert packed.returncode == 0, packed.stderr
    assert Path(packed.stdout.strip()).stat().st_size > 1e5
    looked = python("-c", program, "doctor")
    assert looked.returncode in (0, 1) and "engines can" in looked.stdout, looked.stderr
    nowhere = ["nobody@localhost.invalid", "--no-plugins"]
    deployed = python("-c", program, "deploy", str(bundle), *nowhere)
    assert deployed.returncode == 2 and "Traceback" not in deployed.stderr
    assert "localhost.invalid" in deployed.stderr
    devices = tmp_path / "devices.toml"
    devices.write_text('[[device]]\nhost = "nobody@localhost.invalid"\n')
    fleet = python("-c", program, "fleet", str(devices), str(bundle), "--no-plugins")
    assert fleet.returncode == 2 and "Traceback" not in fleet.stderr


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        spit_edge_main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"spit-edge {metadata.version('spit-edge')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_and_options(shell, capsys) -> None:
    assert spit_edge_main(["completion", shell]) == 0
    script = capsys.readouterr().out
    options = () if shell == "tcsh" else ("--final-threshold", "--tensorrt-include")
    for word in (*COMMANDS, *PLUGIN_COMMANDS, *options):
        assert word in script


def test_bash_completes(tmp_path, capsys) -> None:
    assert spit_edge_main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    program = (
        f". {script}; COMP_WORDS=(spit-edge ins); COMP_CWORD=1; "
        "$(complete -p spit-edge | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["inspect"], done.stderr


def test_what_is_not_foreseen_never_looks_like_a_failed_comparison(capsys) -> None:
    def broken() -> int:
        raise RuntimeError("a bug")

    assert guarded(broken) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error and "RuntimeError: a bug" in error and "report it" in error


def test_warnings_are_shown_as_before_afterwards(capsys) -> None:
    shown, filters = warnings.showwarning, list(warnings.filters)

    def warns() -> int:
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
        return 0

    assert guarded(warns) == 0 and capsys.readouterr().err == "warning: careful\n"
    assert warnings.showwarning is shown and list(warnings.filters) == filters


STOPPED = """
import signal, sys, types
class Slow:
    '''Stands for a package that is interrupted while it loads, and hides that.'''
    def find_spec(self, name, *_):
        if name == 'torch':
            print('loading', flush=True)
            try: signal.pause()
            except KeyboardInterrupt: raise ImportError('cannot load')
sys.meta_path.insert(0, Slow())
from spit_edge.__main__ import main
sys.exit(main(['build', '--model', 'spit_tiny']))
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_while_packages_load(number, code, said) -> None:
    running = started("-c", STOPPED)
    assert running.stdout is not None and running.stdout.readline() == "loading\n"
    os.kill(running.pid, number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code and errors == f"{said}\n"


def test_values_out_of_range_are_refused_in_the_same_words(bundle, capsys) -> None:
    for arguments, call in (
        (
            ["run", str(bundle), "x.png", "--threads", "300"],
            lambda: Session.open(bundle, threads=300),
        ),
        (["build", *TINY, "--classes", "0"], lambda: BuildOptions("spit_tiny", classes=0)),
        (["build", *TINY, "--classes", "0"], lambda: load_model("spit_tiny", classes=0)),
        (["build", *TINY, "--seed", "-1"], lambda: load_model("spit_tiny", seed=-1)),
        (["build", *TINY, "--image-size", "0x3"], lambda: BuildOptions("spit_tiny", height=0)),
    ):
        with pytest.raises(SystemExit):
            spit_edge_main(arguments)
        said = capsys.readouterr().err.strip()
        with pytest.raises(OptionError) as refused:
            call()
        words = str(refused.value).rpartition(", not ")[0].partition(" ")[2]
        assert words.startswith("must be a whole number from") and words in said


@pytest.mark.parametrize("threads", ["2", 2.0, True, 0, 257])
def test_sessions_refuse_threads_that_are_none(bundle, threads) -> None:
    with pytest.raises(ValueError, match="threads must be a whole number from 1 to 256, not"):
        Session.open(bundle, threads=threads)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "b", "i", "--top", "0"], "at least 1, not '0'"),
        (["run", "b", "i", "--threads", "two"], "from 1 to 256, not 'two'"),
        (["bench", "b", "--warmup", "-1"], "at least 0, not '-1'"),
        (["bench", "b", "--seconds", "nan"], "a number above 0"),
        (["bisect", "b", "--trials", "1"], "at least 2, not '1'"),
        (["plugins", "kernels", "--arch", "8.7"], "a list such as 87,110"),
    ],
)
def test_numbers_out_of_range_are_usage_errors(arguments, says, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        spit_edge_main(arguments)
    assert stopped.value.code == 2 and says in capsys.readouterr().err
