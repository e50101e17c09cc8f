// What holds the places that something waits for: the limit, its place in the line, links to those before it.
import { html } from "../../../vendor/preact.js";
import { usePolled } from "../../../parts/asking/polled.js";
import { countedBy, isOfNodes, placeOf, Standers } from "../../../parts/words/limit_lines.js";
import { shownText } from "../../../parts/shown_text.js";

const MOST = 500;

/** @param {{limitKey: string, execution: string, node?: string}} props `node` that waits for its turn; without it the run does */
export function TurnFacts({ limitKey, execution, node }) {
  /** @type {import("../../../parts/asking/polled.js").Polled<{items: import("../../../parts/words/limit_lines.js").Limit[]}>} */
  const { told } = usePolled(`/limits?limit=${MOST}`);
  const all = (told?.items ?? []).filter((each) => each.key === limitKey && isOfNodes(each) === (node !== undefined));
  // Several limits may say one key: the one in which it is seen waiting is meant.
  const found = all.find((each) => placeOf(each, execution, node)) ?? all[0];
  if (!found) return null;
  const place = placeOf(found, execution, node);
  const isRate = found.kind === "rate" || found.kind === "node_rate";
  return html`<dl class="kv turn"><dt>limit</dt><dd><code><bdi>${shownText(limitKey)}</bdi></code></dd><dt>counts</dt><dd>${countedBy(found)}${isRate ? "" : `, at most ${found.limit} at once`}</dd>
    ${place > 0 && html`<dt>place in line</dt><dd>${place} of ${found.waiting}</dd>`}
    ${!isRate && html`<dt>held by</dt><dd><${Standers} all=${found.holders} count=${found.holding} /></dd>`}</dl>`;
}
