// The definitions: what is applied under its name, and how it has gone in the last day.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { counted, cutMiddle, number } from "../../app/format.js";
import { query, setQuery } from "../../app/router.js";
import { isNarrow, may } from "../../app/session.js";
import { useTitle } from "../../app/title.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { CopyButton } from "../../parts/copy_button.js";
import { Icon } from "../../parts/icon.js";
import { Ago } from "../../parts/moment.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { ShortText } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { definitionAddress } from "./addresses.js";
import { useAllDefinitions } from "./all_definitions.js";

/** @typedef {import("./all_definitions.js").Summary} Summary */

const SHOWN = 100;
const COMMAND = "flowengine apply workflows/";

export function Definitions() {
  useTitle("Definitions");
  const { items, problem, again } = useAllDefinitions();
  /** @type {import("../../parts/asking/polled.js").Polled<{definitions: any[]}>} */
  const stats = usePolled("/stats", !isNarrow());
  const wanted = query.value.get("q") ?? "";
  const [page, goTo] = useState(0);
  useEffect(() => goTo(0), [wanted]);
  const found = (items ?? []).filter((each) => matches(each, wanted.toLowerCase()));
  const first = Math.min(page * SHOWN, Math.max(0, found.length - 1));
  const ends = new Map((stats.told?.definitions ?? []).map((each) => [each.name, each]));
  return html`<div class="page definitions"><div class="head"><h1>Definitions</h1>
      <span class="quiet">${items && items.length > 0 && counted(items.length, "definition")}</span>
      ${may("admin") && html`<div class="actions"><a class="b" href="/ui/new">Write one</a></div>`}</div>
    <section class="card" aria-label="Definitions">
      ${problem && html`<${ProblemNote} problem=${problem} what=${items ? "The newest state" : "The definitions"} again=${again} />`}
      ${!items && !problem && html`<${Bones} what="the definitions" />`}
      ${items && (items.length ? html`<div class="filters"><label class="search"><${Icon} name="find" /><span class="unseen">Find by name, description or label</span>
          <input type="search" value=${wanted} placeholder="Name, description or label" autocomplete="off" spellcheck=${false}
            onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} /></label></div>
        ${found.length ? html`<${Table} shown=${found.slice(first, first + SHOWN)} ends=${ends} />
          <${Pages} first=${first} count=${found.length} goTo=${(/** @type {number} */ to) => goTo(to)} page=${page} />`
          : html`<div class="body empty"><h2>No definition matches</h2><p>${counted(items.length, "definition is", "definitions are")} hidden by this filter.</p>
            <p><button class="b" type="button" onClick=${() => setQuery({ q: "" })}>Clear the filter</button></p></div>`}`
        : html`<${NoneYet} />`)}</section></div>`;
}

/** @param {Summary} each @param {string} wanted */
function matches(each, wanted) {
  if (!wanted) return true;
  const labels = Object.entries(each.labels).map(([name, value]) => `${name}=${value}`);
  return [each.name, each.description ?? "", ...labels].some((text) => text.toLowerCase().includes(wanted));
}

/** @param {{shown: Summary[], ends: Map<string, any>}} props */
function Table({ shown, ends }) {
  return html`<table class="defs"><thead><tr><th scope="col">Name</th><th scope="col" class="num">Version</th><th scope="col" class="num">Nodes</th>
      <th scope="col">Last 24 hours</th><th scope="col">Applied</th></tr></thead>
    <tbody>${shown.map((each) => html`<tr key=${each.name}>
      <td class="c-name"><a class="name plain" href=${definitionAddress(each.name)}><bdi><${ShortText} text=${each.name} most=${90} /></bdi></a>
        <div class="under cut"><bdi>${shownText((each.description ?? "").slice(0, 300))}</bdi></div></td>
      <td class="num">v${each.version}</td><td class="num">${number(each.nodes)}</td><td><${Outcome} ends=${ends.get(each.name)} /></td>
      <td class="c-applied"><${Ago} at=${each.applied_at} />${each.applied_by && html` <span class="faint">by <bdi>${shownText(cutMiddle(each.applied_by, 30))}</bdi></span>`}</td></tr>`)}</tbody></table>`;
}

/** @param {{ends: any}} props How its runs of the last day have ended. */
function Outcome({ ends }) {
  const known = ["failed", "completed", "cancelled"].filter((status) => ends?.[status]);
  if (!known.length) return html`<span class="faint">–</span>`;
  return html`<span class="outcome">${known.map((status) => html`<span key=${status} class=${`status is-${status}`}><${Icon} name=${status} />${number(ends[status])}<span class="unseen"> ${status}</span></span>`)}</span>`;
}

/** @param {{first: number, count: number, page: number, goTo: (page: number) => void}} props */
function Pages({ first, count, page, goTo }) {
  if (count <= SHOWN) return null;
  const last = Math.min(count, first + SHOWN);
  return html`<p class="foot"><span>${number(first + 1)} to ${number(last)} of ${number(count)}</span>
    <button class="b" type="button" aria-disabled=${page ? null : "true"} onClick=${() => { if (page) goTo(page - 1); }}>Before</button>
    <button class="b" type="button" aria-disabled=${last < count ? null : "true"} onClick=${() => { if (last < count) goTo(page + 1); }}>After</button></p>`;
}

function NoneYet() {
  return html`<div class="body empty"><h2>No definitions yet</h2>
    <p>A document that is applied stays under its name, with its versions: it can be started from here, and by keys that may only start.</p>
    <p>Apply a folder of them from a terminal:</p><div class="line"><pre>$ ${COMMAND}</pre><${CopyButton} text=${COMMAND} what="the command" /></div></div>`;
}
