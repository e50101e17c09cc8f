// The attempts of a node: bars, and a table of their times and outcomes.
import { html } from "../../../vendor/preact.js";
import { at, duration, exact } from "../../../app/format.js";
import { Status } from "../../../parts/status.js";
import { bar } from "../tabs/timeline/row_bars.js";
import { errorWords } from "../words/node_words.js";

const WIDTH = 388;

/** @typedef {{attempt: number, queued_at: string | null, started_at: string | null, finished_at: string | null, delivery: number | null, error: any}} Attempt */

/** @param {{attempts: Attempt[], status: string, now: number}} props */
export function Tries({ attempts, status, now }) {
  if (!attempts.length) return html`<p class="quiet">It has not been tried.</p>`;
  return html`<${Bars} attempts=${attempts} status=${status} now=${now} />
    <table><thead><tr><th>#</th><th>Started (UTC)</th><th class="num">Queued</th><th class="num">Ran</th><th>Outcome</th></tr></thead><tbody>
    ${attempts.map((each, index) => html`<tr key=${`${each.attempt}.${index}`}><td>${each.attempt}</td>
      <td title=${exact(each.started_at ?? each.queued_at)}>${(each.started_at ?? each.queued_at ?? "–").slice(11, 19)}</td>
      <td class="num">${time(at(each.started_at ?? each.finished_at) - at(each.queued_at))}</td>
      <td class="num">${time((each.finished_at ? at(each.finished_at) : now) - at(each.started_at))}</td>
      <td><${Outcome} attempt=${each} isLast=${index === attempts.length - 1} status=${status} /></td></tr>`)}</tbody></table>`;
}

/** @param {{attempt: Attempt, isLast: boolean, status: string}} props */
function Outcome({ attempt, isLast, status }) {
  const again = (attempt.delivery ?? 1) > 1 ? html` <span class="faint" title="Its worker was lost, and the task came again">delivery ${attempt.delivery}</span>` : null;
  if (attempt.error) return html`<${Status} status="failed" word=${errorWords(attempt.error)} />${again}`;
  return html`<${Status} status=${isLast ? status : "completed"} />${again}`;
}

/** @param {{attempts: Attempt[], status: string, now: number}} props */
function Bars({ attempts, status, now }) {
  const begin = Math.min(...attempts.map((each) => at(each.queued_at ?? each.started_at)).filter(Number.isFinite));
  const last = attempts[attempts.length - 1];
  const end = last.finished_at ? at(last.finished_at) : now;
  if (!Number.isFinite(begin) || end <= begin) return null;
  const x = (/** @type {number} */ ms) => ((ms - begin) / (end - begin)) * (WIDTH - 2);
  return html`<svg class="tries" viewBox=${`0 0 ${WIDTH} 18`} preserveAspectRatio="none" aria-hidden="true"><g transform="translate(0 -3.5)">
    ${attempts.flatMap((each, index) => {
      const isLast = each === last;
      const [queued, ran] = [at(each.queued_at ?? each.started_at), at(each.started_at ?? each.finished_at)];
      const until = each.finished_at ? at(each.finished_at) : now;
      const outcome = each.error ? (isLast && status === "failed" ? "failed" : "retried") : isLast ? status : "completed";
      const next = attempts[index + 1];
      const about = { attempt: each.attempt, to: null };
      return [
        ran > queued && bar({ ...about, kind: "queued", from: queued }, x(queued), Math.max(2, x(ran) - x(queued))),
        Number.isFinite(ran) && bar({ ...about, kind: "run", from: ran, outcome }, x(ran), Math.max(2, x(until) - x(ran))),
        next && bar({ ...about, kind: "backoff", from: until }, x(until), Math.max(0, x(at(next.queued_at)) - x(until))),
      ].filter(Boolean);
    })}</g></svg>`;
}

/** @param {number} ms */
const time = (ms) => (Number.isFinite(ms) ? duration(ms) : "–");
