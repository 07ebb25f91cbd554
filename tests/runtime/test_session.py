"""Sessions: exactness of labels and tokens, layouts, budgets, degenerate images, back ends."""

from __future__ import annotations

import json
import threading
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from spit_edge.plugins.implementation import IMPLEMENTATIONS
from spit_edge.runtime import (
    BackendUnavailable,
    BundleError,
    ImageError,
    Session,
    TokenBudgetExceeded,
)
from spit_edge.runtime.backends import backend as backends
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.parity.judge import tokens_sha256
from spit_edge.runtime.parity.self_check import read_check, self_check
from spit_edge.spit_ref import load_model
from tests.conftest import GOLDENS


def bits(output) -> list[bytes]:
    return [output.labels.tobytes(), output.num_tokens.tobytes(), output.tokens.tobytes()]


@pytest.fixture(scope="module")
def bundle(make_bundle):
    return make_bundle(height=96, width=128)


@pytest.fixture(scope="module", params=["onnxruntime", "onnxruntime-graph", "openvino"])
def session(bundle, request):
    with Session.open(bundle.path, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def images(photographs):
    return photographs(96, 128)  # 57, 63 and 55 regions


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_build_passes_its_gates_and_golden_logits_come_out(
    make_bundle, gradient, precision
) -> None:
    built = make_bundle(gradient=gradient, precision=precision)
    assert built.passed and list(built.parity) == ["onnxruntime-graph", "onnxruntime"]
    assert [len(rows) for rows in built.parity.values()] == [3, 3]
    with np.load(GOLDENS / "logits.npz") as goldens, Session.open(built.path) as opened:
        kind = "gradient" if gradient else "plain"
        output = opened.run(goldens["astronaut_224/image"])
        wanted, labels = (goldens[f"astronaut_224/{kind}/{x}"] for x in ("logits", "labels"))
    # Where the labels are the golden ones, so must be the logits.
    same = np.array_equal(output.labels[0], labels)
    assert same or not gradient
    limit = 1e-4 if precision == "fp32" else 5e-3
    np.testing.assert_allclose(output.logits[0], wanted, atol=limit if same else 2e-2)


def test_bits_equal_the_reference(session, images) -> None:
    output = session.run(images, tokens=True)
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    tokens = model.tokenizer.tokens(batch, max_tokens=128)
    wanted = [tokens.labels.numpy(), tokens.counts.numpy(), tokens.rows.numpy()]
    assert bits(output) == [array.tobytes() for array in wanted]


def test_bits_do_not_depend_on_place_in_the_batch(session, images) -> None:
    alone = session.run(images[:1], tokens=True)
    for place in range(5):
        batch = np.stack([images[1 + i % 2] for i in range(5)])
        batch[place] = images[0]
        output = session.run(batch, tokens=True)
        assert output.labels[place].tobytes() == alone.labels[0].tobytes()
        assert output.tokens[place].tobytes() == alone.tokens[0].tobytes()
        np.testing.assert_allclose(output.logits[place], alone.logits[0], atol=1e-5)
        if session.backend != "onnxruntime-graph":  # the others take one image at a time
            assert output.logits[place].tobytes() == alone.logits[0].tobytes()


def test_bits_are_the_same_every_time(session, images) -> None:
    first = bits(session.run(images, tokens=True))
    assert all(bits(session.run(images, tokens=True)) == first for _ in range(20))


def test_bits_do_not_depend_on_threads(bundle, images) -> None:
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with Session.open(bundle.path, "onnxruntime", threads=threads) as opened:
            found.append(bits(opened.run(images, tokens=True)))
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_torch_backend_gives_the_same_bits(bundle, session, images) -> None:
    with Session.open(bundle.path, "torch") as opened:
        output = opened.run(images, tokens=True)
    wanted = session.run(images, tokens=True)
    assert bits(output) == bits(wanted)
    np.testing.assert_allclose(output.logits, wanted.logits, atol=1e-5)


def test_all_outputs_agree_and_are_zero_behind_the_last_token(make_bundle, images) -> None:
    extras = ("tokens", "embeddings", "attention")
    built = make_bundle(height=96, width=128, outputs=extras)
    outputs = {}
    for backend in ("onnxruntime", "onnxruntime-graph", "openvino", "torch"):
        with Session.open(built.path, backend) as opened:
            outputs[backend] = opened.run(images)
    ours = outputs.pop("onnxruntime")
    for other in outputs.values():
        assert bits(ours) == bits(other)
        for image, count in enumerate(ours.num_tokens):
            for name, rows in (("embeddings", count + 1), ("attention", count)):
                found, wanted = getattr(ours, name)[image], getattr(other, name)[image]
                assert found.shape == wanted.shape and not found[rows:].any()
                np.testing.assert_allclose(found[:rows], wanted[:rows], atol=1e-4)


def test_bfloat16_runs_where_it_can_and_says_why_not_elsewhere(make_bundle) -> None:
    built = make_bundle(precision="bf16", height=96, width=128)
    assert built.passed and list(built.parity) == ["torch"]
    for backend in ("onnxruntime", "onnxruntime-graph"):
        with pytest.raises(BackendUnavailable, match="bfloat16"):
            Session.open(built.path, backend)
    with Session.open(built.path) as opened:
        assert opened.backend == "openvino"
        assert [row.failures for row in self_check(opened)] == [()] * 3


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_openvino_passes_the_gates(make_bundle, precision) -> None:
    built = make_bundle(precision=precision, height=96, width=128)
    with Session.open(built.path, "openvino") as opened:
        assert [row.failures for row in self_check(opened)] == [()] * 3


def test_layouts_agree(session, images) -> None:
    last = session.run(images[:2])
    first = session.run(np.ascontiguousarray(images[:2].transpose(0, 3, 1, 2)))
    assert np.array_equal(last.labels, first.labels)
    assert np.array_equal(session.run(images[0]).labels, last.labels[:1])


def test_large_batches_run_in_parts(session, images) -> None:
    many = np.concatenate([images] * 4)[:10]
    output = session.run(many)
    assert output.logits.shape == (10, 10) and output.labels.shape == (10, 96, 128)
    assert np.array_equal(output.labels[9], session.run(images[:1]).labels[0])


def test_bad_arrays_are_refused(session, images) -> None:
    for bad in (images.astype(np.float32), images[:, :90], images[..., :2], images[:0]):
        with pytest.raises(ImageError):
            session.run(bad)


def test_token_budget(make_bundle, images) -> None:
    built = make_bundle(max_tokens=56, height=96, width=128)
    assert not built.passed
    for rows in built.parity.values():
        assert [row.failures for row in rows][2] == ()
    assert json.loads((built.path / "parity.json").read_bytes())["passed"] is False
    with Session.open(built.path) as opened:
        with pytest.raises(TokenBudgetExceeded) as error:
            opened.run(images[[2, 1]])
        assert (error.value.num_tokens, error.value.budget, error.value.image) == (63, 56, 1)
        output = opened.run(images[[2, 1]], truncate=True, tokens=True)
    assert output.num_tokens.tolist() == [55, 63] and output.labels.max() == 62
    assert output.tokens.shape == (2, 56, 1280) and np.isfinite(output.logits).all()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 7), (5, 1), (3, 3), (40, 56)], ids=lambda n: str(n)
)
def test_degenerate_sizes(make_bundle, height, width) -> None:
    built = make_bundle(height=height, width=width)
    assert built.passed
    random = np.random.default_rng(0)
    flat = np.full((height, width, 3), 77, np.uint8)
    noise = random.integers(0, 256, (height, width, 3), np.uint8)
    black, white = np.zeros_like(flat), np.full_like(flat, 255)
    with Session.open(built.path) as opened:
        output = opened.run(np.stack([flat, noise, black, white]), truncate=True)
    assert np.isfinite(output.logits).all()
    assert output.num_tokens[[0, 2, 3]].tolist() == [1, 1, 1]


