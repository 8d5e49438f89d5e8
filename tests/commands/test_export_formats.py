"""The formats that other programs read: parity, facts, refusals; and docs/export.md."""

import json
import logging
import re
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from ssl_kit import Encoder, RunError, UsageError, embed
from ssl_kit.commands.exports import checked as module
from ssl_kit.commands.exports import graphs
from ssl_kit.commands.exports.checked import write_checked as export
from ssl_kit.commands.exports.common import (
    Loaded,
    Source,
    pads_by_size,
    takes_any_size,
    tracing,
    view_size,
)
from ssl_kit.commands.exports.torchvision_resnet import twins
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.nn import create_encoder
from ssl_kit.training.run import Run
from ssl_kit.training.setup import resolve

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
SMALL = [
    ("test_resnet", 1, 32), ("test_vit", 3, 32), ("test_efficientnet", 13, 48),
    ("test_resnet", 2, 16), ("resnet1d/tiny", 5, 128), ("cbam/test_resnet", 3, 32),
]  # fmt: skip


def run_of(folder, architecture, channels=3, size=64):
    """A run that holds an encoder with random weights and statistics."""
    if architecture.startswith("resnet1d/"):
        pytest.importorskip("ssl_kit_eeg")
    torch.manual_seed(0)
    encoder = create_encoder(architecture, channels, size)
    for buffer in encoder.buffers():
        if buffer.dtype == torch.float32:
            buffer.copy_(torch.rand_like(buffer) / 2 + 0.5)
    run = Run.create(folder, resolve({"domain": "natural"}))
    names = tuple(f"band{c}" for c in range(channels))
    run.save_weights(run.encoder, encoder.body.state_dict(), names)
    facts = {
        "architecture": architecture, "arguments": encoder.arguments, "channels": names,
        "value_range": [[0, 1000]] * channels, "mean": [0.5] * channels, "std": [0.2] * channels,
        "image_size": size, "domain": "natural",
    }  # fmt: skip
    run.write_json("encoder.json", facts)
    return run


def encoder_of(run):
    return from_run(run).encoder.eval()


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("resnet18") / "run", "resnet18")


def resnet18_for_torchvision(run, out):
    export(run, "torchvision", out)
    return load_file(out / "weights.safetensors")


@torch.inference_mode()
def test_torchvisions_resnet_lacks_only_its_head_and_gives_the_same_features(resnet18, tmp_path):
    net = torchvision.models.resnet18().eval()
    found = net.load_state_dict(resnet18_for_torchvision(resnet18, tmp_path / "out"), strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["fc.weight", "fc.bias"], [])
    net.fc = torch.nn.Identity()
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(net(x), encoder_of(resnet18)(x), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_detectors_backbone_sees_the_same_maps(resnet18, tmp_path):
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None).eval()
    backbone.body.load_state_dict(resnet18_for_torchvision(resnet18, tmp_path / "out"))
    x = torch.randn(2, 3, 64, 64)
    expected = encoder_of(resnet18).forward_pyramid(x)[1:]
    torch.testing.assert_close(
        list(backbone.body(x).values()), expected, rtol=1e-5, atol=1e-5
    )  # its frozen normalization adds in another order


def test_torchvision_takes_other_channels(tmp_path):
    assert export(run_of(tmp_path / "run", "resnet18", 13, 32), "torchvision", tmp_path / "o") == 0


def test_timm_has_every_architecture_that_torchvision_exports():
    assert {"resnet18", "resnet50", "wide_resnet50_2"} <= set(twins())
    assert all(timm.is_model(name) for name in twins())


@pytest.mark.parametrize(
    ("architecture", "other"),
    [("test_vit", "timm"), ("cbam/test_resnet", "safetensors"), ("resnet1d/tiny", "safetensors")],
)
def test_torchvision_is_refused_without_a_twin(tmp_path, architecture, other):
    run = run_of(tmp_path / "run", architecture)
    with pytest.raises(UsageError, match=rf"of '{architecture}'.*resnet50.*Use --format {other};"):
        export(run, "torchvision", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_maps_are_an_error(resnet18, tmp_path, monkeypatch):
    write = module.FORMATS["torchvision"]

    def wrong(source, out):
        loaded = write(source, out)
        return replace(loaded, maps=lambda x: [2 * m for m in loaded.maps(x)])

    monkeypatch.setitem(module.FORMATS, "torchvision", wrong)
    with pytest.raises(RunError, match="gives other features"):
        export(resnet18, "torchvision", tmp_path / "out")
    assert (tmp_path / "out" / "weights.safetensors").exists()


def test_not_a_number_is_an_error(resnet18, tmp_path, monkeypatch):
    nan = Loaded(lambda x: torch.full((len(x), 512), torch.nan))
    monkeypatch.setitem(module.FORMATS, "timm", lambda *_: nan)
    with pytest.raises(RunError, match="gives other features"):
        export(resnet18, "timm", tmp_path / "out")


@pytest.fixture(scope="module")
def pt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pt2")
    run = run_of(folder / "run", "test_vit", 3, 32)
    assert export(run, "torch_export", folder / "out") <= 1e-6
    return run, folder / "out" / "encoder.pt2"


@torch.inference_mode()
def test_an_exported_program_takes_any_batch_and_knows_its_facts(pt2):
    run, file = pt2
    inside = {"encoder.json": ""}
    program = torch.export.load(file, extra_files=inside).module()
    x = torch.randn(7, 3, 32, 32)
    torch.testing.assert_close(program(x), encoder_of(run)(x), rtol=0, atol=1e-6)
    facts = json.loads(inside["encoder.json"])
    assert facts["channels"] == ["band0", "band1", "band2"]
    assert facts == json.loads(file.with_name("encoder.json").read_text())


def test_an_exported_program_has_no_pickle_and_no_path_in_it(pt2):
    with zipfile.ZipFile(pt2[1]) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    assert not any(part.startswith((b"PK", b"\x80\x02")) for part in parts)
    assert not any(str(Path(torch.__file__).parent.parent).encode() in part for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "channels", "size"), SMALL)
