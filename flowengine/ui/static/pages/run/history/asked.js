// One answer of the API, asked for when it is wanted, kept until it is asked for anew.
import { useEffect, useState } from "../../../vendor/preact.js";
import { get } from "../../../app/api.js";

/**
 * @param {string} path
 * @param {boolean} wanted
 * @param {any} [version] asked for anew when this changes; what was there stays until the new answer
 * @returns {{value: any, problem: any, again: () => void}} `value` is undefined until the answer is there
 */
export function useAnswer(path, wanted, version) {
  const [state, setState] = useState(/** @type {{path: string, value: any, problem: any}} */ ({ path: "", value: undefined, problem: null }));
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!wanted) return undefined;
    const stop = new AbortController();
    get(path, { signal: stop.signal }).then(
      (value) => setState({ path, value, problem: null }),
      (problem) => { if (!stop.signal.aborted) setState((old) => ({ path, value: old.path === path ? old.value : undefined, problem })); },
    );
    return () => stop.abort();
  }, [path, wanted, version, round]);
  const mine = state.path === path;
  return { value: mine ? state.value : undefined, problem: mine ? state.problem : null, again: () => setRound(round + 1) };
}
