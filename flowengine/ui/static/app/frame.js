// What stands around every page: places, stream state, theme, who is signed in, the list of keys.
import { html, useState, useRef, useEffect } from "../vendor/preact.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { reached } from "./api.js";
import { ago } from "./format.js";
import { now } from "./clock.js";
import { shortcuts, useKeys } from "./keys.js";
import { streamState } from "./live.js";
import { navigate, parts } from "./router.js";
import { me, signOut } from "./session.js";
import { PLACES } from "./places.js";

/** @param {{children?: any}} props */
export function Frame({ children }) {
  const [help, showHelp] = useState(false);
  const [going, go] = useState(false);
  useKeys([
    { keys: "?", does: "show all keys", run: () => showHelp(true) },
    { keys: "/", does: "go to a run or a place", run: () => go(true) },
    ...PLACES.map((place) => ({ keys: `g ${place.key}`, does: place.name, run: () => navigate(place.href) })),
  ]);
  return html`<a class="skip unseen" href="#main">To the content</a>
    <header class="top">
      <a class="brand" href="/ui/runs"><${Brand} />FlowEngine</a>
      <nav aria-label="Main">${PLACES.map((place) => html`<a href=${place.href}
        aria-current=${parts.value[0] === place.part ? "page" : null}>${place.name}</a>`)}</nav>
      <div class="top-end">
        <button class="b bare hide-s" type="button" onClick=${() => go(true)}><${Icon} name="find" />Go to <kbd>/</kbd></button>
        <${StreamState} /><${ThemeButton} /><${Who} />
      </div>
    </header>
    <${Unreached} />
    <main id="main" tabindex="-1">${children}</main>
    ${help && html`<${KeyList} onClose=${() => showHelp(false)} />`}
    ${going && html`<${GoTo} onClose=${() => go(false)} />`}`;
}

function Brand() {
  return html`<svg viewBox="0 0 18 18" aria-hidden="true"><path d="M5 4.5h4.5a3 3 0 0 1 3 3V9m-7.5 4.5h4.5" fill="none"
    stroke="currentColor" stroke-width="1.6"/><rect x="1" y="2" width="5" height="5" rx="1.2" fill="currentColor"/>
    <rect x="1" y="11" width="5" height="5" rx="1.2" fill="currentColor"/>
    <rect x="10" y="9" width="7" height="7" rx="1.2" fill="currentColor"/></svg>`;
}

function StreamState() {
  const state = streamState.value;
  if (state === "off") return null;
  return state === "live"
    ? html`<span class="live" title="Events arrive as they happen">Live</span>`
    : html`<span class="live off" role="status" title="The stream of events was cut. It goes on behind the last event.">Reconnecting</span>`;
}

function ThemeButton() {
  const change = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("flowengine.theme", root.dataset.theme); } catch { /* not kept */ }
  };
  return html`<button class="b bare square" type="button" aria-label="Light or dark" onClick=${change}><${Icon} name="theme" /></button>`;
}

function Who() {
  if (!me.value?.key) return null;
  return html`<span class="small hide-s" title=${`Signed in with the key ${me.value.key}`}>${me.value.key} · ${me.value.role}</span>
    <button class="b bare" type="button" onClick=${() => signOut().catch(() => undefined)}>Sign out</button>`;
}

function Unreached() {
  const { ok, at, why } = reached.value;
  if (ok) return null;
  return html`<div class="banner is-failed" role="alert"><${Icon} name="failed" />
    The API does not answer: ${why}. What is shown was true ${ago(now.value - at)}.</div>`;
}

/** @param {{onClose: () => void}} props */
function KeyList({ onClose }) {
  const seen = new Set();
  const shown = shortcuts.value.filter((each) => !seen.has(each.keys) && seen.add(each.keys));
  return html`<${Dialog} title="Keys" onClose=${onClose}><dl class="key-list">${shown.map((each) => html`
    <div><dt>${each.keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${each.does}</dd></div>`)}</dl></${Dialog}>`;
}

/** @param {{onClose: () => void}} props */
function GoTo({ onClose }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  const go = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    onClose();
    const place = PLACES.find((each) => each.name.toLowerCase() === text.toLowerCase());
    if (place) navigate(place.href);
    else if (text) navigate(`/ui/runs?q=${encodeURIComponent(text)}`);
  };
  return html`<${Dialog} title="Go to" onClose=${onClose}><form class="line" onSubmit=${go}>
    <input class="in" ref=${field} aria-label="A place, or the name or id of a run" placeholder="A place, or the name or id of a run" />
    <button class="b primary">Go</button></form></${Dialog}>`;
}
