// The list of what waits: what is asked, by which workflow, since when.
import { html } from "../../vendor/preact.js";
import { now } from "../../app/clock.js";
import { at, cutMiddle, duration, exact } from "../../app/format.js";
import { Icon } from "../../parts/icon.js";
import { shownText } from "../../parts/shown_text.js";
import { askAddress, keyOf } from "./asks.js";

const PROMPT_CHARS = 160;
const NAME_CHARS = 60;
const SOON_MS = 3_600_000;

/** @param {{items: import("./asks.js").Waiting[], chosen: import("./asks.js").Waiting | null}} props */
export function AskList({ items, chosen }) {
  if (!items.length) return html`<p class="card body empty quiet">Nothing else waits.</p>`;
  return html`<ul class="card asks" aria-label="What waits">${items.map((item) => html`<li key=${keyOf(item)}>
    <a href=${askAddress(item)} aria-current=${chosen && keyOf(item) === keyOf(chosen) ? "true" : null}>
      <span class="is-waiting"><${Icon} name="waiting" /></span>
      <strong class="cut"><bdi>${shownText(cutMiddle(item.node, NAME_CHARS))}</bdi>${item.item !== undefined && html` <code class="faint"><bdi>${shownText(cutMiddle(item.item, NAME_CHARS))}</bdi></code>`}</strong><${Since} item=${item} />
      <span class="what"><bdi>${promptOf(item)}</bdi></span>
      <span class="what small faint cut"><bdi>${shownText(cutMiddle(item.name, NAME_CHARS))}</bdi> · ${item.kind} · <code>${cutMiddle(item.execution_id, 13)}</code></span></a></li>`)}</ul>`;
}

/** @param {{item: import("./asks.js").Waiting}} props How long it waits; what is over soon says so instead. */
function Since({ item }) {
  const left = at(item.until) - now.value;
  if (left < SOON_MS) return html`<time class="small status is-waiting" datetime=${item.until} title=${exact(item.until)}>${left > 0 ? `${duration(left)} left` : "time over"}</time>`;
  return html`<time class="small quiet" datetime=${item.since} title=${exact(item.since)}>${duration(now.value - at(item.since))}</time>`;
}

/** @param {import("./asks.js").Waiting} item */
function promptOf(item) {
  const prompt = item.prompt ?? (item.kind === "signal" ? `Waits for ${(item.names ?? [item.node]).join(" or ")}` : "Asks for an approval");
  return shownText(prompt.length > PROMPT_CHARS ? `${prompt.slice(0, PROMPT_CHARS)}…` : prompt);
}
