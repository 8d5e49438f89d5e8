import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ssl_kit import UsageError
from ssl_kit.cli import main
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import Splits, split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.evaluation.requests import open_images
from ssl_kit.reports.html import facts, page, sections
from ssl_kit.reports.html.pictures import jpeg, sprite, square
from ssl_kit.reports.html.understood import understood
from ssl_kit.training.run import Run

VOID = {"meta", "link", "img", "br", "line", "circle", "path", "input", "hr"}


class Page(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def report(finished_run):
    return page.run_page(finished_run).decode()


@pytest.fixture
def copy(finished_run, tmp_path):
    return Run(shutil.copytree(finished_run.folder, tmp_path / "run"))


def outside(text):
    """Returns what a page would fetch from elsewhere."""
    links = [
        attributes[name]
        for _, attributes in Page(text).tags
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
        if attributes.get(name)
    ]
    links += re.findall(r"url\(\s*['\"]?([^)'\"]*)", text)
    return [link for link in links if not link.startswith(("data:", "#"))]


def test_nothing_points_outside_of_the_file(report):
    assert outside(report) == []
    assert "@import" not in report
    assert "default-src 'none'" in report


def test_the_page_says_what_was_trained_and_how_to_load_it(report, finished_run):
    text_of_page = re.sub(r"<[^>]*>", "", report)
    for text in ("simclr", "natural", "test_resnet", "timm.create_model", "No file was skipped",
                 "own images has 6 images of 6 groups. None of these groups"):  # fmt: skip
        assert text in text_of_page
    assert str(finished_run.encoder) in text_of_page


def test_the_code_that_loads_the_encoder_runs(finished_run):
    images = torch.rand(2, 3, 32, 32)
    names = {"x": images}
    exec(facts.loading(finished_run, finished_run.read_json("encoder.json")), names)
    model = from_run(finished_run)
    mean, std = (
        torch.tensor(values).mul(1e4).round().div(1e4).view(-1, 1, 1)  # the code has four digits
        for values in (model.statistics.mean, model.statistics.std)
    )
    expected = model.encoder.eval()((images - mean) / std)
    torch.testing.assert_close(names["features"], expected)


def test_the_page_says_what_was_understood_of_the_images(report):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", report))
    for words in ("3 classes, from names of folders", "30 .png", "disc 10 6 2 2",
                  "What the evaluations can use", "within_group: no."):  # fmt: skip
        assert words in text


def test_no_name_of_a_file_is_in_what_was_understood(memory_dataset):
    images = [np.full((8, 8, 1), i, np.uint8) for i in range(8)]
    images = [np.tile(np.arange(8, dtype=np.uint8)[:, None, None], (1, 8, 1)), *images, "is cut"]
    dataset = memory_dataset([images[0], *images], remarks=["Files such as 'Doe^Jane.dcm' differ."])
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"])
    shown = str(vars(understood(data)))
    assert "1 pair of equal images" in shown
    assert "is cut" in shown
    assert "Doe" not in shown
    assert "image0" not in shown


@pytest.mark.parametrize("name", ["O'Brien Mary.dcm", "Mary O' Brien.dcm", 'Mary "x" Brien\n.dcm'])
@pytest.mark.parametrize(
    "text", ["such as {!r}: is cut.", "such as '{}': is cut.", "'{}', \"{}\"."]
)
def test_quotes_in_a_name_leave_nothing_of_it(name, text):
    shown = facts.scrub("Unreadable: 1 file, " + text.format(name, name))
    assert shown.startswith("Unreadable: 1 file, ")
    assert not re.search("Brien|Mary|dcm", shown)


@pytest.mark.parametrize(
    "name",
    ["use", "training", "watch", "map", "neighbors", "views", "evaluation", "data", "origin"],
)
def test_every_section_is_there(report, name):
    assert f'<section id="{name}"' in report
    assert f'href="#{name}"' in report


def test_no_key_and_no_group_reaches_the_page(report, finished_run):
    dataset = open_images(str(finished_run.folder), "", "", "")[1]
    index = dataset.index
    names = {index.key(i) for i in range(len(index))}
    names |= {name.decode() for name in index.group_names} | index.group_hashes()
    assert [name for name in names if name in report] == []


def test_the_page_can_be_read_without_seeing_it(report):
    tags = Page(report)
    levels = [int(name[1]) for name, _ in tags.tags if re.fullmatch(r"h\d", name)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert tags.all("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in tags.all("img"))
    assert all(cell.get("scope") for cell in tags.all("th"))
    charts = [svg for svg in tags.all("svg") if "aria-hidden" not in svg]
    assert len(charts) > 10
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in charts)
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_no_picture_waits_for_scrolling(report):
    assert not any("loading" in attributes for attributes in Page(report).all("img"))


def test_charts_say_which_way_is_good(report):
    assert '<span class="better">lower is better</span>' in report
    assert "Mean cosine over epoch. At the end features:" in report


def test_what_was_recorded_once_is_no_curve(copy):
    [first, *_] = copy.lines(copy.metrics)
    copy.metrics.write_text(json.dumps(first) + "\n")
    text = page.run_page(copy, live=True).decode()
    assert "These values were recorded once" in text
    assert "<dt>Loss</dt>" in text
    assert 'class="chart"' not in text


def test_views_have_captions(report):
    assert "Colors are those of the channels red, green, blue." in report
    assert re.search(r"<figcaption>ResizedCrop \d+ %\n", report)


def test_tags_are_closed(report):
    opened = [name for name, _ in Page(report).tags if name not in VOID]
    for name in set(opened):
        assert opened.count(name) == report.count(f"</{name}>"), name


def test_images_that_have_moved_leave_the_curves(copy):
    text = re.sub(
        r'path = ".*"', 'path = "/nowhere/miller_anna"', (copy.folder / "config.toml").read_text()
    )
    (copy.folder / "config.toml").write_text(text)
    html = page.run_page(Run(copy.folder)).decode()
    assert "The images are not available" in html
    assert 'id="map"' not in html
    assert "<svg" in html
    with pytest.raises(UsageError, match="do not exist"):
        page.run_page(Run(copy.folder), data="/nowhere")


@pytest.mark.parametrize(
    "missing", ["metrics.jsonl", "encoder.safetensors", "checkpoints", "manifest.json"]
)
def test_a_run_that_has_just_begun_has_a_page(copy, missing):
    path = copy.folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert b"<h1>" in page.run_page(copy)


@pytest.mark.parametrize("missing", ["encoder.safetensors", "encoder.json"])
def test_a_run_without_an_encoder_is_to_be_resumed(copy, missing):
    shutil.rmtree(copy.folder / "evaluations", ignore_errors=True)
    (copy.folder / missing).unlink()
    html = page.run_page(copy).decode()
    assert "The run has no encoder yet" in html
    assert f"ssl-kit train --resume {copy.folder}" in html
    assert "ssl-kit evaluate RUN" not in html
    assert "images are not available" not in html


def test_the_live_page_looks_at_no_image(finished_run):
    html = page.run_page(finished_run, live=True).decode()
    assert "connect-src 'self'" in html
    assert "<img" not in html
    assert 'id="training"' in html
    assert outside(html) == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("miller_anna/ct/001.dcm", "cannot decode miller_anna/ct/001.dcm: too short"),
        ("miller_anna/001.dcm", "001.dcm of miller_anna is damaged"),
        ("a.dcm", "no file '/data/miller_anna/a.dcm'"),
        ("a.dcm", 'tag "MILLER^ANNA" is odd'),
        ("a.dcm", "series 1.2.840.113619.2.5 has no pixels"),
        ("a.dcm", r"cannot open C:\scans\miller_anna\a.dcm"),
    ],
)
def test_no_name_remains_in_the_reason_of_a_skip(copy, key, reason):
    copy.append(copy.skipped, {"key": key, "reason": reason})
    copy.append(copy.skipped, {"key": key.replace("1", "2"), "reason": reason})
    (shown, count), *_ = facts.skipped(copy)
    assert not re.search(r"miller|anna|001|113619", shown, re.IGNORECASE)
    assert count == 2 or "1" in key
    assert shown.encode() in page.run_page(copy, live=True).replace(b"&#39;", b"'")


