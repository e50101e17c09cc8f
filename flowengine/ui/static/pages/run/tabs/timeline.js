// The timeline of a run: a bar for each attempt of each node on an axis of time.
import { html, useMemo, useRef, useState } from "../../../vendor/preact.js";
import { now as clock } from "../../../app/clock.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { attemptLog } from "../history/attempt_log.js";
import { eventsOf } from "../history/run_events.js";
import { selected, shownStatuses } from "../selection.js";
import { Gantt } from "./timeline/gantt.js";
import { Legend, namesWidth, Patterns } from "./timeline/time_layers.js";
import { busyTimes, longestChain, timeRows } from "./timeline/time_rows.js";
import { timeScale } from "./timeline/time_scale.js";

const NOTES = 112;
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
  const [room, setRoom] = useState(1100);
  const log = useLog(feed);
  const over = store.isOver.value;
  const now = over ? endOf(store, log) : clock.value;
  const wanted = shownStatuses.value;
  const nodes = store.order.value.flatMap((id) => store.nodes.get(id)?.value ?? []);
  const all = timeRows(nodes, log, now, order);
  const chain = onlyChain ? longestChain(all, now) : null;
  const rows = all.filter(({ node }) => (!wanted.size || wanted.has(node.status)) && (!chain || chain.has(node.id)));
  const names = namesWidth(room);
  const width = Math.max(LEAST_WIDTH, room - names);
  const begin = Math.min(log.runs[0]?.at ?? Infinity, ...all.map((row) => row.begin), now - 1);
  const scale = timeScale({ begin, end: over ? now : roundedUp(begin, now), busy: busyTimes(all, now), width: width - NOTES, fold, unfolded });
  const unfold = (/** @type {import("./timeline/time_scale.js").Piece} */ piece) => setUnfolded(new Set([...unfolded, piece.gap]));
  return html`<section class="time" aria-label="Timeline"><${Patterns} />
    <div class="time-bar"><span class="joined" role="group" aria-label="Order of the rows">${ORDERS.map(([key, name]) => html`
      <button key=${key} class="b" type="button" aria-pressed=${order === key} onClick=${() => setOrder(key)}>${name}</button>`)}</span>
      <label class="line"><input type="checkbox" checked=${fold} onChange=${() => { setFold(!fold); setUnfolded(new Set()); }} /> Fold idle time</label>
      <label class="line"><input type="checkbox" checked=${onlyChain} onChange=${() => setOnlyChain(!onlyChain)} /> Longest chain</label>
      <span class="grow"></span><${Legend} /></div>
    <${ProblemNote} problem=${feed.problem.value} what="The events of this run" again=${feed.read} />
    ${feed.cut.value && html`<p class="tab-note">Older events of this run are not kept: what is earlier is missing here.</p>`}
    ${!rows.length && html`<p class="tab-note">${all.length ? "No node has the status that is filtered by." : "This run has no nodes."}</p>`}
    <${Gantt} rows=${rows} scale=${scale} now=${now} over=${over} width=${width} names=${names} runs=${log.runs} chosen=${selected.value}
      onRoom=${setRoom} unfold=${unfold} /></section>`;
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