def test_every_encoder_can_be_traced_by_torch(tmp_path, architecture, channels, size):
    run = run_of(tmp_path / "run", architecture, channels, size)
    assert export(run, "torch_export", tmp_path / "out") <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "channels", "size"), SMALL)
def test_every_encoder_gives_the_same_in_onnx(tmp_path, capfd, architecture, channels, size):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    run = run_of(tmp_path / "run", architecture, channels, size)
    assert export(run, "onnx", tmp_path / "out") <= 1e-3
    assert capfd.readouterr() == ("", "")
    file = onnx.load(tmp_path / "out" / "encoder.onnx")
    assert [(s.domain, s.version) for s in file.opset_import] == [("", 18)]
    height = 1 if architecture == "resnet1d/tiny" else "height"
    shape = file.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", channels, height, "width"]
    facts = {entry.key: entry.value for entry in file.metadata_props}
    assert json.loads(facts["mean"]) == [0.5] * channels
    assert json.loads(facts["value_range"]) == [[0, 1000]] * channels
    assert "value_range" in facts["preparation"]
    assert str(Path(torch.__file__).parent.parent).encode() not in file.SerializeToString()


@pytest.mark.slow
def test_onnx_needs_neither_torch_nor_us(tmp_path):
    pytest.importorskip("onnxruntime")
    run = run_of(tmp_path / "run", "test_resnet", 3, 32)
    export(run, "onnx", tmp_path / "out")
    x = torch.randn(3, 3, 40, 56)
    np.save(tmp_path / "x.npy", x.numpy())
    code = (
        "import sys, numpy as np, onnxruntime as ort;"
        "session = ort.InferenceSession('out/encoder.onnx');"
        "np.save('y.npy', session.run(None, {'images': np.load('x.npy')})[0]);"
        "assert not {'torch', 'timm', 'ssl_kit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with torch.inference_mode():
        expected = encoder_of(run)(x)
    found = torch.from_numpy(np.load(tmp_path / "y.npy"))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_missing_packages_are_named_with_their_command(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "PACKAGES", ("json", "no_such_a", "no_such_b"))
    with pytest.raises(UsageError, match="Run 'pip install no_such_a no_such_b'"):
        export(finished_run, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_than_a_file_holds_is_refused(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "PACKAGES", ())
    monkeypatch.setattr(graphs, "_LIMIT", 1000)
    with pytest.raises(UsageError, match="Use --format torch_export"):
        export(finished_run, "onnx", tmp_path / "out")


def test_what_cannot_be_traced_at_any_size_is_traced_at_one(finished_run, tmp_path, monkeypatch):
    tried = []

    def trace(source, facts, any_size):
        tried.append(any_size)
        if any_size:
            raise RunError("no")
        return b"a network"

    monkeypatch.setattr(graphs, "PACKAGES", ())
    monkeypatch.setattr(graphs, "_trace", trace)
    monkeypatch.setattr(graphs, "_session", lambda path, any_size: (path.read_bytes(), any_size))
    done = graphs.write_onnx(Source.of(finished_run), tmp_path)
    assert tried == [True, False]
    assert done == (b"a network", False)


def test_a_failing_trace_is_one_line_and_logs_are_back():
    @tracing(create_encoder("test_resnet", 3, 32))
    def fail():
        warnings.warn("unheard", stacklevel=1)
        assert not logging.getLogger("torch").isEnabledFor(logging.CRITICAL)
        raise ValueError("of many lines")

    with pytest.raises(RunError, match=r"cannot trace the encoder 'test_resnet' \(ValueError\)"):
        fail()
    assert logging.getLogger("torch").isEnabledFor(logging.CRITICAL)


class OneSize(Encoder):
    """Takes images of its own size only."""

    def forward(self, x):
        assert x.shape[2:] == (self.image_size, self.image_size)
        return x.mean(dim=(2, 3))


def test_what_size_an_encoder_takes():
    assert takes_any_size(create_encoder("test_vit", 3, 32).eval())
    assert not takes_any_size(OneSize("one_size", 3, 32))
    assert view_size(OneSize("one_size", 3, 32)) == (32, 32)
    assert view_size(create_encoder("test_resnet", 3, 32)) == (32, 32)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("tf_efficientnet_lite0", True), ("dm_nfnet_f0", True), ("tf_efficientnet_cc_b0_4e", True),
     ("efficientnet_lite0", False), ("test_resnet", False)],
)  # fmt: skip
def test_same_padding_is_recognized(architecture, expected):
    with torch.device("meta"):
        network = timm.create_model(architecture)
    assert pads_by_size(network) == expected


