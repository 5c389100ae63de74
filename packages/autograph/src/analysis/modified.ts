/** Which variables and static paths a piece of a file assigns: in its text, and in the local functions it mentions. */
import { type Node, startOf, ts } from "../syntax.ts";
import { type FileModel, type Place, slice, type Variable, type Write } from "./model.ts";

export class Modified {
  private readonly model: FileModel;
  private readonly byRange = new Map<string, readonly Write[]>();

  constructor(model: FileModel) {
    this.model = model;
  }

  /** Writes in [start, end) to places that exist outside of it, in the order first seen; each write's own record. */
  writes(start: number, end: number): readonly Write[] {
    const key = `${start}:${end}`;
    let found = this.byRange.get(key);
    if (found === undefined) {
      found = this.find(start, end);
      this.byRange.set(key, found);
    }
    return found;
  }

  /** The places of `writes`, each once; a path that runs through another place of the list is left to that one. */
  places(start: number, end: number): readonly Place[] {
    const places = new Map<unknown, Place>();
    for (const { place } of this.writes(start, end)) {
      if (place !== undefined) places.set(place.kind === "variable" ? place : place.key, place);
    }
    return [...places.values()].filter((place) => {
      if (place.kind === "variable") return true;
      return !places.has(place.root) && !place.prefixes.some((prefix) => places.has(prefix));
    });
  }

  private find(start: number, end: number): readonly Write[] {
    const found: Write[] = [];
    const seen = new Set<Node>();
    const inside = (at: number): boolean => at >= start && at < end;
    const scan = (from: number, to: number): void => {
      for (const write of slice(this.model.writes, from, to)) {
        if (write.place === undefined ? isOutside(write, inside) : isPlaceOutside(write.place, inside)) {
          // What a function elsewhere declares for itself is none of this piece's business.
          if (!isDeclaredIn(write, from, to)) found.push(write);
        }
      }
      for (const mention of slice(this.model.mentions, from, to)) {
        const body = mention.functionNode;
        const at = startOf(body);
        if (seen.has(body) || inside(at)) continue;
        seen.add(body);
        scan(at, body.end);
      }
    };
    scan(start, end);
    return found;
  }
}

function isDeclaredIn(write: Write, from: number, to: number): boolean {
  const root = write.place?.kind === "path" ? write.place.root : (write.place ?? write.root);
  const at = root === undefined ? -1 : beginningOf(root);
  return at >= from && at < to;
}

function isOutside(write: Write, inside: (at: number) => boolean): boolean {
  return write.root === undefined || !inside(write.root.start);
}

function isPlaceOutside(place: Place, inside: (at: number) => boolean): boolean {
  return !inside(beginningOf(place.kind === "variable" ? place : place.root));
}

function beginningOf(root: Variable | Node): number {
  if (root.kind === "variable") return root.start;
  return ts.isSourceFile(root) ? -1 : startOf(root);
}
