// The title and the icon of the browser's tab: what is shown, and how it is.
import { useEffect } from "../vendor/preact.js";

const plain = document.getElementById("icon")?.getAttribute("href") ?? "";
const MOST_CHARS = 80;

/**
 * As long as a component is shown, the tab says what it is.
 * @param {string} text such as "nightly-orders: failed"
 * @param {string} [look] the look of a status (`lookOf`): the icon is that of the status
 */
export function useTitle(text, look = "") {
  useEffect(() => {
    document.title = `${[...text].slice(0, MOST_CHARS).join("")} · FlowEngine`;
    return () => { document.title = "FlowEngine"; };
  }, [text]);
  useEffect(() => {
    showIcon(look);
    return () => showIcon("");
  }, [look]);
}

/** @param {string} look */
function showIcon(look) {
  const link = document.getElementById("icon");
  const symbol = look && document.getElementById(`i-${look}`);
  if (!link) return;
  link.setAttribute("href", symbol ? `data:image/svg+xml,${encodeURIComponent(drawn(symbol, look))}` : plain);
}

/**
 * The status's own drawing, in its colour as the theme has it.
 * @param {Element} symbol
 * @param {string} look
 */
function drawn(symbol, look) {
  const probe = document.createElement("span");
  probe.className = `status is-${look}`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  const shape = symbol.innerHTML.replaceAll("var(--cut)", "#fff").replaceAll("<path class=\"spin\"", "<path");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" color="${colour}">${shape}</svg>`;
}
