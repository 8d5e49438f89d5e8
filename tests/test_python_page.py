"""The blocks of docs/python.md work, run one after another as in a notebook."""

import re
from pathlib import Path

import numpy as np
import pytest

import ssl_kit

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no docs/")


def blocks():
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)


@pytest.mark.slow
def test_the_blocks_work_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks():
        exec(compile(block, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert "Did you mean 'simclr'?" in shown
    assert "digits against random-frozen" in shown
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()
    embedding, encoder, images = names["embedding"], names["encoder"], names["images"]
    rows = encoder([images.read(i) for i in range(5)])
    np.testing.assert_allclose(rows, embedding.features[:5], atol=1e-5)


def test_every_function_stands_on_the_page():
    functions = {name for name in ssl_kit.__all__ if name[0].islower()} - {"hookimpl", "validate"}
    assert functions <= set(re.findall(r"ssl_kit\.(\w+)\(", PAGE.read_text()))
