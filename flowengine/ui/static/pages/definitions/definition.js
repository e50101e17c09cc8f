// One definition: overview, graph and document of a version, and the form that starts it.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { get, withQuery } from "../../app/api.js";
import { counted, cutMiddle } from "../../app/format.js";
import { query, setQuery } from "../../app/router.js";
import { useTitle } from "../../app/title.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { Icon } from "../../parts/icon.js";
import { Ago } from "../../parts/moment.js";
import { PlanGraph } from "../../parts/plan_graph.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { ShortText } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { DefinitionActions } from "./actions.js";
import { definitionAddress, definitionPath, textOf } from "./addresses.js";
import { DocumentLines } from "./document_lines.js";
import { linesOfNodes } from "./node_lines.js";
import { Overview } from "./overview.js";

/**
 * @typedef {object} Shown a version
 * @property {string} name
 * @property {number} version
 * @property {number} current the version in force
 * @property {string | null} description
 * @property {Record<string, string>} labels
 * @property {number} nodes
 * @property {string} applied_at
 * @property {string | null} applied_by
 * @property {string} media_type
 * @property {any} document its text, or its value
 * @property {any} input_schema
 * @property {any} graph
 * @property {string[]} followers the definitions that start when its runs end
 *
 * @typedef {{version: number, current: boolean, applied_at: string, applied_by: string | null, nodes: number}} Version
 */

const TABS = [{ tab: "", name: "Overview" }, { tab: "graph", name: "Graph" }, { tab: "document", name: "Document" }];
const MOST_VERSIONS = 100;
const MOST_FOLLOWERS = 8;

/** @param {{name: string}} props */
export function Definition({ name }) {
  const asked = query.value.get("version") ?? "";
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Version[]}>} */
  const versions = usePolled(definitionPath(name, `/versions?limit=${MOST_VERSIONS}`));
  const inForce = versions.told?.items.find((each) => each.current);
  const { shown, problem, again } = useShown(name, asked, `${inForce?.version} ${inForce?.applied_at}`);
  const tab = query.value.get("tab") ?? "";
  useTitle(`${cutMiddle(name, 50)} · Definitions`);
  return html`<div class="page definition">
    <div class="head"><a class="back-up" href="/ui/definitions" aria-label="All definitions"><${Icon} name="left" /></a>
      <h1 class="cut" title=${name}><bdi><${ShortText} text=${name} most=${90} /></bdi></h1>
      ${shown && html`<span class="quiet">version ${shown.version}, applied <${Ago} at=${shown.applied_at} />${
        shown.applied_by && html` by key <bdi>${shownText(cutMiddle(shown.applied_by, 30))}</bdi>`}</span><${DefinitionActions} shown=${shown} />`}</div>
    ${problem && html`<div class="card">${problem.code === "definition_not_found" && !asked ? html`<${NoDefinition} />`
      : html`<${ProblemNote} problem=${problem} what="The definition" again=${again}
        instead=${problem.status === 404 && html`<a class="b" href=${definitionAddress(name)}>The version in force</a>`} />`}</div>`}
    ${!shown && !problem && html`<div class="card"><${Bones} what="the definition" /></div>`}
    ${shown && html`<p class="quiet about-it"><bdi>${shownText((shown.description ?? "").slice(0, 2000))}</bdi> <span class="faint">${counted(shown.nodes, "node")}.</span>
        ${shown.followers.length > 0 && html` <${FollowedBy} names=${shown.followers} />`}</p>
      ${shown.version !== shown.current && html`<div class="note is-queued old" role="note"><span class="grow">This is not the version in force: that is version ${shown.current}.</span>
        <a class="b" href=${definitionAddress(name, { tab })}>Show version ${shown.current}</a></div>`}
      <nav class="tabs plain-tabs" aria-label="Views of this definition">${TABS.map((each) => html`<a key=${each.tab} href=${definitionAddress(name, { version: asked, tab: each.tab })}
        aria-current=${tab === each.tab ? "page" : null}>${each.name}</a>`)}</nav>
      <${View} tab=${tab} shown=${shown} versions=${versions} />`}</div>`;
}

function NoDefinition() {
  return html`<div class="body empty" role="alert"><h2>There is no such definition</h2>
    <p>It was deleted, it has not been applied yet, or its name is not whole.</p><p><a class="b" href="/ui/definitions">All definitions</a></p></div>`;
}

/** @param {{names: string[]}} props Those that start when its runs end. */
function FollowedBy({ names }) {
  const left = names.slice(MOST_FOLLOWERS);
  return html`<span>Followed by ${names.slice(0, MOST_FOLLOWERS).map((each) => html`<a key=${each} class="tag" href=${definitionAddress(each)}><bdi><${ShortText} text=${each} most=${40} /></bdi></a> `)}${
    left.length > 0 && html`<span title=${left.join(", ")}>and ${left.length} more</span>`}</span>`;
}

/** @param {{tab: string, shown: Shown, versions: any}} props */
function View({ tab, shown, versions }) {
  const text = textOf(shown);
  if (tab === "graph") {
    const ids = shown.graph.cards.flatMap((/** @type {any} */ card) => card.members ?? [card.id]);
    return html`<section class="card graph-card" aria-label="Graph"><${PlanGraph} graph=${shown.graph} count=${shown.nodes} lines=${linesOfNodes(text, ids)}
      onOpen=${(/** @type {number} */ line) => setQuery({ tab: "document", line: String(line) }, {})} /></section>`;
  }
  if (tab === "document") return html`<${DocumentLines} text=${text} name=${`${shown.name}-v${shown.version}`} type=${shown.media_type} line=${Number(query.value.get("line")) || 0} />`;
  return html`<${Overview} key=${`${shown.name} ${shown.version}`} shown=${shown} versions=${versions} />`;
}

/**
 * The version that is asked for, anew when another one is in force.
 * @param {string} name
 * @param {string} version "" for the one in force
 * @param {string} inForce changes when it does
 */
function useShown(name, version, inForce) {
  const [state, setState] = useState({ shown: /** @type {Shown | null} */ (null), problem: /** @type {any} */ (null) });
  const known = useRef("");
  const ask = () => {
    const stop = new AbortController();
    get(withQuery(definitionPath(name), { version }), { signal: stop.signal }).then(
      (shown) => setState({ shown, problem: null }),
      (problem) => { if (!stop.signal.aborted) setState({ shown: null, problem }); },
    );
    return () => stop.abort();
  };
  useEffect(ask, [name, version]);
  useEffect(() => {
    const before = known.current;
    known.current = inForce;
    return before && !before.startsWith("undefined") && before !== inForce ? ask() : undefined;
  }, [inForce]);
  return { ...state, again: () => { ask(); } };
}
