// The versions of a definition, and what differs between two of them.
import { html, useState } from "../../../vendor/preact.js";
import { withQuery } from "../../../app/api.js";
import { exact } from "../../../app/format.js";
import { useOnce } from "../../../parts/asking/asked_once.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { definitionAddress, definitionPath } from "../addresses.js";
import { Changes } from "./changes.js";
import { DocumentDiff } from "./document_diff.js";

const SHOWN = 12;

/** @param {{name: string, shown: number, versions: import("../../../parts/asking/polled.js").Polled<{items: import("../definition.js").Version[]}>}} props */
export function Versions({ name, shown, versions }) {
  const all = versions.told?.items ?? [];
  const [picked, pick] = useState(0);
  const [against, compareWith] = useState(0);
  const [open, setOpen] = useState(false);
  const version = all.find((each) => each.version === (picked || shown)) ?? all[0];
  const before = all.filter((each) => version && each.version < version.version);
  const since = before.find((each) => each.version === against) ?? before[0];
  if (!version) return html`<${ProblemNote} problem=${versions.problem} what="Its versions" again=${versions.again} />`;
  return html`<section class="card" aria-label="Versions"><header><h2>Versions</h2><span class="faint small">a run keeps the one that it started with</span><span class="grow"></span>
      ${since && html`<label class="line small">Compare ${version.version} with <select class="in auto" value=${String(since.version)}
        onInput=${(/** @type {any} */ event) => compareWith(Number(event.target.value))}>${before.map((each) => html`<option key=${each.version} value=${String(each.version)}>${each.version}</option>`)}</select></label>`}</header>
    ${versions.problem && html`<${ProblemNote} problem=${versions.problem} what="The newest versions" again=${versions.again} />`}
    <div class="versions" role="group" aria-label="Versions">${all.slice(0, open ? all.length : SHOWN).map((each) => html`<button key=${each.version} type="button"
        aria-pressed=${each === version ? "true" : "false"} onClick=${() => { pick(each.version); compareWith(0); }} title=${`Applied ${exact(each.applied_at)}${each.applied_by ? ` by key ${each.applied_by}` : ""}`}>
        <b>${each.version}${each.current && html` <i>in force</i>`}</b>${each.applied_at.slice(0, 10)}</button>`)}
      ${all.length > SHOWN && !open && html`<button type="button" onClick=${() => setOpen(true)}>${all.length - SHOWN} more</button>`}</div>
    ${since ? html`<${Compared} key=${`${version.version} ${since.version}`} name=${name} version=${version.version} since=${since.version} />`
      : html`<div class="body quiet">${version.version === 1 ? "The first version: there is nothing before it." : "No version before it is kept."}</div>`}
    ${version.version !== shown && html`<p class="foot"><a class="b" href=${definitionAddress(name, { version: version.current ? "" : version.version })}>Show version ${version.version}</a></p>`}</section>`;
}

/** @param {{name: string, version: number, since: number}} props */
function Compared({ name, version, since }) {
  /** @type {import("../../../parts/asking/polled.js").Polled<{differences: import("./changes.js").Difference[]}>} */
  const { told, problem, again } = useOnce(withQuery(definitionPath(name, "/changes"), { version, since }));
  return html`${problem && html`<${ProblemNote} problem=${problem} what="What differs" again=${again} />`}
    ${told && html`<${Changes} differences=${told.differences} />`}<${DocumentDiff} name=${name} version=${version} since=${since} />`;
}