def index_of(groups):
    hashes = lambda chosen=slice(None): {f"g{groups[i]}" for i in np.arange(len(groups))[chosen]}  # noqa: E731
    return SimpleNamespace(group_hashes=hashes)


@pytest.mark.parametrize(
    ("trained", "test", "words", "bad"),
    [
        (["g1", "g2"], [2, 3], "own images has 2 images of 1 group.", False),
        (["g1", "g3"], [2, 3], "1 test group was also used for pre-training", True),
        (["g1"], [], "No image is held out", False),
    ],
)
def test_the_leak_statement(trained, test, words, bad):
    splits = Splits(np.array([0, 1]), np.array([], int), np.array(test, int))
    statement = sections.leak({"groups": trained}, index_of([1, 2, 3, 3]), splits)
    assert words in statement.words
    assert statement.bad is bad


def test_an_overlap_is_said_in_red(copy):
    dataset = open_images(str(copy.folder), "", "", "")[1]
    manifest = copy.read_json("manifest.json")
    copy.write_json("manifest.json", {**manifest, "groups": sorted(dataset.index.group_hashes())})
    assert '<p class="leak bad" role="alert">' in page.run_page(copy).decode()


def test_the_verdict_comes_with_its_cure(copy):
    manifest = copy.read_json("manifest.json")
    copy.write_json("manifest.json", {**manifest, "verdict": "COLLAPSED"})
    html = page.run_page(copy, live=True).decode()
    assert 'class="verdict COLLAPSED"' in html
    assert "lower the learning rate" in html


