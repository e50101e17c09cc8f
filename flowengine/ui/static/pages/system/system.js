// System: whether the service can work, what waits, who works, and what an admin looks after.
import { html, useEffect } from "../../vendor/preact.js";
import { counted } from "../../app/format.js";
import { query } from "../../app/router.js";
import { may, me } from "../../app/session.js";
import { Audit } from "./audit.js";
import { DeadLetters } from "./dead_letters.js";
import { Health } from "./health.js";
import { Keys } from "./keys.js";
import { Limits } from "./limits.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Queues } from "./queues.js";
import { Settings } from "./settings.js";
import { Workers } from "./workers.js";

/** @typedef {{part: string, name: string, role: import("../../app/session.js").Role, shows: any, count?: (queues: any) => number}} Part */

/** @type {Part[]} */
const PARTS = [
  { part: "queues", name: "Queues", role: "read", shows: Queues },
  { part: "limits", name: "Limits", role: "read", shows: Limits },
  { part: "workers", name: "Workers", role: "read", shows: Workers },
  { part: "letters", name: "Dead letters", role: "admin", shows: DeadLetters, count: lettersIn },
  { part: "keys", name: "Keys", role: "admin", shows: Keys },
  { part: "settings", name: "Settings", role: "admin", shows: Settings },
  { part: "audit", name: "Audit", role: "admin", shows: Audit },
];

export function System() {
  useEffect(() => { document.title = "System · FlowEngine"; }, []);
  const queues = usePolled("/queues");
  const workers = usePolled("/workers");
  const shown = PARTS.filter((each) => may(each.role));
  const asked = query.value.get("part");
  const current = PARTS.find((each) => each.part === asked) ?? PARTS[0];
  const version = /** @type {any} */ (workers.told)?.api_version;
  return html`<div class="page system">
    <div class="head"><h1>System</h1>${version && html`<span class="quiet">FlowEngine ${version}</span>`}
      <div class="actions"><a class="b" href="/docs">API description</a>${" "}<a class="b" href="/metrics">Metrics</a></div></div>
    <${Health} />
    <nav class="tabs" aria-label="Parts of the system">${shown.map((each) => html`<a href=${`/ui/system?part=${each.part}`}
      aria-current=${each === current ? "page" : null}>${each.name}${badge(each.count?.(queues.told) ?? 0)}</a>`)}</nav>
    ${me.value?.key === null && may("admin") && current.part === "keys" && html`<p class="hint">This API asks for no key: each
      person who reaches it may do everything. The first one is made with <code>flowengine key new NAME --role admin</code>.</p>`}
    ${may(current.role) ? html`<${current.shows} queues=${queues} workers=${workers} />`
      : html`<p class="hint">${current.name} are for keys of the role <b>${current.role}</b>; this one has the role ${me.value?.role}.</p>`}
  </div>`;
}

/** @param {any} queues */
function lettersIn(queues) {
  return (queues?.items ?? []).reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.dead_letters, 0);
}

/** @param {number} count */
function badge(count) {
  return count ? html`<b class="count is-waiting" aria-label=${counted(count, "dead letter")}>${count}</b>` : null;
}
