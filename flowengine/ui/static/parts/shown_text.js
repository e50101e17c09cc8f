// Text from elsewhere, made safe to look at: what a terminal or a reading direction would act on is shown as a mark.

/** C0 and C1 controls but tab and line feed, and the marks that turn the direction of what follows. */
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** Colours that programs print for terminals. */
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * @param {string} text
 * @returns {string} the same for the eye: `\x1b` for an escape, `\u202e` for a mark of direction. Copies take the original.
 */
export function shownText(text) {
  return text.replace(ACTING, (each) => {
    const code = each.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** @param {string} text A printed line: without the colours, else as shownText. */
export const shownLine = (text) => shownText(text.replace(COLOURS, ""));

/**
 * Give a text to the person as a file.
 * @param {string} text
 * @param {string} name
 * @param {string} [type]
 */
export function saveText(text, name, type = "text/plain") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.download = name.replace(/[^\w.-]+/g, "_").slice(0, 120);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
