// Running again, in place or as a new run: what begins again, what is kept, and with which inputs; the API says what it would do.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";
import { post } from "../../../app/api.js";
import { counted, cutMiddle, number } from "../../../app/format.js";
import { navigate, runAddress } from "../../../app/router.js";
import { Dialog } from "../../../parts/dialog.js";
import { Icon } from "../../../parts/icon.js";
import { shownText } from "../../../parts/shown_text.js";
import { close } from "./asked.js";
import { NodePicker } from "./node_picker.js";

const PAUSE_MS = 250;
const MOST_ANEW = 50;
const MOST_KEYS = 5;
const KEY_CHARS = 40;
const MODES = [
  { mode: "failed", name: "What failed", help: "and what is below it; other results are kept" },
  { mode: "from", name: "From some nodes", help: "and all below them" },
  { mode: "all", name: "Everything", help: "no result is kept" },
];

/** @param {{store: import("../run_store.js").RunStore, asked: import("./asked.js").Asked}} props */
export function RerunDialog({ store, asked }) {
  const { items } = asked;
  const [mode, setMode] = useState(/** @type {string} */ (items ? "items" : asked.mode ?? "failed"));
  const [from, setFrom] = useState(asked.from ?? []);
  const [skip, setSkip] = useState(/** @type {string[]} */ ([]));
  const [texts, setTexts] = useState(/** @type {Record<string, string>} */ ({}));
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const [asNew, setAsNew] = useState(false);
  const [version, setVersion] = useState("original");
  const newest = useRef(0);
  const inputs = store.run.value?.inputs ?? {};
  const ids = store.order.value.filter((id) => !store.nodes.get(id)?.peek().hook);
  const patch = patchOf(texts, inputs);
  const missing = mode === "from" && !from.length && !skip.length && !Object.keys(patch.values).length;
  const modes = items ? [itemsMode(items), ...MODES] : MODES;
  const body = { mode, ...(mode === "items" && items ? { mode: "from", items: { [items.node]: items.keys } } : {}), ...(mode === "from" && from.length ? { from } : {}), ...(skip.length ? { skip } : {}),
    ...(Object.keys(patch.values).length ? { inputs: patch.values } : {}), ...(asNew ? { as: "new", version } : {}) };

  useEffect(() => {
    const mine = ++newest.current;
    setPreview(null);
    setProblem(null);
    if (missing || patch.wrong) return undefined;
    const timer = setTimeout(async () => {
      try {
        const found = await post(`${store.path}/rerun`, { ...body, preview: true });
        if (mine === newest.current) setPreview(found);
      } catch (error) {
        if (mine === newest.current) setProblem(error);
      }
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [JSON.stringify(body), missing, patch.wrong]);

  const possible = preview && !preview.not_possible.length;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!possible || busy) return;
    setBusy(true);
    try {
      const begun = await post(`${store.path}/rerun`, { ...body, expect: { run: preview.run } });
      close();
      if (asNew) navigate(runAddress(begun.execution_id));
      else await store.snapshot();
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  return html`<${Dialog} title="Run again" onClose=${close} wide><form class="asks-for" onSubmit=${submit}>
    <fieldset class="modes"><legend class="unseen">What begins again</legend>${modes.map((each) => html`<label key=${each.mode} class="line">
      <input type="radio" name="mode" checked=${mode === each.mode} onChange=${() => setMode(each.mode)} />
      <span><b><bdi>${each.name}</bdi></b> <span class="quiet"><bdi>${each.help}</bdi></span></span></label>`)}</fieldset>
    <${Where} asNew=${asNew} setAsNew=${setAsNew} current=${store.run.value?.version} version=${version} setVersion=${setVersion} />
    ${mode === "from" && html`<${NodePicker} name="from" label="Begin with" help="ids of nodes" ids=${ids} chosen=${from} onChange=${setFrom} />`}
    <${NodePicker} name="skip" label="Leave out" help="nodes that this run skips" ids=${ids} chosen=${skip} onChange=${setSkip} />
    ${Object.keys(inputs).length > 0 && html`<fieldset class="inputs"><legend>Inputs <span class="faint small">as JSON; what reads a changed one begins again</span></legend>
      ${Object.entries(inputs).map(([name, value]) => html`<label key=${name} class="field"><span><bdi>${name}</bdi>${
        name in patch.values ? html` <i>changed</i>` : ""}</span>
        <input class="in" value=${texts[name] ?? JSON.stringify(value)} aria-invalid=${patch.wrong === name ? "true" : null}
          onInput=${(/** @type {any} */ event) => setTexts({ ...texts, [name]: event.target.value })} />
        ${patch.wrong === name && html`<small class="wrong is-failed" role="alert"><${Icon} name="failed" />This is no JSON. A text stands in quotes: "like this".</small>`}</label>`)}</fieldset>`}
    <div class="preview" role="status">${problem ? html`<p class="wrong is-failed"><${Icon} name="failed" /> ${sentence(problem)}</p>`
      : missing ? html`<p class="quiet">Name a node to begin with.</p>`
      : preview ? html`<${Preview} preview=${preview} />` : html`<p class="quiet">${patch.wrong ? "" : "Asking what that would do…"}</p>`}</div>
    <div class="line end"><button class="b" type="button" onClick=${close}>Close</button>
      <button class="b primary" aria-disabled=${possible && !busy ? null : "true"}>${
        possible ? `Run ${howMuch(preview)} again` : "Run again"}</button></div></form></${Dialog}>`;
}

/**
 * Whether it is another run of this one, or a new one beside it; of which version.
 * @param {{asNew: boolean, setAsNew: (is: boolean) => void, current: number | undefined, version: string, setVersion: (version: string) => void}} props
 */
function Where({ asNew, setAsNew, current, version, setVersion }) {
  const one = (/** @type {boolean} */ is, /** @type {string} */ name, /** @type {string} */ help) => html`<label class="line">
    <input type="radio" name="where" checked=${asNew === is} onChange=${() => setAsNew(is)} /><span><b>${name}</b> <span class="quiet">${help}</span></span></label>`;
  return html`<fieldset class="modes"><legend class="unseen">Where</legend>${one(false, "In this run", "the results of what begins again are replaced")}
    ${one(true, "As a new run", "beside this one, which stays as it is; both can be compared")}
    ${asNew && current && html`<label class="field"><span>Version of the definition</span><select class="in" value=${version} onInput=${(/** @type {any} */ event) => setVersion(event.target.value)}>
      <option value="original">version ${current}, as this run</option><option value="latest">the one in force now</option></select></label>`}</fieldset>`;
}

/** @param {{node: string, keys: string[]}} items The choice that begins with them. */
function itemsMode({ node, keys }) {
  const names = keys.slice(0, MOST_KEYS).map((key) => shownText(cutMiddle(key, KEY_CHARS))).join(", ");
  const more = keys.length > MOST_KEYS ? ` and ${counted(keys.length - MOST_KEYS, "other")}` : "";
  return { mode: "items", name: `${counted(keys.length, "item")} of ${cutMiddle(node, 40)}`, help: `${names}${more}; and what is below the map` };
}

/** @param {any} preview What begins again, in the words of the button. */
function howMuch({ reset, items }) {
  const maps = Object.entries(items ?? {});
  const nodes = reset.length - maps.length;
  const again = maps.reduce((sum, [, each]) => sum + each.reset, 0);
  return [again ? counted(again, "item") : "", nodes || !again ? counted(nodes, "node") : ""].filter(Boolean).join(" and ");
}

/** @param {{items: Record<string, {reset: number, reused: number, failed: number, cancelled: number}>}} props What becomes of the items of maps of which some begin again. */
function ItemsAgain({ items }) {
  return Object.entries(items).map(([node, { reset, reused, failed, cancelled }]) => {
    const kept = [reused && `${counted(reused, "result")} kept`, failed && `${number(failed)} as failed as before`, cancelled && `${number(cancelled)} not run now`].filter(Boolean);
    return html`<p key=${node}><b>Of <bdi>${cutMiddle(node, 40)}</bdi> ${counted(reset, "item")} begin${reset === 1 ? "s" : ""} again</b>${kept.length ? `; of the others ${kept.join(", ")}` : ""}.</p>`;
  });
}

/** @param {{preview: any}} props */
function Preview({ preview }) {
  const { reset, reused, skipped, not_possible: impossible, forks, items } = preview;
  return html`${impossible.map((/** @type {any} */ each) => html`<p class="wrong is-failed"><${Icon} name="failed" /> <bdi>${each.message}</bdi></p>`)}
    <p><b>${counted(reset.length, "node")} begin${reset.length === 1 ? "s" : ""} again,</b> ${counted(reused.length, "result")} ${reused.length === 1 ? "is" : "are"} kept${
      skipped.length ? `, ${counted(skipped.length, "node")} ${skipped.length === 1 ? "is" : "are"} left out` : ""}.</p>
    ${items && html`<${ItemsAgain} items=${items} />`}
    ${forks?.anew.length > 0 && html`<details><summary>From their start <i>${forks.anew.length}</i></summary><ul class="inner">${forks.anew.slice(0, MOST_ANEW).map((/** @type {any} */ each) => html`
      <li key=${each.node}><b><bdi>${each.node}</bdi></b> <span class="quiet"><bdi>${each.message}</bdi></span></li>`)}${forks.anew.length > MOST_ANEW ? html`<li class="quiet">and ${forks.anew.length - MOST_ANEW} more</li>` : ""}</ul></details>`}
    ${[["Begin again", reset], ["Kept", reused], ["Left out", skipped]].map(([name, ids]) => ids.length > 0 && html`<details key=${name}>
      <summary>${name} <i>${ids.length}</i></summary><p class="inner id-list">${ids.slice(0, 200).join(", ")}${ids.length > 200 ? ` and ${ids.length - 200} more` : ""}</p></details>`)}`;
}

/** @param {any} problem */
function sentence(problem) {
  if (problem.code === "overtaken") return "Meanwhile another run of it has begun: close this, and look at that.";
  const first = problem.document?.problems?.[0]?.message;
  return first && !problem.message.includes(first) ? `${problem.message} ${first}` : problem.message;
}

/**
 * The inputs that get other values.
 * @param {Record<string, string>} texts
 * @param {Record<string, any>} inputs
 */
function patchOf(texts, inputs) {
  /** @type {Record<string, any>} */
  const values = {};
  let wrong = "";
  for (const [name, text] of Object.entries(texts)) {
    try {
      const value = JSON.parse(text);
      if (JSON.stringify(value) !== JSON.stringify(inputs[name])) values[name] = value;
    } catch {
      wrong = name;
    }
  }
  return { values, wrong };
}
