// What is coming: nothing for a moment, then bones where it will be.
import { html, useEffect, useState } from "../vendor/preact.js";

const PATIENCE_MS = 300;

/** @param {{what: string}} props what is loading: "the runs" */
export function Bones({ what }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class="empty" aria-busy="true"><p class="unseen" role="status">Loading ${what}</p>${late && html`
    <svg class="bones" viewBox="0 0 320 92" aria-hidden="true"><path d="M0 6h90M0 26h210M0 52h120M0 72h180" class="bone"/></svg>`}</div>`;
}
