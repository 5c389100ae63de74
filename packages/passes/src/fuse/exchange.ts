/** Exchanges of memory at the end of a region: what lies elsewhere comes to where it is looked for, and nothing is moved. */
import type { Handle } from "./buffers.ts";

/** A buffer, and the one that holds what shall be its contents. */
export interface Move {
  readonly to: Handle;
  readonly from: Handle;
}

/** Exchanges, one after the other, after which each `to` has what was in `from`. The `from` are distinct, and so are the `to`. */
export function exchanges(moves: readonly Move[]): (readonly [Handle, Handle])[] {
  const out: (readonly [Handle, Handle])[] = [];
  /** Whose first contents each buffer has by now, and where those are. */
  const contents = new Map<Handle, Handle>();
  const place = new Map<Handle, Handle>();
  for (const { to, from } of moves) {
    const at = place.get(from) ?? from;
    if (at === to) continue;
    out.push([to, at]);
    const moved = contents.get(to) ?? to;
    contents.set(to, from).set(at, moved);
    place.set(from, to).set(moved, at);
  }
  return out;
}
