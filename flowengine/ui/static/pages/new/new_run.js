// New: a document is written, with what is wrong with it and its picture beside it, and started.
import { html, signal, useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { get, withQuery } from "../../app/api.js";
import { bytes, counted } from "../../app/format.js";
import { query } from "../../app/router.js";
import { may } from "../../app/session.js";
import { Icon } from "../../parts/icon.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { definitionPath, textOf } from "../definitions/addresses.js";
import { isJson } from "./code_words.js";
import { Editor } from "./editor.js";
import { ChooseExample, ExampleList, EXAMPLES, loadExample } from "./examples.js";
import { InputsForm } from "./inputs_form.js";
import { answer, check, given, keep, replace, replaced, schema, takeUp, text, unanswered } from "./new_draft.js";
import { PlanGraph } from "../../parts/plan_graph.js";
import { goToLine, problemsByNode, ProblemList } from "./problem_list.js";
import { markOf } from "./quick_fix.js";
import { RoleNote, StartBar } from "./start_bar.js";
import { refused } from "./starting.js";

const MOST_BYTES = 5 * 1024 ** 2;
/** Why what the address asks for could not be had. */
const notLoaded = signal(/** @type {any} */ (null));
/** What the document came from: a file, an example, a run. */
const source = signal("");
/** What an address has asked for last. An entry of the history whose wish was met has it too: coming back there, and
 * loading the page anew, do not undo what was written since. */
let loaded = "";

export function NewRun() {
  const asks = query.value.toString();
  useEffect(() => {
    document.title = "New · FlowEngine";
    refused.value = null;
    takeUp();
    addEventListener("pagehide", keep);
    return () => { keep(); removeEventListener("pagehide", keep); };
  }, []);
  useEffect(() => { load(); }, [asks]);
  const [over, setOver] = useState(false);
  const found = answer.value;
  const parted = parts(found);
  const drop = async (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    const file = event.dataTransfer?.files[0];
    if (file) await open(file);
    else if (event.dataTransfer?.getData("text")) replace(event.dataTransfer.getData("text"));
  };
  const marks = useMemo(() => marksOf(text.value, parted.problems, found?.warnings ?? []), [found, text.value]);
  return html`<div class="run-page"><div class="split">
    <section class=${over ? "pane over" : "pane"} aria-label="Document" onDrop=${drop}
        onDragOver=${(/** @type {Event} */ event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)}>
      <header><h1 class="t14">New run</h1><span class="faint cut hide-s">${source.value}</span><span class="grow"></span>
        <span class="faint small hide-s">${text.value.trim() && (isJson(text.value) ? "JSON" : "YAML")}</span>${text.value.trim() && html`<${ChooseExample} />`}<${OpenFile} /></header>
      ${notLoaded.value && html`<${ProblemNote} problem=${notLoaded.value} what="The document" again=${load} />`}
      ${replaced.value && html`<div class="note is-queued"><span class="grow">What was written here before is kept.</span>
        <button class="b" type="button" onClick=${bringBack}>Bring it back</button>
        <button class="b bare square" type="button" aria-label="Drop it" onClick=${() => { replaced.value = ""; }}><${Icon} name="x" /></button></div>`}
      <${Editor} text=${text.value} marks=${marks} label=${`Document${parted.problems.length ? `, ${counted(parted.problems.length, "problem")}` : ""}`} />
      <${ProblemList} problems=${parted.problems} warnings=${found?.warnings ?? []} />
    </section>
    <section class="pane" aria-label="Graph and start">
      <header><h2>Graph</h2><span class="faint hide-s">${found?.nodes.length ? `${counted(found.nodes.length, "node")}, as you type` : ""}</span>
        <span class="grow"></span><${Verdict} problems=${parted.problems.length} warnings=${found?.warnings.length ?? 0} /></header>
      ${unanswered.value && html`<${ProblemNote} problem=${unanswered.value} what="The check" again=${() => check(0)} />`}
      ${found?.graph ? html`<${PlanGraph} graph=${found.graph} count=${found.nodes.length} lines=${new Map(found.nodes.map((node) => [node.id, node.line]))}
          wrong=${problemsByNode(found.nodes, parted.problems)} onOpen=${(/** @type {number} */ line) => goToLine(line, 1)} />` : html`<${Begin} />`}
      ${text.value.trim() && html`<form class="form" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
        ${schema.value && html`<${InputsForm} wrong=${parted.inputs} />`}
        ${may("author") ? html`<${StartBar} problems=${parted.problems.length} wrongInputs=${wrongNames(parted.inputs)} />` : html`<${RoleNote} />`}</form>`}
    </section></div></div>`;
}

/** @param {{problems: number, warnings: number}} props */
function Verdict({ problems, warnings }) {
  if (!answer.value) return null;
  return html`<span class="line" role="status">
    ${problems > 0 && html`<span class="status is-failed"><${Icon} name="failed" />${counted(problems, "problem")}</span>`}
    ${warnings > 0 && html`<span class="status is-waiting"><${Icon} name="warn" />${counted(warnings, "warning")}</span>`}
    ${problems === 0 && html`<span class="status is-completed"><${Icon} name="completed" />No problems</span>`}</span>`;
}

/** What one sees beside an empty document. */
function Begin() {
  const written = text.value.trim();
  return html`<div class="stage"><div class="begin empty">
    ${written ? html`<p>${answer.value ? "No node of the document can be read yet." : ""}</p>` : html`
      <h2>Begin with a document</h2><p>Paste, type or drop one on the left. What is wrong with it is shown at its lines, and its graph here.</p>
      <h2>Or try an example</h2><${ExampleList} />
      <p class="small">The same from a terminal: <code>flowengine submit FILE --follow</code>. The language: <code>flowengine help document</code>.</p>`}
    </div></div>`;
}

function OpenFile() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const take = async () => {
    const file = field.current?.files?.[0];
    if (file) await open(file);
    if (field.current) field.current.value = "";
  };
  return html`<input class="unseen" type="file" accept=".yaml,.yml,.json,text/*,application/json" tabindex="-1" aria-hidden="true" ref=${field} onChange=${take} />
    <button class="b bare" type="button" onClick=${() => field.current?.click()}>Open a file</button>`;
}

