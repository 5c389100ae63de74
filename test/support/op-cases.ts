// Single ops as graphs with arguments, drawn by their samplers at sizes around the vectors of a kernel, and the
// tolerance that their entries promise.
import {
  allOps,
  Builder,
  type Graph,
  type HostTensor,
  type OpDef,
  type Rng,
  toleranceOf,
  typeOf,
  typeText,
} from "@sinter/ir";
import { randomTensor, seededRng, type Tolerance, withoutF64 } from "./random.ts";

export interface OpCase {
  readonly graph: Graph;
  readonly args: readonly HostTensor[];
  readonly tolerance: Tolerance;
  readonly text: string;
}

/** Ops that a graph can consist of alone: their samplers describe all of them. */
export const plainOps: readonly OpDef[] = allOps.filter((op) => op.groups.length === 0 && !op.effect);

export interface CaseOptions {
  readonly firstSeed?: number;
  readonly sizes?: readonly number[];
  readonly maxElements?: number;
  /** Also a case of every combination of dtypes that the sampler draws. Default: yes. */
  readonly allDTypes?: boolean;
  /** Also cases of f64. Default: yes. */
  readonly f64?: boolean;
}

/** Samplers draw from -4 to 4, so a term of a dot is below this. */
const largestProduct = 16;
const smallSizes = [1, 3, 5, 7, 17, 33, 64, 257];

function rngOfSizes(seed: number, { sizes = smallSizes, maxElements = 2000, f64 = true }: CaseOptions): Rng {
  const rng = f64 ? seededRng(seed) : withoutF64(seededRng(seed));
  return {
    ...rng,
    shape: (minRank, maxRank) => {
      let elements = 1;
      return Array.from({ length: rng.int(minRank, maxRank) }, () => {
        const fitting = sizes.filter((s) => s * elements <= maxElements);
        const size = fitting.length > 0 ? rng.pick(fitting) : 1;
        elements *= size;
        return size;
      });
    },
  };
}

/** `count` random cases, and one more for each combination of dtypes that they missed. */
export function* opCases(op: OpDef, count: number, options: CaseOptions = {}): Generator<OpCase> {
  const { firstSeed = 0 } = options;
  const seen = new Set<string>();
  for (let i = 0; i < count + (options.allDTypes === false ? 0 : 100); i++) {
    const rng = rngOfSizes(firstSeed + i, options);
    const sample = op.sample(rng);
    const dtypes = sample.operands.map((o) => o.type.dtype).join() + String(sample.attrs["dtype"] ?? "");
    if (i >= count && seen.has(dtypes)) continue;
    seen.add(dtypes);
    const b = new Builder(op.name, { raw: true });
    const params = sample.operands.map((operand, p) => b.param("arg", operand.type, `x${p}`));
    const values = b.emitAll(op.name, params, sample.attrs);
    const operands = sample.operands.map((o) => o.type);
    const text = `${op.name}(${operands.map(typeText).join(", ")}) ${JSON.stringify(sample.attrs)} seed ${firstSeed + i}`;
    yield {
      graph: b.finish(values.map((value) => ({ kind: "out", value }))),
      args: sample.operands.map((operand) => randomTensor(rng, operand)),
      tolerance: toleranceOf(op, sample.attrs, operands, values.map(typeOf), largestProduct),
      text,
    };
  }
}
