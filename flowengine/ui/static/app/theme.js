// The theme, before the first paint: what the person chose before, else what the system says.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("flowengine.theme"); } catch { /* storage may be closed */ }
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
})();