/** @param {File} file */
async function open(file) {
  notLoaded.value = null;
  if (file.size > MOST_BYTES) {
    notLoaded.value = new Error(`The file has ${bytes(file.size)}, a document at most ${bytes(MOST_BYTES)}.`);
    return;
  }
  replace(await file.text());
  source.value = file.name;
}

/** Take what the address asks for: an example, the document and inputs of a run, or a version of a definition. */
async function load() {
  const { example, from, definition, version } = Object.fromEntries(query.value);
  const asks = example ? `example ${example}` : from ? `run ${from}` : definition ? `definition ${definition} ${version ?? ""}` : "";
  const isMet = history.state?.loaded === asks && (loaded === asks || !loaded);
  if (!asks || isMet && text.value) return;
  notLoaded.value = null;
  try {
    if (example) {
      replace(await loadExample(example));
      source.value = `example: ${EXAMPLES.find((each) => each.name === example)?.title}`;
    } else if (definition) {
      const shown = await get(withQuery(definitionPath(definition), { version }));
      replace(textOf(shown));
      source.value = `from ${shown.name}, version ${shown.version}`;
    } else {
      const path = `/workflows/${encodeURIComponent(from)}`;
      const [document, run] = await Promise.all([get(`${path}/document`, { raw: true }), get(path)]);
      replace(document, run.inputs ?? {});
      source.value = `from the run ${from}`;
    }
    loaded = asks;
    history.replaceState({ loaded: asks }, "");
  } catch (error) {
    notLoaded.value = error;
  }
}

function bringBack() {
  const before = replaced.value;
  replace(before);
  source.value = "";
}

/**
 * Problems of the document, and those of inputs and labels by their fields.
 * @param {import("./new_draft.js").Answer | null} found
 */
function parts(found) {
  /** @type {Record<string, string>} */
  const inputs = {};
  const problems = [];
  for (const each of found?.problems ?? []) {
    const [, first, name] = each.pointer.split("/").map((/** @type {string} */ part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (first === "inputs") inputs[name ?? ""] ??= each.message;
    else if (first === "labels") inputs[" labels"] ??= each.message;
    else problems.push(each);
  }
  return { inputs, problems };
}

/**
 * @param {string} written
 * @param {import("./new_draft.js").Found[]} problems
 * @param {import("./new_draft.js").Found[]} warnings
 * @returns {import("./editor.js").Mark[]}
 */
function marksOf(written, problems, warnings) {
  const lines = written.split("\n");
  return [
    ...problems.map((each) => ({ ...markOf(each, lines), look: /** @type {const} */ ("failed") })),
    ...warnings.map((each) => ({ ...markOf(each, lines), look: /** @type {const} */ ("waiting") })),
  ];
}

/** @param {Record<string, string>} said */
const wrongNames = (said) => [...new Set([...Object.keys(said), ...Object.keys(given.value.wrong)])];
