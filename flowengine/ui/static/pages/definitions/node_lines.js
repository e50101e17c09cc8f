// The line of each node in the text of a document, as far as a look at the text can tell. Pure.

const ID = /^[\s,{[-]*["']?id["']?\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s,}#]+))/;
const INLINE = /[{,]\s*["']?id["']?\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s,}]+))/g;

/**
 * @param {string} text
 * @param {string[]} ids
 * @returns {Map<string, number>}
 */
export function linesOfNodes(text, ids) {
  const wanted = new Set(ids);
  /** @type {Map<string, number>} */
  const lines = new Map();
  text.split("\n").forEach((line, index) => {
    const short = line.slice(0, 2000);
    for (const found of [ID.exec(short), ...short.matchAll(INLINE)]) {
      const id = found && (found[1] ?? found[2] ?? found[3]);
      if (id && wanted.has(id) && !lines.has(id)) lines.set(id, index + 1);
    }
  });
  return lines;
}
