// The search, the period and the labels that the list is narrowed by.
import { html, useEffect, useRef } from "../../vendor/preact.js";
import { cutMiddle } from "../../app/format.js";
import { Icon } from "../../parts/icon.js";
import { dropLabel, filters, narrow, PERIODS, readSearch } from "./filters.js";

const TYPED_MS = 250;

export function FilterBar() {
  const { q, labels, period } = filters.value;
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const timer = useRef(0);
  // The address may change by the history: the field follows, but not while someone types in it.
  useEffect(() => {
    if (field.current && readSearch(field.current.value).q !== q) field.current.value = q;
  }, [q]);
  const search = (/** @type {boolean} */ whole) => {
    clearTimeout(timer.current);
    const read = readSearch(field.current?.value ?? "");
    if (!whole && read.labels.length) return;
    if (read.labels.length && field.current) field.current.value = read.q;
    narrow({ q: read.q, label: [...new Set([...filters.peek().labels, ...read.labels])] });
  };
  const typed = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => search(false), TYPED_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<form class="filters" role="search" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); search(true); }}>
    <div class="search"><${Icon} name="find" /><input ref=${field} type="search" value=${q} maxlength="200" spellcheck=${false} autocomplete="off"
      aria-label="Beginning of a name or an id, or label=name:value" placeholder="Beginning of a name or id, or label=team:data" onInput=${typed} /></div>
    ${labels.map((label) => html`<button key=${label} class="b tag-off" type="button" title=${`No longer only ${label}`} onClick=${() => dropLabel(label)}>
      <bdi>${cutMiddle(label.replace(":", "="), 40)}</bdi><${Icon} name="x" /><span class="unseen">remove this label from the filter</span></button>`)}
    <select class="in" aria-label="Period" value=${period} onChange=${(/** @type {any} */ event) => narrow({ period: event.currentTarget.value })}>
      ${Object.entries(PERIODS).map(([key, { name }]) => html`<option key=${key} value=${key} selected=${key === period}>${name}</option>`)}</select></form>`;
}
