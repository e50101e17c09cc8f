// The timeline of a run: a bar for each attempt of each node on an axis of time.
import { html, useEffect, useMemo, useRef, useState } from "../../../vendor/preact.js";
import { now as clock } from "../../../app/clock.js";
import { useKeys } from "../../../app/keys.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { useRowsInSight, placed } from "../../../parts/virtual_rows.js";
import { attemptLog } from "../history/attempt_log.js";
import { eventsOf } from "../history/run_events.js";
import { select, selected, shownStatuses } from "../selection.js";
import { ROW } from "./timeline/row_bars.js";
import { Axis, Folds, Grid, Legend, namesWidth, Patterns } from "./timeline/time_layers.js";
import { busyTimes, longestChain, timeRows } from "./timeline/time_rows.js";
import { timeScale } from "./timeline/time_scale.js";
import { TimelineRow } from "./timeline/timeline_row.js";
import { Tip, tipLines, tipPlace } from "./timeline/tip.js";
import { useRoving } from "./roving.js";

const AXIS = 28;
const NOTES = 96;
const LEAST_WIDTH = 420;

/** @type {[import("./timeline/time_rows.js").RowOrder, string][]} */
const ORDERS = [["start", "By start"], ["length", "By length"], ["graph", "By graph"]];

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Timeline({ store }) {
  const feed = eventsOf(store);
  const [order, setOrder] = useState(/** @type {import("./timeline/time_rows.js").RowOrder} */ ("start"));
  const [fold, setFold] = useState(true);
  const [unfolded, setUnfolded] = useState(/** @type {Set<number>} */ (new Set()));
  const [onlyChain, setOnlyChain] = useState(false);
  const [pointed, point] = useState(/** @type {{id: string, span: number} | null} */ (null));
  const log = useLog(feed);
  const over = store.isOver.value;
  const now = over ? endOf(store, log) : clock.value;
  const wanted = shownStatuses.value;
  const nodes = store.order.value.flatMap((id) => store.nodes.get(id)?.value ?? []);
  const all = timeRows(nodes, log, now, order);
  const chain = onlyChain ? longestChain(all, now) : null;
  const rows = all.filter(({ node }) => (!wanted.size || wanted.has(node.status)) && (!chain || chain.has(node.id)));
  const { box, first, last } = useRowsInSight(rows.length, ROW, AXIS);
  const { names, width } = useWidth(box);
  const begin = Math.min(log.runs[0]?.at ?? Infinity, ...all.map((row) => row.begin), now - 1);
  const end = over ? now : roundedUp(begin, now);
  const scale = timeScale({ begin, end, busy: busyTimes(all, now), width: width - NOTES, fold, unfolded });
  const height = Math.max(rows.length * ROW + 8, 60);
  const layer = { names, scale, width, height, now: over ? null : now, runs: log.runs };
  const unfold = (/** @type {import("./timeline/time_scale.js").Piece} */ piece) => setUnfolded(new Set([...unfolded, piece.gap]));
  const step = (/** @type {number} */ by) => {
    const row = rows[roving.active];
    if (row) point({ id: row.node.id, span: Math.max(0, Math.min(row.spans.length - 1, (pointed?.id === row.node.id ? pointed.span : row.spans.length) + by)) });
  };
  const roving = useRoving({ box, rows, above: AXIS, chosen: selected.value, height: ROW, onSide: step });
  useKeys([{ keys: "j", does: "next row", run: () => roving.move(1) }, { keys: "k", does: "row before", run: () => roving.move(-1) }], [rows.length]);

  const at = pointed ? rows.findIndex(({ node }) => node.id === pointed.id) : -1;
  const lines = at >= 0 && pointed ? tipLines(rows[at], pointed.span, now) : [];
  const place = lines.length ? tipPlace({ rows, at, lines, scale, now, width, names }) : null;
  return html`<section class="time" aria-label="Timeline"><${Patterns} />
    <div class="time-bar"><span class="joined" role="group" aria-label="Order of the rows">${ORDERS.map(([key, name]) => html`
      <button key=${key} class="b" type="button" aria-pressed=${order === key} onClick=${() => setOrder(key)}>${name}</button>`)}</span>
      <label class="line"><input type="checkbox" checked=${fold} onChange=${() => { setFold(!fold); setUnfolded(new Set()); }} /> Fold idle time</label>
      <label class="line"><input type="checkbox" checked=${onlyChain} onChange=${() => setOnlyChain(!onlyChain)} /> Longest chain</label>
      <span class="grow"></span>${lines.length && !place ? html`<span class="time-said">${lines.join(" · ")}</span>` : html`<${Legend} />`}</div>
    <${ProblemNote} problem=${feed.problem.value} what="The events of this run" again=${feed.read} />
    ${feed.cut.value && html`<p class="tab-note">Older events of this run are not kept: what is earlier is missing here.</p>`}
    ${!rows.length && html`<p class="tab-note">${all.length ? "No node has the status that is filtered by." : "This run has no nodes."}</p>`}
    <div class="gantt" ref=${box} role="group" aria-label="Bars of each node" onKeyDown=${roving.onKeyDown}>
      <div class="gantt-body" ref=${placed({ width: names + width, "--names": names })}><${Axis} scale=${scale} width=${width} now=${layer.now} />
      <div class="gantt-rows" ref=${placed({ height })}>
        <${Grid} ...${layer} />
        ${rows.slice(first, last).map((row, index) => html`<${TimelineRow} key=${row.node.id} row=${row} at=${first + index} scale=${scale} now=${now}
          width=${width} isSelected=${selected.value === row.node.id} isActive=${roving.active === first + index}
          onSelect=${() => select(row.node.id)} onPoint=${(/** @type {number | null} */ span) => point(span === null ? null : { id: row.node.id, span })} />`)}
        <${Folds} ...${layer} unfold=${unfold} />
        ${place && html`<${Tip} lines=${lines} place=${place} />`}</div></div></div></section>`;
}

/** @param {import("../history/paged_feed.js").Feed<import("../history/run_events.js").RunEvent>} feed The attempts, taken from the events as they come. */
function useLog(feed) {
  const log = useMemo(attemptLog, [feed]);
  const taken = useRef(0);
  const changed = feed.changed.value;
  useMemo(() => {
    for (; taken.current < feed.items.length; taken.current += 1) log.take(feed.items[taken.current]);
  }, [changed]);
  return log;
}

/** @param {import("../../../vendor/preact.js").Ref<HTMLElement | null>} box How wide the bars may be. */
function useWidth(box) {
  const [room, setRoom] = useState(1100);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const sizes = new ResizeObserver(() => setRoom(element.clientWidth));
    sizes.observe(element);
    return () => sizes.disconnect();
  }, []);
  const names = namesWidth(room);
  return { names, width: Math.max(LEAST_WIDTH, room - names) };
}

/**
 * Rounded up so that the axis moves now and then, not each second.
 * @param {number} begin
 * @param {number} now
 */
function roundedUp(begin, now) {
  const step = 1000 * 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, now - begin) / 16_000)));
  return begin + Math.ceil((now - begin + 1) / step) * step;
}

/**
 * @param {import("../run_store.js").RunStore} store
 * @param {import("../history/attempt_log.js").AttemptLog} log
 */
function endOf(store, log) {
  const ends = [...log.nodes.values()].map((spans) => spans.at(-1)?.to ?? 0);
  return Math.max(Date.parse(store.run.value?.finished_at ?? "") || 0, ...ends);
}
