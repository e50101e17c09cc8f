// The keys: what each may do, when it was last used. Nothing of the keys themselves is known here.
import { html, useState } from "../../vendor/preact.js";
import { call } from "../../app/api.js";
import { me } from "../../app/session.js";
import { Ago } from "../../parts/moment.js";
import { Icon } from "../../parts/icon.js";
import { Confirmed } from "../../parts/asking/confirmed.js";
import { usePolled } from "../../parts/asking/polled.js";
import { numeric, Rows } from "../../parts/asking/rows.js";

/** @type {Record<string, string>} */
const ROLES = {
  read: "sees everything", decide: "sees, and decides what waits for a person", run: "sees, and starts what is stored",
  author: "starts workflows of its own", operate: "cancels, reruns, decides", admin: "may do everything",
};

/**
 * @typedef {{id: string, role: string, kept_in: "settings" | "redis", created_at: string | null, expires_at: string | null, expired: boolean,
 *   last_used_at: string | null}} Key
 */
export function Keys() {
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Key[]}>} */
  const polled = usePolled("/keys");
  const [asks, ask] = useState(/** @type {Key | null} */ (null));
  const [done, say] = useState("");
  const items = polled.told?.items ?? [];
  return html`<div role="status">${done && html`<p class="hint">${done}</p>`}</div>
    <${Rows} name="Keys" polled=${polled} count=${items.length} empty=${html`There is no key. <code>flowengine key new NAME --role ROLE</code> makes one.`}
      heads=${["Name", "Role", "Kept in", numeric("Made"), numeric("Last used"), numeric("Valid until"), html`<th scope="col"><span class="unseen">What can be done</span></th>`]}
      foot=${html`<p class="foot">Keys are made by <code>flowengine key new NAME --role ROLE</code> alone, and shown once.</p>`}>
      ${items.map((key) => html`<tr key=${`${key.kept_in} ${key.id}`}><th scope="row" class="name"><bdi>${key.id}</bdi>${key.id === me.value?.key && html` <span class="faint">this one</span>`}</th>
        <td><b>${key.role}</b> <span class="quiet">${ROLES[key.role] ?? ""}</span></td><td>${key.kept_in === "settings" ? "the settings" : "Redis"}</td>
        <td class="num"><${Ago} at=${key.created_at} /></td><td class="num">${key.last_used_at ? html`<${Ago} at=${key.last_used_at} />` : key.kept_in === "redis" ? "never" : "–"}</td>
        <td class="num">${key.expired ? html`<span class="status is-failed"><${Icon} name="failed" />expired</span>` : key.expires_at ? key.expires_at.slice(0, 16).replace("T", " ") : "–"}</td>
        <td class="acts"><${Revoke} keyOf=${key} ask=${ask} /></td></tr>`)}</${Rows}>
    ${asks && html`<${Confirmed} title=${`Revoke ${asks.id}`} does="Revoke it" danger=${true} onClose=${() => ask(null)}
      says=${`Within 15 seconds nobody is let in with the key ${asks.id} any more${asks.id === me.value?.key ? ": you neither, this page is signed in with it" : ""}. It cannot be brought back; a new one can be made.`}
      act=${async () => { await call("DELETE", `/keys/${encodeURIComponent(asks.id)}`); say(`The key ${asks.id} is revoked.`); polled.again(); }} />`}`;
}

/** @param {{keyOf: Key, ask: (key: Key) => void}} props */
function Revoke({ keyOf, ask }) {
  const fixed = keyOf.kept_in === "settings";
  const why = "It stands in FLOWENGINE_API_KEYS: take its entry out there, and restart the API.";
  return html`<button class="b danger" type="button" aria-disabled=${fixed ? "true" : null} title=${fixed ? why : null}
    aria-label=${`Revoke ${keyOf.id}${fixed ? `: not possible here. ${why}` : ""}`} onClick=${() => { if (!fixed) ask(keyOf); }}>Revoke</button>`;
}
