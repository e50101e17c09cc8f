// What stands around every page: places, stream state, theme, who is signed in, the list of keys.
import { html, useEffect, useState } from "../vendor/preact.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { reached } from "./api.js";
import { ago } from "./format.js";
import { GoTo } from "./go_to.js";
import { now } from "./clock.js";
import { shortcuts, useKeys } from "./keys.js";
import { streamState } from "./live/live.js";
import { navigate, parts } from "./router.js";
import { learn, me, signOut } from "./session.js";
import { PLACES } from "./places.js";
import { waitingCount, watchCount } from "../pages/waiting/waiting_count.js";

const TRIED_AGAIN_MS = 5000;

/** @param {{children?: any}} props */
export function Frame({ children }) {
  const [help, showHelp] = useState(false);
  const [going, go] = useState(false);
  useKeys([
    { keys: "?", does: "show all keys", run: () => showHelp(true) },
    { keys: "/", does: "go to a run or a place", run: () => go(true) },
    ...PLACES.map((place) => ({ keys: `g ${place.key}`, does: place.name, run: () => navigate(place.href) })),
  ]);
  useEffect(() => watchCount(), []);
  // On a phone the places scroll sideways.
  useEffect(() => { document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [parts.value[0], waitingCount.value.count]);
  return html`<a class="skip unseen" href="#main">To the content</a>
    <header class="top">
      <a class="brand" href="/ui/runs"><${Brand} />FlowEngine</a>
      <nav aria-label="Main">${PLACES.map((place) => html`<a href=${place.href}
        aria-current=${parts.value[0] === place.part ? "page" : null}>${place.name}${place.part === "waiting" && html`<${WaitingCount} />`}</a>`)}</nav>
      <div class="top-end">
        <button class="b bare hide-s" type="button" onClick=${() => go(true)}><${Icon} name="find" />Go to <kbd>/</kbd></button>
        <a class="hide-s" href="/docs" title="The API that this page uses">API</a>
        <${StreamState} /><${ThemeButton} /><${Who} />
      </div>
    </header>
    <${Unreached} />
    <main id="main" tabindex="-1">${children}</main>
    ${help && html`<${KeyList} onClose=${() => showHelp(false)} />`}
    ${going && html`<${GoTo} onClose=${() => go(false)} />`}`;
}

function WaitingCount() {
  const { count, more } = waitingCount.value;
  if (!count) return null;
  return html`<b class="count is-waiting">${count}${more ? "+" : ""}<span class="unseen"> for a person</span></b>`;
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

/** What was not reached, how old is what is shown, and when it is tried again. */
function Unreached() {
  const { ok, at, why } = reached.value;
  const [triedAt, setTriedAt] = useState(0);
  const again = () => {
    setTriedAt(Date.now());
    learn().catch(() => undefined);
  };
  useEffect(() => {
    if (ok) return undefined;
    setTriedAt(Date.now());
    const timer = setInterval(again, TRIED_AGAIN_MS);
    return () => clearInterval(timer);
  }, [ok]);
  if (ok) return null;
  const seconds = Math.max(0, Math.ceil((triedAt + TRIED_AGAIN_MS - Date.now()) / 1000));
  return html`<div class="banner is-failed" role="alert"><${Icon} name="failed" />
    <span class="grow">The API does not answer: ${why}. What is shown was true <span aria-live="off">${ago(now.value - at)}; it is asked again in ${seconds} s.</span></span>
    <button class="b" type="button" onClick=${again}>Try now</button></div>`;
}

/** @param {{onClose: () => void}} props */
function KeyList({ onClose }) {
  const seen = new Set();
  const shown = shortcuts.value.filter((each) => !seen.has(each.keys) && seen.add(each.keys));
  return html`<${Dialog} title="Keys" onClose=${onClose}><dl class="key-list">${shown.map((each) => html`
    <div><dt>${each.keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${each.does}</dd></div>`)}</dl></${Dialog}>`;
}
