// Signing in with a key: from then on a cookie stands for it, which no script can read.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { Icon } from "../parts/icon.js";
import { hasLapsed, learn, signIn } from "./session.js";

export function SignIn() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [wrong, say] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => { document.title = "Sign in · FlowEngine"; field.current?.focus(); }, []);
  // Who signed in on another tab is signed in here too.
  useEffect(() => {
    const seen = () => { if (!document.hidden) learn().catch(() => undefined); };
    addEventListener("focus", seen);
    return () => removeEventListener("focus", seen);
  }, []);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const key = field.current?.value.trim() ?? "";
    if (!key) return say("Enter a key. An admin makes one with: flowengine key new NAME");
    setBusy(true);
    say("");
    try {
      await signIn(key);
    } catch (error) {
      say(/** @type {Error} */ (error).message);
      field.current?.select();
    }
    setBusy(false);
  };
  return html`<main class="sign-in"><form class="card" onSubmit=${submit}><div class="body">
    <h1>FlowEngine</h1>
    ${hasLapsed.value && html`<p role="status">The session has ended. Sign in, and the page goes on where it was.</p>`}
    <label class="field"><span>Key</span><input class="in" ref=${field} type="password" name="key" autocomplete="current-password"
      aria-invalid=${wrong ? "true" : null} aria-describedby="sign-in-help" />
      <small id="sign-in-help">${wrong ? html`<span class="wrong" role="alert"><${Icon} name="failed" />${wrong}</span>`
        : "The key stays with the server; this browser keeps a session of 12 hours."}</small></label>
    <button class="b primary" disabled=${busy}>Sign in</button>
    <p class="small quiet">The API's description is at <a href="/docs">/docs</a>.</p></div></form></main>`;
}
