// The types of preact.js: as much of them as the page needs.
export interface Signal<T> { value: T; peek(): T; subscribe(heard: (value: T) => void): () => void; }
export interface ReadonlySignal<T> { readonly value: T; peek(): T; subscribe(heard: (value: T) => void): () => void; }
export interface Ref<T> { current: T; }
export function signal<T>(value: T): Signal<T>;
export function computed<T>(make: () => T): ReadonlySignal<T>;
export function effect(run: () => void | (() => void)): () => void;
export function batch<T>(run: () => T): T;
export function untracked<T>(run: () => T): T;
export function useSignal<T>(value: T): Signal<T>;
export function useComputed<T>(make: () => T): ReadonlySignal<T>;
export function useSignalEffect(run: () => void | (() => void)): void;
export function useState<T>(first: T | (() => T)): [T, (next: T | ((now: T) => T)) => void];
export function useEffect(run: () => void | (() => void), inputs?: readonly any[]): void;
export function useLayoutEffect(run: () => void | (() => void), inputs?: readonly any[]): void;
export function useRef<T>(first: T): Ref<T>;
export function useMemo<T>(make: () => T, inputs: readonly any[]): T;
export function useCallback<T>(made: T, inputs: readonly any[]): T;
export function createRef<T>(): Ref<T | null>;
export function h(type: any, props: any, ...children: any[]): any;
export function render(what: any, where: Element): void;
export const Fragment: any;
export function html(texts: TemplateStringsArray, ...values: any[]): any;
