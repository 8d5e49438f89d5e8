"""Opens the pages in a real browser: no console error, no request, nothing wider than a phone."""

import itertools
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssl_kit.reports.html import page
from ssl_kit.reports.html.serve import make_server

EXAMPLE = Path(__file__).with_name("test_html_compare.json")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; apt-get install chromium"),
]
# Points at the first chart and the map, then writes down what can be seen of them.
PROBE = """<script>
const seen = [...document.querySelectorAll("svg[data-tips]")].map((svg) => {
  svg.scrollIntoView();
  const box = svg.getBoundingClientRect();
  const [clientX, clientY] = [box.left + box.width / 2, box.top + box.height / 2];
  svg.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX, clientY }));
  return document.querySelector(".tip").textContent;
});
document.querySelectorAll("details").forEach((details) => { details.open = true; });
const wide = [...document.querySelectorAll("main *")]
  .filter((e) => !e.closest(".scroll, pre, svg"))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.outerHTML.slice(0, 80));
document.title = JSON.stringify(
  { seen, wide, page: document.documentElement.scrollWidth, window: innerWidth });
</script>"""


def visit(tmp_path, address, width=1280):
    """Returns the final DOM, the console, and the addresses that were asked for."""
    log = tmp_path / "net.json"
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         "--v=0",
         f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
         "--disable-background-networking", "--disable-component-update", "--no-first-run",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--log-net-log={log}",
         "--virtual-time-budget=12000", "--dump-dom", address],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    own = '"initiator":"not an origin"'  # of the browser itself, such as its dictionary
    lines = [line for line in log.read_text().splitlines() if '"initiator":' in line]
    kept = "\n".join(line for line in lines if own not in line)
    asked = set(re.findall(r'"url":"((?:http|ws)s?:[^"]*)"', kept))
    return done.stdout, console, asked


def test_an_error_and_a_request_would_be_seen(tmp_path):
    file = tmp_path / "bad.html"
    file.write_text('<img src="http://example.org/a.png"><script>nothing()</script>')
    _, console, asked = visit(tmp_path, f"file://{file}")
    assert any("nothing is not defined" in line for line in console)
    assert asked == {"http://example.org/a.png"}


@pytest.fixture(scope="module", params=["run", "live", "comparison"])
def file(request, finished_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    if request.param == "comparison":
        long = EXAMPLE.read_text().replace("mine", "a_run_with_a_long_name_" * 3)
        (out.parent / "compare.json").write_text(long)
        return page.write_report(out.parent, out=out)
    made = page.run_page(finished_run, live=request.param == "live")
    out.write_bytes(made.replace(b"data-live", b""))  # a file has no server to ask
    return out


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_opens_without_error_or_request_and_fits(file, tmp_path, width):
    probed = tmp_path / "probed.html"
    probed.write_text(file.read_text().replace("</body>", PROBE + "</body>"))
    dom, console, asked = visit(tmp_path, f"file://{probed}", width)
    assert console == []
    assert asked == set()
    probed_page = json.loads(re.search(r"<title>(.*?)</title>", dom, re.S)[1].replace("&amp;", "&"))
    assert probed_page["seen"]
    assert all(probed_page["seen"])
    assert probed_page["wide"] == []
    assert probed_page["page"] <= probed_page["window"]


class Growing:
    """Stands for metrics.jsonl: another state each time it is looked at."""

    def __init__(self):
        self.states = itertools.count()

    def exists(self):
        return True

    def stat(self):
        return SimpleNamespace(st_mtime_ns=next(self.states), st_size=0)


def test_the_live_view_renews_itself(finished_run, tmp_path):
    made = []

    def render():
        made.append(1)
        live = page.run_page(finished_run, live=True)
        return live.replace(b"</h1>", b" version %d</h1>" % len(made))

    # a real file would change by the clock, and the browser's time is virtual
    with make_server(render, [Growing()], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        try:
            dom, console, asked = visit(tmp_path, address)
        finally:
            server.shutdown()
            thread.join()
    assert int(re.search(r"version (\d+)</h1>", dom)[1]) > 1
    assert console == []
    assert {url for url in asked if not url.startswith(address)} == set()
