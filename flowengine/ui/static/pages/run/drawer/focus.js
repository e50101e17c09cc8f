// Where the focus goes when the drawer opens, and where it goes back to.
import { useEffect, useRef } from "../../../vendor/preact.js";

/** What had the focus before the drawer opened; the drawer of another node takes it over. */
let opener = /** @type {HTMLElement | null} */ (null);

/** @param {string} node @returns {import("../../../vendor/preact.js").Ref<HTMLElement | null>} of what takes the focus */
export function useDrawerFocus(node) {
  const head = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const before = document.activeElement;
    if (before instanceof HTMLElement && before !== document.body && !before.closest(".drawer")) opener = before;
    // A page that comes with its drawer open leaves the focus where the browser has it.
    const activation = /** @type {any} */ (navigator).userActivation;
    if (activation && !activation.hasBeenActive) return undefined;
    // A sheet below the graph is out of sight: the focus brings it in.
    head.current?.focus({ preventScroll: matchMedia("(min-width: 801px)").matches });
    return undefined;
  }, []);
  useEffect(() => () => { setTimeout(() => goBack(node), 0); }, []);
  return head;
}

/** @param {string} node */
function goBack(node) {
  if (document.querySelector(".drawer") || document.querySelector("dialog[open]")) return;
  if (document.activeElement !== document.body && document.activeElement !== null) return;
  const same = [...document.querySelectorAll("#view [data-node], #view [data-card]")].find((each) => [each.getAttribute("data-node"), each.getAttribute("data-card")].includes(node));
  const target = opener?.isConnected ? opener : same ?? document.getElementById("view");
  opener = null;
  if (target instanceof HTMLElement || target instanceof SVGElement) target.focus({ preventScroll: true });
}
