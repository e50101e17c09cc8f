// The page: who looks at it, where they are, and what is shown there.
import { html, render, useEffect } from "../vendor/preact.js";
import { NewRun } from "../pages/new/new_run.js";
import { Run } from "../pages/run/run.js";
import { Runs } from "../pages/runs/runs.js";
import { System } from "../pages/system/system.js";
import { ProblemNote } from "../parts/problem_note.js";
import { Frame } from "./frame.js";
import { navigate, parts, startRouter } from "./router.js";
import { learn, me } from "./session.js";
import { SignIn } from "./sign_in.js";
import { signal } from "../vendor/preact.js";

const problem = signal(/** @type {any} */ (null));

function App() {
  useEffect(() => { ask(); }, []);
  if (me.value === null) return html`<${SignIn} />`;
  if (me.value === undefined) {
    return problem.value ? html`<main class="page"><${ProblemNote} problem=${problem.value} what="The page" again=${ask} /></main>` : null;
  }
  return html`<${Frame}><${Page} /></${Frame}>`;
}

function Page() {
  const [place, id] = parts.value;
  useEffect(() => { if (!place) navigate("/ui/runs", { replace: true }); }, [place]);
  if (place === "runs" && id) return html`<${Run} key=${id} id=${id} />`;
  if (place === "runs") return html`<${Runs} />`;
  if (place === "new") return html`<${NewRun} />`;
  if (place === "system") return html`<${System} />`;
  if (!place) return null;
  return html`<div class="page empty"><h1>There is no page here</h1><p>Begin at the <a href="/ui/runs">runs</a>.</p></div>`;
}

async function ask() {
  try {
    problem.value = null;
    await learn();
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
