/** What a region computes from its captures for nothing, computed outside of it. */
import type { Builder, Graph, Value } from "@sinter/ir";
import { isFree } from "./free.ts";
import { paramsOf, type RegionOp } from "./region-op.ts";

/**
 * The value outside that equals a value of a region, where that is a capture, or an index map of captures and constants.
 * What is emitted for it and not used goes like anything else that nobody uses.
 */
export function madeOutside(b: Builder, op: RegionOp, region: Graph, value: Value): Value | undefined {
  const capture = paramsOf(op, region).captures.findIndex((param) => param.value === value);
  if (capture >= 0) return op.captures[capture]!.value;
  const maker = region.nodes.find((node) => node.results.includes(value));
  if (maker === undefined || !isFree(maker, value)) return undefined;
  const operands = maker.operands.map((operand) => madeOutside(b, op, region, operand));
  return operands.includes(undefined) ? undefined : b.emit(maker.op, operands as Value[], maker.attrs);
}
