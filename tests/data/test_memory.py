import pytest
import torch

from ssl_kit import RunError
from ssl_kit.data import free_memory, memory_limits
from ssl_kit.data.memory import explain_memory_errors, in_parts, is_out_of_memory


def errors():
    return [
        MemoryError("Unable to allocate 9 GiB"),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ]


@pytest.mark.parametrize("error", errors(), ids=str)
def test_full_memory_is_one_line_that_says_what_to_lower(error):
    with (
        pytest.raises(RunError, match=r"The memory of .* is full. Lower it.") as caught,
        explain_memory_errors("Lower it."),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_other_errors_stay_as_they_are():
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    with pytest.raises(ZeroDivisionError), explain_memory_errors(""):
        1 / 0  # noqa: B018


def short_of_memory(most):
    def double(rows):
        if len(rows) > most:
            raise torch.OutOfMemoryError
        return 2 * rows

    return double


def test_a_batch_that_does_not_fit_is_halved():
    rows = torch.arange(11.0)
    assert torch.equal(in_parts(short_of_memory(2), rows), 2 * rows)
    with pytest.raises(RunError, match="full with a single image"):
        in_parts(short_of_memory(0), rows)


@pytest.mark.parametrize(
    ("own", "folder", "limit", "use"),
    [
        ("0::/job", "job", "memory.max", "memory.current"),
        ("0::/job/step", "", "memory.max", "memory.current"),
        ("4:cpu,memory:/docker/1", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_the_limit_of_a_container_or_job_counts(tmp_path, monkeypatch, own, folder, limit, use):
    inner = tmp_path / "mount" / folder
    inner.mkdir(parents=True)
    files = {limit: "9000\n", use: "8000\n", "memory.stat": "anon 5\ninactive_file 70\n"}
    for name, text in files.items():
        (inner / name).write_text(text)
    (tmp_path / "own").write_text(f"3:cpuset:/\n{own}\n")
    monkeypatch.setattr(memory_limits, "_OWN", tmp_path / "own")
    monkeypatch.setattr(memory_limits, "_MOUNT", tmp_path / "mount")
    assert free_memory() == 1070
    (inner / limit).write_text("max\n")
    assert free_memory() > 2**20
