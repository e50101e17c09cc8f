// The graph of a run: where each node stands is the API's word; how it looks is the store's.
import { html, signal, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../../vendor/preact.js";
import { useKeys } from "../../../app/keys.js";
import { query, setQuery } from "../../../app/router.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { InsidePanel } from "../inside/inside_panel.js";
import { openGroup } from "../inside/opened.js";
import { Minimap } from "./minimap.js";
import { pictureOf } from "./picture.js";
import { StackList } from "./stack_list.js";
import { Stage } from "./stage.js";

/** @typedef {import("../run_store.js").RunStore} RunStore */

/**
 * The view of each run that was looked at, for a step back.
 * @type {WeakMap<RunStore, import("./view.js").View>}
 */
const views = new WeakMap();

/** @param {{store: RunStore, inner?: import("../inside/inner_runs.js").Inner[]}} props `inner`: the groups that are opened in it */
export function GraphTab({ store, inner = [] }) {
  return html`<div class="stages"><${Graph} store=${store} />${inner.length > 0 && html`<${InsidePanel} store=${store} inner=${inner} graph=${Graph} />`}</div>`;
}

/** @param {{store: RunStore, depth?: number}} props `depth`: how many groups are around it */
function Graph({ store, depth = 0 }) {
  const [picture, setPicture] = useState(/** @type {import("./picture.js").Picture | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const ask = () => {
    setProblem(null);
    store.drawing().then((drawing) => setPicture(pictureOf(drawing)), setProblem);
  };
  useEffect(ask, [store]);
  if (problem) return html`<div class="stage"><${ProblemNote} problem=${problem} what="The graph" again=${ask} /></div>`;
  if (!picture) return html`<div class="stage"><${Bones} /></div>`;
  return html`<${Shown} store=${store} picture=${picture} depth=${depth} />`;
}

/** @param {{store: RunStore, picture: import("./picture.js").Picture, depth: number}} props */
function Shown({ store, picture, depth }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const stage = useRef(/** @type {Stage | null} */ (null));
  const follows = useMemo(() => signal(false), []);
  const group = query.value.get("group") ?? "";
  const stack = picture.cards.find((card) => card.id === group && card.members);
  useLayoutEffect(() => {
    if (!box.current) return undefined;
    /** @type {Minimap | null} */
    let map = null;
    const made = new Stage(box.current, picture, store, {
      name: `Graph of ${store.run.peek()?.name}, ${picture.byId.size} nodes. Arrows follow the edges.`,
      openStack: (card) => setQuery({ group: card.id }),
      openGroup: (card) => openGroup(card.id, depth),
      onView: () => { follows.value = stage.current?.follows ?? false; map?.move(); },
      onChange: () => map?.draw(),
    }, views.get(store) ?? null);
    stage.current = made;
    const { width, height } = made.size;
    if (picture.width * picture.height * 0.64 > 4 * width * height) map = new Minimap(box.current, made);
    return () => {
      views.set(store, made.view);
      map?.remove();
      made.stop();
    };
  }, [picture, store]);
  const on = (/** @type {(stage: Stage) => void} */ does) => () => { if (stage.current) does(stage.current); };
  const larger = on((each) => each.zoom(1.25));
  const smaller = on((each) => each.zoom(0.8));
  const fit = on((each) => each.fit());
  const follow = on((each) => each.follow(!each.follows));
  useKeys([
    { keys: "+", does: "zoom in", run: larger },
    { keys: "=", does: "zoom in", run: larger },
    { keys: "-", does: "zoom out", run: smaller },
    { keys: "0", does: "fit the graph", run: fit },
    { keys: "f", does: "follow what runs", run: follow },
  ]);
  const close = () => {
    setQuery({ group: null });
    stage.current?.focus(group);
  };
  return html`<div class="stage" ref=${box}>
    <div class="tools over-stage"><span class="joined"><button class="b square" type="button" aria-label="Zoom out" onClick=${smaller}>−</button>
      <button class="b" type="button" onClick=${fit}>Fit</button>
      <button class="b square" type="button" aria-label="Zoom in" onClick=${larger}>+</button></span>
      ${!store.isOver.value && html`<button class="b hide-s" type="button" aria-pressed=${follows.value ? "true" : "false"} title="Keep what is running in view"
        onClick=${follow}>Follow <kbd>f</kbd></button>`}</div>
    ${picture.leftOut > 0 && html`<p class="left-out over-stage small quiet">${picture.leftOut} long edges are not drawn; each node lists what it depends on.</p>`}
    ${stack && html`<${StackList} key=${group} store=${store} card=${stack} onClose=${close} />`}
  </div>`;
}

/** Where cards come, once it takes longer than one would notice. */
function Bones() {
  const [shown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), 300);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return null;
  return html`<svg class="graph-bones" viewBox="0 0 480 200" role="img" aria-label="The graph comes">
    ${[[156, 0], [60, 80], [252, 80], [156, 160]].map(([x, y]) => html`<rect x=${x} y=${y} width="168" height="40" rx="6" />`)}</svg>`;
}