def test_degenerate_photographs(session) -> None:
    grid = np.add.outer(np.arange(96) // 8, np.arange(128) // 8) % 2 * 255
    checker = np.repeat(grid[..., None], 3, axis=2).astype(np.uint8)
    output = session.run(checker, truncate=True)
    assert output.num_tokens.tolist() == [192] and np.isfinite(output.logits).all()
    with pytest.raises(TokenBudgetExceeded, match="192"):
        session.run(checker)


def test_threads_share_a_session(session, images) -> None:
    wanted = session.run(images).logits
    failures: list[str] = []

    def work(index: int) -> None:
        for _ in range(3):
            logits = session.run(images[index : index + 1]).logits[0]
            if not np.allclose(logits, wanted[index], atol=1e-5):
                failures.append(f"image {index}")

    threads = [threading.Thread(target=work, args=(i % 3,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_closed_session(make_bundle, images) -> None:
    opened = Session.open(make_bundle(height=96, width=128).path)
    opened.close()
    opened.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        opened.run(images)


def test_unknown_backend_lists_the_known(make_bundle) -> None:
    with pytest.raises(BackendUnavailable, match=r"auto, onnxruntime, .*torch"):
        Session.open(make_bundle().path, "tensorflow")


def test_missing_package_of_a_backend(make_bundle, monkeypatch) -> None:
    point = EntryPoint("onnxruntime", "no_such_package:Backend", backends.GROUP)
    monkeypatch.setattr(backends, "entry_points", lambda group: [point])
    with pytest.raises(BackendUnavailable, match=r"no_such_package.*pip install"):
        Session.open(make_bundle().path, "onnxruntime")
    with pytest.raises(BackendUnavailable, match="no backend can run this bundle here"):
        Session.open(make_bundle().path)


def test_trunk_bundles_take_no_images(make_bundle) -> None:
    with pytest.raises(BundleError, match="trunk alone"):
        Session.open(make_bundle(part="trunk", precision="fp16").path)


def test_self_check_notices_wrong_answers(make_bundle, session, monkeypatch) -> None:
    assert all(row.passed for row in self_check(session))
    model = session._executor
    monkeypatch.setattr(session, "_executor", _Perturbed(model))
    rows = self_check(session)
    assert [row.failures for row in rows] == [("labels",)] * 3


class _Perturbed:
    """A back end that gets one pixel wrong."""

    def __init__(self, inner) -> None:
        self.inner = inner

    def run(self, images, *, seeds=None, tokens=False):
        outputs = self.inner.run(images, seeds=seeds, tokens=tokens)
        outputs["labels"][0, 0, 0] += 1
        return outputs


def test_check_data_holds_the_reference(make_bundle) -> None:
    bundle = Bundle.open(make_bundle(height=96, width=128).path)
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    for image, expected in read_check(bundle).values():
        batch = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        tokens = model.tokenizer.tokens(batch)
        assert np.array_equal(tokens.labels[0], expected.labels)
        assert tokens_sha256(tokens.rows[0].numpy(), expected.num_tokens) == expected.tokens_sha256


def test_a_failing_op_is_what_the_error_tells_of(bundle, images, monkeypatch) -> None:
    def broken(*_, **__):
        raise MemoryError("no room for the merge")

    monkeypatch.setitem(IMPLEMENTATIONS, "SuperpixelMerge", broken)
    with (
        Session.open(bundle.path, "onnxruntime-graph") as opened,
        pytest.raises(MemoryError, match="no room for the merge"),
    ):
        opened.run(images)


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_submitted_batches_come_in_order(bundle, images, backend) -> None:
    given = [images[[index % 3]] for index in range(6)]
    with Session.open(bundle.path, backend) as opened:
        wanted = [bits(opened.run(batch, tokens=True)) for batch in given]
        reused = np.empty_like(given[0])
        tickets = []
        for batch in given:
            reused[:] = batch
            tickets.append(opened.submit(reused, tokens=True))
    # Closing finished them.
    assert [bits(ticket.result()) for ticket in tickets] == wanted
    assert bits(tickets[0].result()) == wanted[0]
    with pytest.raises(BackendUnavailable, match="closed"):
        opened.submit(images)


def test_two_batches_are_in_flight(bundle, images, session) -> None:
    free, started = threading.Semaphore(0), []

    class Slow:
        def run(self, images, *, seeds=None, tokens=False):
            started.append(len(images))
            free.acquire()
            return session._executor.run(images, seeds=seeds, tokens=tokens)

        def close(self) -> None:
            pass

    opened = Session(Bundle.open(bundle.path), "slow", Slow())
    tickets = [opened.submit(images[:n]) for n in (1, 2)]
    third = threading.Thread(target=lambda: tickets.append(opened.submit(images)))
    third.start()
    third.join(0.2)
    assert third.is_alive() and started == [1]
    free.release(3)
    third.join()
    opened.close()
    assert [len(ticket.result().logits) for ticket in tickets] == [1, 2, 3] == started


def test_errors_of_submitted_batches_come_with_the_result(make_bundle, bundle, images) -> None:
    with Session.open(make_bundle(max_tokens=56, height=96, width=128).path) as opened:
        ticket = opened.submit(images[[2, 1]])
        for _ in range(2):
            with pytest.raises(TokenBudgetExceeded):
                ticket.result()
        assert opened.submit(images[[2, 1]], truncate=True).result().num_tokens.tolist() == [55, 63]
        with pytest.raises(ImageError, match="up to 8 images"):
            opened.submit(np.repeat(images, 3, axis=0))
