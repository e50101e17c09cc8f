// Labels as one writes them: "team=data, env=prod". Pure.

/**
 * @param {string} typed
 * @returns {{labels: Record<string, string>, wrong: string}}
 */
export function readLabels(typed) {
  /** @type {Record<string, string>} */
  const labels = {};
  for (const part of typed.split(",").map((each) => each.trim()).filter(Boolean)) {
    const [name, ...value] = part.split("=");
    if (!value.length || !name.trim()) return { labels, wrong: `“${part}” is no label: write name=value, with commas between them` };
    labels[name.trim()] = value.join("=").trim();
  }
  return { labels, wrong: "" };
}
