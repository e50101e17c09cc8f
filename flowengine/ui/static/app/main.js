// The page: who looks at it, where they are, and what is shown there.
import { html, render, useEffect, useRef } from "../vendor/preact.js";
import { Compare } from "../pages/compare/compare.js";
import { Definition } from "../pages/definitions/definition.js";
import { Definitions } from "../pages/definitions/definitions.js";
import { NewRun } from "../pages/new/new_run.js";
import { Run } from "../pages/run/run.js";
import { Runs } from "../pages/runs/runs.js";
import { Schedules } from "../pages/schedules/schedules.js";
import { System } from "../pages/system/system.js";
import { WaitingPage } from "../pages/waiting/waiting.js";
import { ProblemNote } from "../parts/problem_note.js";
import { Frame } from "./frame.js";
import { navigate, parts, startRouter } from "./router.js";
import { learn, me } from "./session.js";
import { SignIn } from "./sign_in.js";
import { signal } from "../vendor/preact.js";

const TRIED_AGAIN_MS = 5000;
const ROOT = "";
const problem = signal(/** @type {any} */ (null));

function App() {
  useEffect(() => { ask(); }, []);
  useEffect(() => {
    if (!problem.value) return undefined;
    const timer = setTimeout(ask, TRIED_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [problem.value]);
  if (me.value === null) return html`<${SignIn} />`;
  if (me.value === undefined) {
    return problem.value ? html`<main class="page"><${ProblemNote} problem=${problem.value} what="The page" again=${ask} /></main>` : null;
  }
  return html`<${Frame}><${Page} /></${Frame}>`;
}

function Page() {
  const [place, id] = parts.value;
  useEffect(() => { if (!place) navigate("/ui/runs", { replace: true }); }, [place]);
  useFocusAt(place ? `${place} ${id ?? ""}` : ROOT);
  if (place === "runs" && id) return html`<${Run} key=${id} id=${id} />`;
  if (place === "runs") return html`<${Runs} />`;
  if (place === "compare") return html`<${Compare} />`;
  if (place === "definitions" && id) return html`<${Definition} key=${id} name=${id} />`;
  if (place === "definitions") return html`<${Definitions} />`;
  if (place === "schedules") return html`<${Schedules} />`;
  if (place === "waiting") return html`<${WaitingPage} />`;
  if (place === "new") return html`<${NewRun} />`;
  if (place === "system") return html`<${System} />`;
  if (!place) return null;
  return html`<div class="page empty"><h1>There is no page here</h1><p>Begin at the <a href="/ui/runs">runs</a>.</p></div>`;
}

/**
 * Who comes to another place stands at its content: what had the focus before is gone. Who is led from the root to
 * the first place has only just come, and begins above the content.
 * @param {string} where
 */
function useFocusAt(where) {
  const before = useRef(where);
  useEffect(() => {
    if (before.current === where) return;
    const from = before.current;
    before.current = where;
    if (from === ROOT) return;
    const focus = document.activeElement;
    if (!focus || focus === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  }, [where]);
}

async function ask() {
  try {
    await learn();
    problem.value = null;
  } catch (error) {
    problem.value = error;
  }
}

startRouter();
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(html`<${App} />`, root);
}
