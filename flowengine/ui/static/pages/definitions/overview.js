// The overview of a definition: its runs over time, its versions, and the form that starts it.
import { html } from "../../vendor/preact.js";
import { SchedulesCard } from "../schedules/schedules_card.js";
import { RunsOverTime } from "./runs_over_time.js";
import { StartForm } from "./start_form.js";
import { Versions } from "./versions/versions.js";

/** @param {{shown: import("./definition.js").Shown, versions: import("../../parts/asking/polled.js").Polled<{items: import("./definition.js").Version[]}>}} props */
export function Overview({ shown, versions }) {
  return html`<div class="cols"><div><${RunsOverTime} name=${shown.name} /><${Versions} name=${shown.name} shown=${shown.version} versions=${versions} /></div>
    <div><${StartForm} shown=${shown} /><${SchedulesCard} name=${shown.name} /></div></div>`;
}
