// Whether the service can work: one sentence, then each thing that is missing, and what to do about it.
import { html } from "../../vendor/preact.js";
import { Icon } from "../../parts/icon.js";
import { usePolled } from "../../parts/asking/polled.js";
import { withCode } from "../../parts/asking/rows.js";

/** @type {Record<string, {look: string, icon: string, says: string}>} */
const VERDICTS = {
  ok: { look: "completed", icon: "completed", says: "All is well" },
  degraded: { look: "waiting", icon: "warn", says: "Something is missing: what is accepted may wait" },
  down: { look: "failed", icon: "failed", says: "The service cannot work" },
};

export function Health() {
  /** @type {import("../../parts/asking/polled.js").Polled<{status: string, checks: Record<string, string>, warnings?: string[]}>} */
  const { told, problem } = usePolled("/health");
  const health = told ?? (problem?.document?.checks ? problem.document : null);
  if (!health) return problem ? html`<div class="verdict is-failed"><${Icon} name="failed" />Health is not known: ${problem.message}</div>` : html`<div class="verdict"></div>`;
  const { look, icon, says } = VERDICTS[health.status] ?? VERDICTS.degraded;
  const missing = Object.entries(health.checks).filter(([, said]) => said !== "ok");
  const fine = Object.entries(health.checks).filter(([, said]) => said === "ok").map(([name]) => name);
  return html`<section class="card health" aria-label="Health"><div class=${`body verdict-line is-${look}`}>
      <span class="status"><${Icon} name=${icon} />${says}</span>
      <span class="quiet small">${fine.length ? `working: ${fine.join(", ")}` : ""}</span></div>
    ${(missing.length > 0 || (health.warnings ?? []).length > 0) && html`<ul class="said">
      ${missing.map(([name, said]) => html`<li class=${`is-${look}`}><${Icon} name=${icon} /><b>${name}</b> <bdi>${withCode(said)}</bdi></li>`)}
      ${(health.warnings ?? []).map((/** @type {string} */ said) => html`<li class="is-waiting"><${Icon} name="warn" /><bdi>${withCode(said)}</bdi></li>`)}</ul>`}
  </section>`;
}
