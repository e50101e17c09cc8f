"""`python -m tests.benchmarks.page_speed`: the graph of a thousand nodes in a real browser.

A stand-in for the API answers what it would, from the real layout, and changes 50 statuses a second for a
minute. Measured: from the answer to the first painted graph; the length of a frame while one pans and zooms,
near and far, and the CPU time of the page for it; the CPU time of the browser during the changes, and whether
the page says the same as the stand-in at the end; the size of the answers, gzipped.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.drivers.page_standin import PageStandIn

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
CHANGES_A_SECOND = 50
_FIRST_PAINT = """() => new Promise(done => {
  const look = () => {
    if (document.querySelectorAll('.node .id').length || document.querySelector('.graph.far path[d^=M]')) {
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const answer = performance.getEntriesByType('resource').filter(e => e.name.endsWith('/graph'))[0];
        done(performance.now() - answer.responseEnd);
      }));
    } else requestAnimationFrame(look);
  };
  look();
})"""
_FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    window.frames_.push(now - last);
    last = now;
    window.ticking = requestAnimationFrame(tick);
  };
  window.ticking = requestAnimationFrame(tick);
}"""
_TAKE_FRAMES = "() => { cancelAnimationFrame(window.ticking); return window.frames_.slice(2); }"
_LOOKS = """() => Object.fromEntries([...document.querySelectorAll('[data-card]')].map(
  card => [card.dataset.card, /is-(\\w+)/.exec(card.getAttribute('class'))[1]]))"""


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page_speed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long statuses change (60)")
    options = parser.parse_args(arguments)
    with PageStandIn() as api, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("pageerror", lambda error: print(f"error in the page: {error}"))
        paints = [_first_paint(page, api) for _ in range(3)]
        print(f"first graph painted after the answer: {_numbers(paints)} ms")
        sizes = {name: len(gzip.compress(data)) for name, data in api.answers().items()}
        print(f"answers, gzipped: {sizes}, together {sum(sizes.values()) / 1000:.0f} KB")
        for name, keys in (("near", ()), ("icons", ("-", "-")), ("far", ("0",))):
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_timeout(400)
            print(f"{name}: pan {frames(page, _pan)}, zoom {frames(page, _zoom)}")
        for name, key in (("far", "0"), ("near", "+")):
            for _ in range(1 if key == "0" else 14):
                page.keyboard.press(key)
            page.wait_for_timeout(400)
            print(f"{name}: {_changes(page, api, options.seconds)}")
        browser.close()
    return 0


def _first_paint(page: Page, api: PageStandIn) -> float:
    page.goto("about:blank")
    page.goto(api.run_address)
    return float(page.evaluate(_FIRST_PAINT))


def _pan(page: Page, step: int) -> None:
    if step == 0:
        page.mouse.move(700, 500)
        page.mouse.down()
    page.mouse.move(700 + 300 * ((step % 40) - 20) / 20, 500 + 150 * ((step % 26) - 13) / 13)


def _zoom(page: Page, step: int) -> None:
    if step == 0:
        page.mouse.up()
        page.mouse.move(700, 500)
    page.mouse.wheel(0, -40 if (step // 12) % 2 else 40)


def frames(page: Page, move: object) -> str:
    """How long frames take while this is done 120 times, in words, and the CPU time of the page for each."""
    processes = _children("--type=renderer")
    before = _cpu_s(processes)
    page.evaluate(_FRAMES)
    for step in range(120):
        move(page, step)  # type: ignore[operator] # one of the two above
    page.mouse.up()
    lengths = sorted(page.evaluate(_TAKE_FRAMES))
    cpu_ms = (_cpu_s(processes) - before) / len(lengths) * 1000
    p95 = lengths[int(len(lengths) * 0.95)]
    middle = statistics.median(lengths)
    return f"{len(lengths)} frames, p50 {middle:.1f}, p95 {p95:.1f} ms, CPU {cpu_ms:.1f} ms each"


def _changes(page: Page, api: PageStandIn, seconds: float) -> str:
    processes = _children()
    before, began = _cpu_s(processes), time.monotonic()
    changed = api.change(CHANGES_A_SECOND, seconds)
    took = time.monotonic() - began
    used = _cpu_s(processes) - before
    page.wait_for_timeout(1500)
    looks = page.evaluate(_LOOKS)
    lost = sum(1 for node, status in api.statuses().items() if looks.get(node) != status)
    return f"{changed} changes in {took:.0f} s, {lost} lost, {used / took:.2f} cores of the whole browser"


def _children(role: str = "chrom") -> list[int]:
    """The browser's processes, below this one, whose command says this."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return [pid for pid in sorted(found - {os.getpid()}) if role in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _cpu_s(processes: list[int]) -> float:
    ticks = 0
    for pid in processes:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
