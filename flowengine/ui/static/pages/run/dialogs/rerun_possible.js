// Why nothing of a run begins again now.

/** @param {import("../run_store.js").RunStore} store @returns {string} "" if it may */
export function whyNoRerun(store) {
  const run = store.run.value;
  if (run.parent) return "A rerun begins in the run at the top, which this one is part of.";
  if (store.isOver.value) return "";
  return run.status === "pending" ? "A rerun is possible once this run was triggered and has ended." : "A rerun is possible once this run has ended.";
}
