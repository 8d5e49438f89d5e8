"""Traced encoders: one file that needs neither ssl-kit nor timm, nor the architecture's code."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from ...core.atomic import write_atomic
from ...core.errors import RunError, UsageError
from .common import (
    Loaded,
    Source,
    draw,
    pads_by_size,
    takes_any_size,
    tracing,
    view_size,
    write_json,
)

OPSET = 18  # the oldest with the antialiased resize that position embeddings of a ViT need
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_LIMIT = 2**31  # bytes of a protobuf message


def write_torch_export(source: Source, out: Path) -> Loaded:
    """Writes `encoder.pt2` for `torch.export.load`: any batch, images of the encoder's size.

    Raises:
        RunError: If torch cannot trace the architecture.
    """
    facts, encoder = source.facts, source.encoder
    source.say("Tracing the network, which takes a few seconds.")
    x = draw(encoder, 2, view_size(encoder))
    buffer = io.BytesIO()
    with tracing(encoder):
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(source.network, (x,), dynamic_shapes=shapes)
        _forget(program)
        files = {"encoder.json": json.dumps(facts, indent=2)}
        torch.export.save(program, buffer, extra_files=files)
    write_atomic(out / "encoder.pt2", buffer.getvalue())
    write_json(out / "encoder.json", facts)
    return Loaded(torch.export.load(out / "encoder.pt2").module())


def _forget(program: torch.export.ExportedProgram) -> None:
    """Drops paths of this machine's source files, and the example images, which are pickled."""
    program.example_inputs = None
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


def write_onnx(source: Source, out: Path) -> Loaded:
    """Writes `encoder.onnx`: any batch, and any size of image if the architecture allows it.

    The size is fixed where padding depends on it ("same" padding), because tracing such networks
    for any size takes a quarter of an hour.

    Raises:
        UsageError: If packages are missing or the encoder is too large for one file.
        RunError: If torch cannot trace the architecture.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--format onnx needs {', '.join(missing)}. Run 'pip install {' '.join(missing)}'."
        )
    encoder = source.encoder
    tensors = encoder.state_dict().values()
    if sum(t.nbytes for t in tensors) >= _LIMIT:
        raise UsageError(
            "This encoder is larger than the 2 GB of an ONNX file. Use --format torch_export."
        )
    facts = source.facts
    any_size = not pads_by_size(encoder) and takes_any_size(encoder)
    try:
        content = _trace(source, facts, any_size)
    except RunError:  # some networks can be traced for one size only
        if not any_size:
            raise
        any_size = False
        content = _trace(source, facts, any_size)
    write_atomic(out / "encoder.onnx", content)
    write_json(out / "encoder.json", {**facts, "opset": OPSET})
    return _session(out / "encoder.onnx", any_size)


def _trace(source: Source, facts: dict[str, Any], any_size: bool) -> bytes:
    """Returns the network as a checked ONNX model with `facts` as its metadata."""
    import onnx

    encoder, size = source.encoder, view_size(source.encoder)
    sizes = "any size" if any_size else "x".join(map(str, size)) + " px only"
    source.say(f"Tracing the network for images of {sizes}, which takes up to a minute.")
    names = ("batch", "channels", "height", "width")
    free = [0]
    if any_size:  # larger images, since torch takes a map of one cell for one of any image
        free += [axis for axis, length in enumerate(size, start=2) if length > 1]
        size = (2 * size[0] if size[0] > 1 else 1, 2 * size[1])
    with tracing(encoder):
        program = torch.onnx.export(
            source.network,
            (draw(encoder, 2, size),),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=[source.output],
            dynamic_shapes=({axis: torch.export.Dim(names[axis]) for axis in free},),
        )
        proto: Any = program.model_proto if program else None
        for graph in (proto.graph, *proto.functions):
            for node in graph.node:
                del node.metadata_props[:]  # paths of this machine's source files
        proto.doc_string = f"Images to {source.output}. " + facts["preparation"]
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
        onnx.helper.set_model_props(proto, texts)
        onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString()
    return content


def _session(path: Path, any_size: bool) -> Loaded:
    """Reads a file into ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def features(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": x.numpy()})[0])

    return Loaded(features, any_size=any_size)
