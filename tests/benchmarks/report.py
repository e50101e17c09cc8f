"""The tables that a run prints."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.figures import Figures, Row, percentile
from tests.benchmarks.findings import Backlog, Findings
from tests.benchmarks.phases import KILLED, OURS, RUNNING
from tests.benchmarks.systems import System

MIB = 1024 * 1024


def asked(rows: Sequence[Row]) -> str:
    """Ours against what is asked."""
    lines = [("", "measured", "must", "aim", "")]
    for row in rows:
        sign = ">=" if row.least else "<="
        value = "not measured" if row.value is None else row.shown.format(row.value)
        lines.append((row.what, value, f"{sign} {row.must:g}", f"{sign} {row.aim:g}", _words(row)))
    return _table(lines)


def _words(row: Row) -> str:
    return {"aim": "pass, aim reached", "must": "pass", "missed": "MISSED", "-": ""}[row.verdict]


def measured(systems: Sequence[System], figures: Figures, found: Findings) -> str:
    """Every system's own figures."""
    names = [system.name for system in systems]
    lines: list[tuple[str, ...]] = [("", *(system.title for system in systems))]

    def add(what: str, form: str, values: Sequence[float | None]) -> None:
        if any(value is not None for value in values):
            lines.append((what, *("-" if value is None else form.format(value) for value in values)))

    def rate(what: str, label: str) -> None:
        add(what, "{:.0f}", [figures.nodes_per_s(name, label) for name in names])

    add("chain of 100: ms a hop", "{:.2f}", [figures.ms_a_hop(name, "chain") for name in names])
    rate("1 to 500 to 1: nodes/s", "fan_out")
    rate("502 bare messages: nodes/s", "bare")
    rate("many: 200 x 5 nodes: nodes/s *", "many")
    for word, share in (("median", 0.5), ("p95", 0.95)):
        add(f"many: {word}, ms", "{:.0f}", [figures.latency_ms(name, "many", share) for name in names])
    rate("200 chains of 5: nodes/s", "many_chain")
    rate("200 x group of 3: nodes/s", "many_group")
    for word, share in (("median", 0.5), ("p95", 0.95)):
        add(
            f"one node, idle stack: {word}, ms",
            "{:.1f}",
            [figures.latency_ms(name, "single", share) for name in names],
        )
    add("100 KB down a chain of 20: ms a hop", "{:.2f}", [figures.ms_a_hop(n, "payload") for n in names])
    add("chain of 1000: ms a hop", "{:.2f}", [figures.ms_a_hop(name, "deep_1000") for name in names])
    rate("1 to 98 to 1: nodes/s", "wide_100")
    rate("1 to 998 to 1: nodes/s", "wide_1000")
    for what in (RUNNING, KILLED):
        for word, share in (("median", 0.5), ("p95", 0.95)):
            late = figures.late_ms(what, share)
            values = [late if name == OURS else None for name in names]
            add(f"a try after 1 s, {what}: late by, {word}, ms", "{:.0f}", values)
    idle = [found.idle.get(name) for name in names]
    add("idle: % of one core", "{:.2f}", [None if i is None else i.services_percent for i in idle])
    add("idle: its server, % of one core", "{:.2f}", [None if i is None else i.server_percent for i in idle])
    add("idle: Redis commands a second", "{:.1f}", [None if i is None else i.commands_per_s for i in idle])
    memory = [found.memory.get(name) for name in names]
    add(
        "processes, supervisors included",
        "{:.0f}",
        [None if m is None else m.services.processes for m in memory],
    )
    add("memory (PSS), MiB", "{:.0f}", [None if m is None else m.services.pss / MIB for m in memory])
    add("memory (RSS), MiB", "{:.0f}", [None if m is None else m.services.rss / MIB for m in memory])
    add("its server (RSS), MiB", "{:.0f}", [None if m is None else m.server.rss / MIB for m in memory])
    return _table(lines) + "\n\n" + _notes(found)


def waiting(figures: Figures, found: Findings) -> str:
    """What calls cost that wait, by system; empty if none was measured."""
    lines: list[tuple[str, ...]] = [
        (
            "calls that wait",
            "seconds",
            "worker's CPU, ms a call",
            "its RSS, MiB",
            "quick node, p95, ms: idle",
            "beside them",
        )
    ]
    for name, each in found.waiting.items():
        hops = [figures.quick_p95_ms(name, beside=beside) or 0.0 for beside in (False, True)]
        lines.append(
            (
                f"{name}: {each.calls} of 1 s",
                f"{each.seconds:.2f}",
                f"{each.cpu_ms:.2f}",
                f"{each.rss / MIB:.0f}",
                *(f"{hop:.1f}" for hop in hops),
            )
        )
    return _table(lines) if len(lines) > 1 else ""


def _notes(found: Findings) -> str:
    lines = [
        "* FlowEngine and Celery: one node, three, one that joins them. Dramatiq: five in a row, each a "
        "task and a callback."
    ]
    backlog = found.backlog
    if backlog is not None:
        lines.append(
            f"Backlog of {backlog.executions} executions of 5 nodes: in Redis "
            f"{backlog.created_bytes:.0f} bytes each when created, {backlog.triggered_bytes:.0f} when "
            f"triggered ({backlog.trigger_ms:.2f} ms each); drained at {backlog.nodes_per_s:.0f} nodes/s; "
            f"at most {backlog.pss_peak / MIB:.0f} MiB in the services ({_each(backlog)} resident), "
            f"{backlog.server_bytes / MIB:.0f} MiB in the server."
        )
    flood = found.flood
    if flood is not None:
        beside, idle = [1000 * percentile(values, 0.5) for values in (flood.beside, flood.idle)]
        lines.append(
            f"Flood of {flood.nodes} nodes, {flood.seconds:.1f} s: a single node of another took "
            f"{beside:.0f} ms meanwhile (median of {len(flood.beside)}), at most "
            f"{max(flood.beside) * 1000:.0f} ms, and {idle:.1f} ms on the idle stack."
        )
    lines += [f"Failed: {what}: {why}" for what, why in found.failures.items()]
    return "\n".join(lines)


def _each(backlog: Backlog) -> str:
    return ", ".join(f"{name} {size / MIB:.0f}" for name, size in backlog.rss_peaks.items())


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    rule = ["-" * width if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    shaped = [lines[0], rule, *lines[1:]]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(widths[at]) if at == 0 else cell.rjust(widths[at]) for at, cell in enumerate(line)
        )
        + " |"
        for line in shaped
    )
