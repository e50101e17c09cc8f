// The parts of a line of a document that are coloured: names, comments, templates. Pure.

const YAML = /(\{\{.*?\}\}|\{%.*?%\})|((?:^|(?<=\s))#.*$)|((?<=^[\s-]*|[{,]\s*)[\w$.-]+(?=:(?:\s|$)))/g;
const JSON_WORDS = /(\{\{.*?\}\}|\{%.*?%\})|(?!)()|("(?:[^"\\]|\\.)*"(?=\s*:))/g;

/** @typedef {{look: "" | "t" | "c" | "k", text: string}} Word */

/**
 * @param {string} line
 * @param {boolean} isJson
 * @returns {Word[]}
 */
export function wordsOfLine(line, isJson) {
  /** @type {Word[]} */
  const words = [];
  let done = 0;
  for (const found of line.matchAll(isJson ? JSON_WORDS : YAML)) {
    const start = found.index ?? 0;
    if (!found[0]) continue;
    if (start > done) words.push({ look: "", text: line.slice(done, start) });
    words.push({ look: found[1] ? "t" : found[2] ? "c" : "k", text: found[0] });
    done = start + found[0].length;
  }
  if (done < line.length) words.push({ look: "", text: line.slice(done) });
  return words;
}

/** @param {string} text Whether it is read as JSON, as the API does. */
export const isJson = (text) => text.trimStart().startsWith("{");
