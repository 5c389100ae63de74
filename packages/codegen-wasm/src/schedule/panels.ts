/** The columns of a packed product in panels: full ones, and what is left. */

import type { Dim, IndexExpr } from "@sinter/ir";
import { divIndex, isMultiple, modIndex, scaleIndex, toDim } from "@sinter/ir";
import { type Place, vectorLanes } from "@sinter/ir/schedule";

/** A run of columns of equal width: all the full panels, or the last one. */
export interface Panels {
  readonly vectors: number;
  /** Lanes of the last vector that hold columns. */
  readonly active: number;
  readonly firstColumn: Dim;
  readonly count: Dim;
}

/** Where the number of columns is symbolic, what is left of the full panels is a panel of one vector and single columns. */
function symbolicPanels(columns: IndexExpr, vectors: number): Panels[] {
  const width = vectors * vectorLanes;
  const end = (by: number): IndexExpr => scaleIndex(divIndex(columns, by), by);
  const out: Panels[] = [{ vectors, active: vectorLanes, firstColumn: 0, count: toDim(divIndex(columns, width)) }];
  if (vectors === 2 && !isMultiple(columns, width))
    out.push({
      vectors: 1,
      active: vectorLanes,
      firstColumn: toDim(end(width)),
      count: toDim(divIndex(modIndex(columns, width), vectorLanes)),
    });
  if (!isMultiple(columns, vectorLanes))
    out.push({
      vectors: 1,
      active: 1,
      firstColumn: toDim(end(vectorLanes)),
      count: toDim(modIndex(columns, vectorLanes)),
    });
  return out;
}

export function panelsOf(columns: Dim, vectors: number): Panels[] {
  if (typeof columns !== "number") return symbolicPanels(columns, vectors);
  const width = vectors * vectorLanes;
  const full = Math.floor(columns / width);
  const out: Panels[] = full > 0 ? [{ vectors, active: vectorLanes, firstColumn: 0, count: full }] : [];
  const rest = columns - full * width;
  if (rest > 0) {
    const needed = Math.ceil(rest / vectorLanes);
    out.push({ vectors: needed, active: rest - (needed - 1) * vectorLanes, firstColumn: full * width, count: 1 });
  }
  return out;
}

/** Columns from the start of a panel to that of the next. */
export function stepOf(panel: Panels): number {
  const single = typeof panel.count !== "number" && panel.active < vectorLanes;
  return single ? panel.active : panel.vectors * vectorLanes;
}

export function placesOf(panel: Panels): Place[] {
  return Array.from({ length: panel.vectors }, (_, copy) => ({
    copy,
    active: copy === panel.vectors - 1 ? panel.active : vectorLanes,
  }));
}
