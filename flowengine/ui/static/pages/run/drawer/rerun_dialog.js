// Rerun from a node: first what that would do, then the rerun, refused if somebody was faster.
import { html, useEffect, useState } from "../../../vendor/preact.js";
import { post } from "../../../app/api.js";
import { counted } from "../../../app/format.js";
import { Dialog } from "../../../parts/dialog.js";
import { Icon } from "../../../parts/icon.js";
import { wordsOf } from "./overrule_dialog.js";

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node, onClose: () => void}} props */
export function RerunDialog({ store, node, onClose }) {
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [wrong, say] = useState("");
  const [busy, setBusy] = useState(false);
  const path = `${store.path}/rerun`;
  const wanted = { mode: "from", from: [node.id] };
  useEffect(() => { post(path, { ...wanted, preview: true }).then(setPreview, (problem) => say(wordsOf(problem))); }, []);
  const send = async () => {
    setBusy(true);
    try {
      await post(path, { ...wanted, expect: { run: preview.run } });
      store.snapshot();
      onClose();
    } catch (problem) {
      say(wordsOf(problem));
      setBusy(false);
    }
  };
  const no = preview?.not_possible ?? [];
  return html`<${Dialog} title=${`Rerun from ${node.id.length > 60 ? "this node" : node.id}`} onClose=${onClose}>
    <p>It runs again, and everything below it, as the next run of this execution.</p>
    ${preview && html`<dl class="kv wide"><dt>runs again</dt><dd>${counted(preview.reset.length, "node")}<${Ids} ids=${preview.reset} /></dd>
      <dt>kept</dt><dd>${counted(preview.reused.length, "result")}<${Ids} ids=${preview.reused} /></dd></dl>`}
    ${no.map((/** @type {any} */ each) => html`<p class="wrong-line is-failed"><${Icon} name="failed" /><span>${each.message}</span></p>`)}
    ${wrong && html`<p class="wrong-line is-failed" role="alert"><${Icon} name="failed" /><span>${wrong}</span></p>`}
    <div class="line ends"><button class="b" type="button" onClick=${onClose}>Back</button>
      <button class="b primary" type="button" disabled=${busy || !preview || no.length > 0} onClick=${send}>${preview ? `Rerun ${counted(preview.reset.length, "node")}` : "Rerun"}</button></div></${Dialog}>`;
}

/** @param {{ids: string[]}} props */
function Ids({ ids }) {
  if (!ids.length) return null;
  const shown = ids.slice(0, 12);
  return html`<span class="quiet">: <bdi>${shown.join(", ")}</bdi>${ids.length > shown.length ? ` and ${ids.length - shown.length} more` : ""}</span>`;
}
