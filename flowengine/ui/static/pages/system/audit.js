// The audit: who has done what, the newest first.
import { html, useState } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { runAddress } from "../../app/router.js";
import { Ago } from "../../parts/moment.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Rows } from "../../parts/asking/rows.js";

const SHOWN = 50;
const RUN = /^[0-9a-f]{27}$/;

/**
 * @typedef {{at: string, action: string, target: string | null, outcome: string, key: string | null, address: string | null,
 *   correlation_id?: string, node?: string, reason?: string}} Entry
 */
export function Audit() {
  const [before, goBehind] = useState("");
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Entry[], next_cursor: string | null}>} */
  const polled = usePolled(withQuery("/audit", { limit: SHOWN, cursor: before }));
  const items = polled.told?.items ?? [];
  const next = polled.told?.next_cursor;
  return html`<${Rows} name="Audit" polled=${polled} count=${items.length} empty="Nothing has been changed yet."
      heads=${["When", "Who", "What", "Of what", "Outcome", "Why"]}
      foot=${html`<p class="foot">What was refused is in the log alone. Some 10,000 entries are kept.
        ${before && html` <button class="b" type="button" onClick=${() => goBehind("")}>The newest</button>`}
        ${next && html` <button class="b" type="button" onClick=${() => goBehind(next)}>Older ones</button>`}</p>`}>
    ${items.map((entry, at) => html`<tr key=${`${entry.at} ${at}`}><td><${Ago} at=${entry.at} /></td>
      <td><bdi>${entry.key ?? (entry.address ? "no key" : "command line")}</bdi> <span class="faint">${entry.address ?? ""}</span></td>
      <td>${entry.action.replaceAll("_", " ")}</td><td><${Target} entry=${entry} /></td><td>${entry.outcome}</td>
      <td class="meaning"><bdi>${entry.reason ?? ""}</bdi></td></tr>`)}</${Rows}>`;
}

/** @param {{entry: Entry}} props */
function Target({ entry }) {
  const { target, node } = entry;
  if (!target) return "–";
  if (!RUN.test(target)) return html`<bdi>${target}</bdi>`;
  return html`<a href=${runAddress(target, node ? { node } : undefined)}><code>${target}</code></a>${node && html` <bdi class="quiet">${node}</bdi>`}`;
}
