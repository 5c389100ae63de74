// The maximum error of the transcendentals in units in the last place of float32, over the whole domain.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { powInputs, unaryInput } from "../harness/inputs.ts";
import { type Job, type UnaryName, unaryNames } from "../harness/job.ts";
import { PeerProcess } from "../harness/peer-process.ts";
import { atMost, type Section, type Table, type Target } from "../harness/section.ts";
import { type Context, sinterName } from "../harness/timed-case.ts";
import { erf64 } from "../reference/erf.ts";
import { largestUlpError, type UlpError } from "../reference/ulp-error.ts";
import type { Case } from "./case.ts";

interface Function {
  readonly name: string;
  readonly job: Job;
  readonly inputs: readonly Float32Array[];
  readonly reference: (...values: number[]) => number;
}

const references: Record<UnaryName, (x: number) => number> = {
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
  erf: erf64,
  sin: Math.sin,
  cos: Math.cos,
};

function functions(): Function[] {
  const { base, exponent } = powInputs();
  return [
    ...unaryNames.map((name) => ({
      name,
      job: { kind: "unary", name } as const,
      inputs: [unaryInput(name)],
      reference: references[name],
    })),
    { name: "pow", job: { kind: "pow" }, inputs: [base, exponent], reference: pow64 },
  ];
}

/** pow as C99 has it: 1^NaN and (+-1)^(+-inf) are 1, which JavaScript calls NaN. */
function pow64(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY)) return 1;
  return x ** y;
}

export const ulp: Case = {
  name: "ulp",
  runsByDefault: (options) => options.ulp,
  run: async (context) => {
    const all = functions();
    const names = [sinterName, ...context.peers];
    const errors = new Map<string, (UlpError | string)[]>();
    for (const name of names) errors.set(name, await measure(context, name, all));
    return section(all, errors);
  },
};

async function measure(context: Context, name: string, all: readonly Function[]): Promise<(UlpError | string)[]> {
  const process = new PeerProcess(name);
  const resultFile = join(context.folder, "ulp.f32");
  try {
    const errors: (UlpError | string)[] = [];
    for (const { job, inputs, reference, name: functionName } of all) {
      context.progress(`${functionName} of ${name}`);
      const reply = await process.ask({ type: "check", job, resultFile });
      if (reply.type === "failed" || reply.type === "refused") {
        errors.push(reply.reason);
        continue;
      }
      const bytes = readFileSync(resultFile);
      const actual = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      errors.push(largestUlpError(actual, inputs, reference));
    }
    return errors;
  } finally {
    await process.stop();
  }
}

function section(all: readonly Function[], errors: ReadonlyMap<string, readonly (UlpError | string)[]>): Section {
  const own = errors.get(sinterName) ?? [];
  const names = [...errors.keys()];
  const table: Table = {
    columns: ["function", "arguments", ...names, "Sinter's worst argument"],
    rows: all.map(({ name, inputs }, index) => [
      name,
      String(inputs[0]!.length),
      ...names.map((peer) => cell(errors.get(peer)?.[index])),
      worst(own[index]),
    ]),
  };
  const targets: Target[] = all.map(({ name }, index) => {
    const error = own[index];
    return atMost(
      `${name}: at most 4 ulp`,
      error === undefined || typeof error === "string" ? undefined : error.ulps,
      4,
      " ulp",
    );
  });
  const failures = all.flatMap(({ name }, index) => {
    const error = own[index];
    return typeof error === "string" ? [`${sinterName}, ${name}: ${error}`] : [];
  });
  return {
    name: "ulp",
    title: "Maximum error in ulp of float32, all exponents, subnormals and special values included",
    tables: [table],
    notes: ["wrong: a special value, an overflow or a NaN is not what it should be"],
    targets,
    failures,
    data: Object.fromEntries(errors),
  };
}

function cell(error: UlpError | string | undefined): string {
  if (error === undefined || typeof error === "string") return "-";
  if (!Number.isFinite(error.ulps)) return "wrong";
  return error.ulps >= 1000 ? error.ulps.toExponential(1) : error.ulps.toFixed(2);
}

function worst(error: UlpError | string | undefined): string {
  return error === undefined || typeof error === "string" ? "" : error.at.join(", ");
}
