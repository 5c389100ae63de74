/** Loads and stores. Memory is an array of words, or of vectors of four where all that a grid stores there are such. */
import type { LoopExpr, LoopStmt, ScalarType } from "@sinter/ir";
import { multipleOf } from "./align.ts";
import { bare, type FuncWriter } from "./context.ts";
import type { ArrayBound } from "./space.ts";
import { storedScalar, typeName, type Word } from "./types.ts";

type Text = (w: FuncWriter, e: LoopExpr) => string;

/** Words of memory as lanes of a type. */
function fromStored(w: FuncWriter, text: string, stored: Word, scalar: ScalarType, lanes: number): string {
  const word = storedScalar(scalar);
  const value = word === stored ? text : `bitcast<${typeName(word, lanes)}>(${bare(text)})`;
  return scalar === "bool" ? `(${value} != ${w.constant({ scalar: "u32", lanes }, 0)})` : value;
}

function toStored(w: FuncWriter, text: string, stored: Word, scalar: ScalarType, lanes: number): string {
  const word = storedScalar(scalar);
  const one = { scalar: "u32", lanes } as const;
  const value = scalar === "bool" ? `select(${w.constant(one, 0)}, ${w.constant(one, 1)}, ${text})` : text;
  return word === stored ? value : `bitcast<${typeName(stored, lanes)}>(${value})`;
}

const plus = (text: string, offset: number): string => (offset === 0 ? bare(text) : `${text} + ${offset}`);

/** Where an access begins, and whether at a multiple of four. */
function place(w: FuncWriter, bound: ArrayBound, index: LoopExpr, text: Text): { at: string; aligned: boolean } {
  const aligned = multipleOf(w, index) % 4 === 0 && bound.startAligned;
  const own = text(w, index);
  if (bound.start === undefined) return { at: own, aligned };
  return { at: own === "0i" ? bound.start : `(${bound.start} + ${own})`, aligned };
}

export function loadText(w: FuncWriter, e: Extract<LoopExpr, { kind: "load" }>, text: Text): string {
  const bound = w.bound(e.pointer);
  const { scalar, lanes } = e.type;
  if (bound.kind === "value") return bound.text;
  const { memory } = bound;
  const { stored } = memory;
  const { at, aligned } = place(w, bound, e.index, text);
  const active = e.active ?? lanes;
  if (lanes > 1 && active === lanes && aligned) memory.vectorAccess = true;
  const widened = (value: string, of: number): string => (memory.half ? `${typeName("f32", of)}(${value})` : value);
  const element = (position: string): string =>
    widened(
      memory.vectors ? `${memory.name}[(${position}) >> 2u][(${position}) & 3]` : `${memory.name}[${position}]`,
      1,
    );
  if (lanes === 1) return fromStored(w, element(memory.vectors ? w.atom(at) : bare(at)), stored, scalar, 1);
  if (memory.vectors && aligned && active === lanes)
    return fromStored(w, widened(`${memory.name}[${at} >> 2u]`, lanes), stored, scalar, lanes);
  const base = w.atom(at);
  const parts = Array.from({ length: lanes }, (_, l) =>
    l < active ? element(plus(base, l)) : w.constant({ scalar: stored, lanes: 1 }, 0),
  );
  return fromStored(w, `${typeName(stored, lanes)}(${parts.join(", ")})`, stored, scalar, lanes);
}

export function storeLines(w: FuncWriter, s: Extract<LoopStmt, { kind: "store" }>, text: Text): void {
  const bound = w.bound(s.pointer);
  if (bound.kind === "value") throw new Error(`${s.pointer.name} is a counter, which no kernel writes`);
  const { memory } = bound;
  const { stored } = memory;
  const { scalar, lanes } = s.value.type;
  const value = toStored(w, bare(text(w, s.value)), stored, scalar, lanes);
  const { at, aligned } = place(w, bound, s.index, text);
  const active = s.active ?? lanes;
  if (active === lanes && lanes > 1 && aligned) {
    memory.vectorAccess = true;
    if (memory.vectors) {
      w.push(`${memory.name}[${at} >> 2u] = ${memory.half ? `vec4h(${bare(value)})` : bare(value)};`);
      return;
    }
  } else memory.oddStores = true;
  if (memory.vectors) throw new Error(`a store of ${lanes} lanes to vectors`);
  const narrowed = (text: string): string => (memory.half ? `f16(${text})` : text);
  if (lanes === 1) {
    w.push(`${memory.name}[${bare(at)}] = ${narrowed(bare(value))};`);
    return;
  }
  const [base, lanesOf] = [w.atom(at), w.atom(value)];
  for (let l = 0; l < active; l++) w.push(`${memory.name}[${plus(base, l)}] = ${narrowed(`${lanesOf}.${"xyzw"[l]}`)};`);
}
