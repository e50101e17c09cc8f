// What one can do with a definition as a whole.
import { html, useState } from "../../vendor/preact.js";
import { call, withQuery } from "../../app/api.js";
import { navigate, query } from "../../app/router.js";
import { may } from "../../app/session.js";
import { Confirmed } from "../../parts/asking/confirmed.js";
import { definitionPath } from "./addresses.js";

/** @param {{shown: import("./definition.js").Shown}} props */
export function DefinitionActions({ shown }) {
  const [asks, ask] = useState(false);
  const { name, version, current } = shown;
  const edit = withQuery("/ui/new", { definition: name, version: version === current ? "" : version });
  const toForm = () => {
    const form = document.querySelector(".start");
    form?.scrollIntoView({ block: "center" });
    /** @type {HTMLElement | null | undefined} */ (form?.querySelector("input, select, textarea, button"))?.focus({ preventScroll: true });
  };
  return html`<div class="actions">
    ${may("run") && !query.value.get("tab") && html`<button class="b to-form" type="button" onClick=${toForm}>Start a run</button>`}
    ${may("admin") && html`<button class="b danger" type="button" onClick=${() => ask(true)}>Delete…</button>`}
    ${may("author") && html`<a class="b" href=${edit}>Open in the editor</a>`}
    ${asks && html`<${Confirmed} title="Delete the definition" does="Delete it" danger=${true} onClose=${() => ask(false)}
      says=${html`<b><bdi>${name}</bdi></b> goes with all its versions, and nobody can start it any more. Its runs stay, and what runs goes on. It can be applied again.`}
      act=${async () => { await call("DELETE", definitionPath(name)); navigate("/ui/definitions"); }} />`}</div>`;
}
