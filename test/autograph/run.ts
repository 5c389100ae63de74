// Runs one structured program in three ways, as the JavaScript that it is, transformed and eager, transformed and
// compiled, and says where they differ.
import { stripTypeScriptTypes } from "node:module";
import type { Autograph } from "@sinter/autograph";
import * as sinter from "sinter";
import * as ag from "sinter/ag";
import { Mask, Num, nativeLog, nativeModule, Vec } from "./native.ts";
import { type Program, printProgram } from "./program.ts";

/** Arguments of a program's function. */
export interface Input {
  readonly x: number;
  readonly y: number;
  readonly v: readonly number[];
  readonly p: number;
  readonly flag: boolean;
}

/** A program and what to try it on. */
export interface StructuredCase {
  readonly program: Program;
  readonly inputs: readonly Input[];
}

export type Verdict =
  | { readonly kind: "same" }
  /** The transform reports an error: the program is not run. */
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "different"; readonly how: How; readonly message: string; readonly input: Input };

/** `gradients`: compiled, derivatives instead of values. */
export type How = "eager" | "compiled" | "gradients";

/** What a call gave, a value in numbers, or what it threw; and what it printed until then. */
type Outcome = ({ readonly value: unknown } | { readonly thrown: string }) & { readonly log: readonly string[] };

interface Loaded {
  readonly f: (...args: unknown[]) => unknown;
  readonly compiled: (...args: unknown[]) => unknown;
}

export function transformed(autograph: Autograph, program: Program, file: string): { code: string; errors: string[] } {
  const { code, diagnostics } = autograph.transform(printProgram(program), file);
  const errors = diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} line ${d.line}: ${d.message}`);
  return { code, errors };
}

export function judge(
  autograph: Autograph,
  { program, inputs }: StructuredCase,
  file: string,
  hows: readonly How[] = ["eager", "compiled"],
): Verdict {
  const { code, errors } = transformed(autograph, program, file);
  if (errors.length > 0) return { kind: "refused", message: errors.join("\n") };
  const native = load(printProgram(program), { sinter: nativeModule });
  const modules = { sinter, "sinter/ag": ag };
  let staged: Loaded;
  try {
    staged = load(code, modules);
  } catch (error) {
    return { kind: "different", how: "eager", message: `does not load: ${String(error)}`, input: inputs[0]! };
  }
  for (const input of inputs) {
    for (const how of hows) {
      const expected = outcomeOf(() => runNative(native, how, input), nativeLog);
      const actual = runStaged(staged, how, input);
      const message = difference(expected, actual, how === "gradients");
      if (message !== undefined) return { kind: "different", how, message, input };
    }
  }
  return { kind: "same" };
}

function runNative({ f }: Loaded, how: How, { x, y, v, p, flag }: Input): unknown {
  const row = new Vec(v.map((value) => new Num(value)));
  const call = (dx: number, dy: number): unknown => f(new Num(x, dx), new Num(y, dy), row, p, flag);
  if (how !== "gradients") return call(0, 0);
  const [first, log] = [call(1, 0), nativeLog.splice(0)];
  const second = call(0, 1);
  // Derivatives print once.
  nativeLog.splice(0, Number.POSITIVE_INFINITY, ...log);
  return [first, second].map((result) => (result as Num).tangent);
}

function runStaged(staged: Loaded, how: How, { x, y, v, p, flag }: Input): Outcome {
  // Eager operations run one by one: in the reference evaluator, since what is tested is the order of things.
  sinter.setBackend(how === "eager" ? "reference" : "wasm");
  const f32 = { dtype: "f32" } as const;
  const log: string[] = [];
  const sink = sinter.setPrintSink((text) => log.push(text));
  try {
    return outcomeOf(
      () =>
        sinter.scope(() => {
          const call = how === "eager" ? staged.f : how === "compiled" ? staged.compiled : gradientOf(staged);
          return plain(call(sinter.tensor(x, f32), sinter.tensor(y, f32), sinter.tensor([...v], f32), p, flag));
        }),
      log,
    );
  } finally {
    sinter.setPrintSink(sink);
    sinter.setBackend("wasm");
  }
}

function gradientOf({ f }: Loaded): (...args: unknown[]) => unknown {
  const gradient = sinter.grad(f as (...args: unknown[]) => sinter.Tensor, { argnums: [0, 1] });
  return sinter.compile((...args: unknown[]) => gradient(...args));
}

/** `log` is where the run's texts are, and is emptied. */
function outcomeOf(run: () => unknown, log: string[]): Outcome {
  try {
    return { value: plain(run()), log: log.splice(0) };
  } catch (error) {
    return { thrown: error instanceof Error ? error.message : String(error), log: log.splice(0) };
  }
}

/** A result in numbers: booleans count as 0 and 1, since a boolean variable may have become a tensor. */
function plain(value: unknown): unknown {
  if (value instanceof Num) return value.value;
  if (value instanceof Vec) return value.items.map(plain);
  if (value instanceof Mask) return value.items.map(plain);
  if (value instanceof sinter.Tensor) return value.rank === 0 ? Number(value.item()) : [...value.dataSync()];
  if (typeof value === "boolean") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

function difference(expected: Outcome, actual: Outcome, near: boolean): string | undefined {
  const [logged, seen] = [expected, actual].map(({ log }) => log.map((text) => shown(text, near)).join("; "));
  if (logged !== seen) return `native prints ${logged}, transformed ${seen}`;
  // A check that fails while the program runs may say more than the error itself.
  if ("thrown" in expected && "thrown" in actual && actual.thrown.includes(expected.thrown)) return undefined;
  if ("value" in expected && "value" in actual && equal(expected.value, actual.value, near)) return undefined;
  return `native ${describe(expected)}, transformed ${describe(actual)}`;
}

/** A whole number that becomes an i32 has no -0. Where values are only near, the place that printed them. */
function shown(text: string, near: boolean): string {
  return near ? text.split(" ")[0]! : text.replace(/-0(?![.\d])/g, "0");
}

function equal(a: unknown, b: unknown, near: boolean): boolean {
  if (typeof a === "number" && typeof b === "number") {
    return a === b || (Number.isNaN(a) && Number.isNaN(b)) || (near && Math.abs(a - b) <= 1e-4 * (1 + Math.abs(a)));
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], near));
}

function describe(outcome: Outcome): string {
  return "thrown" in outcome ? `throws ${JSON.stringify(outcome.thrown)}` : `gives ${JSON.stringify(outcome.value)}`;
}

/** Evaluates a module whose imports are all among `modules`; types are erased first. */
export function load(source: string, modules: Readonly<Record<string, object>>): Loaded {
  const body = stripTypeScriptTypes(source)
    .replace(/import \* as (\S+) from "([^"]+)";/g, 'const $1 = $$modules["$2"];')
    .replace(/import \{([^}]*)\} from "([^"]+)";/g, 'const {$1} = $$modules["$2"];')
    .replace(/export (const|let|var|function)/g, "$1");
  return new Function("$modules", `${body}\nreturn { f, compiled };`)(modules) as Loaded;
}