def test_a_network_with_same_padding_is_traced_for_one_size(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(graphs, "PACKAGES", ())
    monkeypatch.setattr(graphs, "_trace", lambda s, f, any_size: tried.append(any_size) or b"")
    monkeypatch.setattr(graphs, "_session", lambda path, any_size: any_size)
    run = run_of(tmp_path / "run", "tf_efficientnet_lite0", 3, 32)
    assert not graphs.write_onnx(Source.of(run), tmp_path / "out")
    assert tried == [False]


def test_signals_have_one_row():
    pytest.importorskip("ssl_kit_eeg")
    assert view_size(create_encoder("resnet1d/tiny", 2, 256)) == (1, 256)


def block(name):
    """The code of a block of the page."""
    return re.search(rf"^```python {name}\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)[1]


def follow(page_block, **names):
    """Runs a block of the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a page may leave a file to Python
        exec(block(page_block), names)
    return names


@pytest.fixture
def scenes(tmp_path):
    """Smooth RGB images of several sizes: larger and smaller than the encoder's, and not square."""
    rng = np.random.default_rng(0)
    (tmp_path / "scenes").mkdir()
    for i, size in enumerate([(90, 90), (130, 97), (75, 160), (40, 40)]):
        image = cv2.resize(rng.integers(0, 255, (9, 9, 3), np.uint8), size[::-1])
        cv2.imwrite(str(tmp_path / "scenes" / f"{i}.png"), image)
    return tmp_path / "scenes"


@pytest.mark.skipif(not PAGE.is_file(), reason="no docs/")
def test_the_page_gives_the_features_of_embed(resnet18, tmp_path, scenes, monkeypatch):
    eight_bits = {**resnet18.read_json("encoder.json"), "value_range": [[0, 255]] * 3}
    run = Run.create(tmp_path / "run", resnet18.config)
    run.encoder.write_bytes(resnet18.encoder.read_bytes())
    run.write_json("encoder.json", {**eight_bits, "channels": ["red", "green", "blue"]})
    expected = torch.from_numpy(embed(run, data=scenes).features)
    export(run, "timm", tmp_path / "my-timm")
    network = timm.create_model(f"local-dir:{tmp_path / 'my-timm'}", pretrained=True).eval()
    monkeypatch.chdir(run.folder)
    for i, features in enumerate(expected):
        image = cv2.imread(str(scenes / f"{i}.png"))[..., ::-1]
        with torch.inference_mode():
            ours = network(torch.from_numpy(follow("prepare", image=image)["x"]))[0]
        torch.testing.assert_close(ours, features, rtol=0, atol=1e-5 * float(features.abs().max()))
    monkeypatch.chdir(tmp_path)
    Image.open(scenes / "0.png").save("scene.png")
    code = block("timm image").replace("scene.jpg", "scene.png")
    exec(code, names := {})
    largest = 0.02 * float(expected[0].abs().max())
    torch.testing.assert_close(names["features"][0], expected[0], rtol=0, atol=largest)


@pytest.mark.parametrize(("domain", "words"), [("natural", "shorter side"), ("eeg", "The center")])
def test_every_export_says_how_an_image_is_resized(resnet18, tmp_path, domain, words):
    pytest.importorskip("ssl_kit_eeg")
    run = Run.create(tmp_path / "run", resnet18.config)
    run.encoder.write_bytes(resnet18.encoder.read_bytes())
    run.write_json("encoder.json", {**resnet18.read_json("encoder.json"), "domain": domain})
    assert words in Source.of(run).facts["preparation"]


@pytest.mark.slow
@pytest.mark.skipif(not PAGE.is_file(), reason="no docs/")
@pytest.mark.parametrize("kind", sorted(module.FORMATS))
def test_the_page_loads_every_format(resnet18, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    command = rf"ssl-kit export runs/mine --format {kind} --out (\S+)"
    out = re.search(command, PAGE.read_text())[1]
    export(resnet18, kind, tmp_path / out)
    subprocess.run([sys.executable, "-c", block(kind)], cwd=tmp_path, check=True)
    assert all(f"`{name}`" in PAGE.read_text() for name in module.FORMATS)
