/** Vectors of consecutive points: how wide they are, and which one of a loop's round is meant. */

/** Lanes of a vector: four, whatever the dtype (an f64 vector is a pair of registers). */
export const vectorLanes = 4;

/** A vector of consecutive points: `copy` counts unrolled vectors, `active` lanes hold points. */
export interface Place {
  readonly copy: number;
  readonly active: number;
}
export const firstPlace: Place = { copy: 0, active: vectorLanes };