def test_the_command_is_shown_once_it_is_kept(copy):
    assert facts.command(copy, {"command": "ssl-kit train --domain x"}) == (
        "ssl-kit train --domain x",
        True,
    )
    text, exact = facts.command(copy, {})
    assert "config.toml" in text
    assert not exact


def test_steps_are_of_the_batch_size_that_the_training_had(copy):
    records = copy.lines(copy.metrics)
    rows = dict(facts.facts(copy, {}, {"groups": [], "batch_size": 6}, records))
    assert rows["Steps"].endswith("each of 6 images")


@pytest.mark.parametrize(
    ("seconds", "text"), [(45.2, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_words(seconds, text):
    assert facts.duration(seconds) == text


def test_the_command_writes_the_file(copy, monkeypatch):
    monkeypatch.setattr(page, "run_page", lambda run, data: f"{run.folder.name} {data}".encode())
    done = CliRunner().invoke(main, ["report", str(copy.folder), "--data", "there"])
    assert done.exit_code == 0
    assert (copy.folder / "report.html").read_text() == "run there"
    assert "report.html" in done.output
    done = CliRunner().invoke(
        main, ["report", str(copy.folder), "--out", str(copy.folder / "new" / "a.html"), "--json"]
    )
    assert json.loads(done.output) == {"file": str(copy.folder / "new" / "a.html")}


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds nothing to report on. Give the folder of a run, a comp" in done.output


def test_thumbnails_of_the_worst_images_stay_small():
    noise = np.random.default_rng(0).integers(0, 256, (500, 64, 64, 3), dtype=np.uint8)
    sheet = sprite(list(noise))
    assert (sheet.columns, sheet.rows) == (25, 20)
    assert len(sheet.uri) < 1.7e6


@pytest.mark.parametrize("shape", [(20, 20, 1), (20, 20, 13), (1, 300, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_view_becomes_a_picture(shape, dtype):
    view = np.random.default_rng(0).random(shape)
    view = (view * 255).astype(np.uint8) if dtype == np.uint8 else view.astype(dtype)
    shown = square(view, tuple(f"c{c}" for c in range(shape[2])), 32)
    assert (shown.shape, shown.dtype) == ((32, 32, 3), np.uint8)
    assert shown.std() > 1
    assert jpeg(shown).startswith("data:image/jpeg;base64,")


def test_a_page_shows_names_that_are_no_unicode(monkeypatch):
    templates = jinja2.Environment(loader=jinja2.DictLoader({"name": "{{ name }}"}))
    monkeypatch.setattr(page, "_environment", lambda: templates)
    assert page.render("name", name="caf\udce9") == rb"caf\udce9"
