// Who looks at the page, and what the key lets them do.
import { effect, signal } from "../vendor/preact.js";
import { call, get, post, signedOut } from "./api.js";

/** @typedef {"read" | "decide" | "run" | "author" | "operate" | "admin"} Role */
/** @typedef {{key: string | null, role: Role, definitions: string[]}} Me `definitions`: the only ones that the key may see; none: all */

/** @type {Record<Role, Role[]>} What each role includes, itself first. */
const INCLUDES = {
  read: ["read"],
  decide: ["decide", "read"],
  run: ["run", "read"],
  author: ["author", "run", "read"],
  operate: ["operate", "run", "decide", "read"],
  admin: ["admin", "operate", "author", "run", "decide", "read"],
};

/** Who is signed in; undefined until it is known, null for nobody. */
export const me = signal(/** @type {Me | null | undefined} */ (undefined));

/** Whether the session has ended by itself: its time was over, or its key is not valid any more. */
export const hasLapsed = signal(false);

let leaves = false;

effect(() => {
  if (!signedOut.value) return;
  hasLapsed.value = Boolean(me.peek()) && !leaves;
  me.value = null;
});

/** @param {Role} role Whether the key may do what needs this role. */
export function may(role) {
  return me.value ? INCLUDES[me.value.role].includes(role) : false;
}

/** Whether the key is for some definitions only: lists over all executions are not for it. */
export const isNarrow = () => Boolean(me.value?.definitions?.length);

/** Ask who this is. Raises Problem if that cannot be known. */
export async function learn() {
  try {
    me.value = await get("/me");
    signedOut.value = false;
  } catch (error) {
    if (/** @type {any} */ (error).status !== 401) throw error;
    me.value = null;
  }
}

/** @param {string} key Sign in; raises Problem if the key is not valid. */
export async function signIn(key) {
  await post("/session", { key });
  await learn();
}

/** End the session. */
export async function signOut() {
  leaves = true;
  try {
    await call("DELETE", "/session");
    signedOut.value = true;
  } finally {
    leaves = false;
  }
}
