/**
 * What every host does with a bundle: loads it, calls its functions and says what came out, as JSON. Imports nothing
 * but the bundle, so that it runs wherever the bundle does; for hosts without TypeScript the types are taken off.
 */

/** A value as JSON: tensors as their bytes in hexadecimal, so that every bit is compared. */
export type Encoded =
  | { readonly tensor: string; readonly shape: readonly number[]; readonly bits: string }
  | { readonly items: readonly Encoded[] }
  | { readonly keys: Readonly<Record<string, Encoded>> }
  /** null, a boolean, a text, or a number as `String` writes it, with -0. */
  | { readonly plain: string };

export interface Call {
  readonly function: string;
  readonly args: readonly Encoded[];
}

export interface Job {
  /** Folder of the bundle, relative to where the job lies. */
  readonly bundle: string;
  /** Which of its builds; the loader's choice unless given. */
  readonly build?: "simd" | "relaxed-simd";
  /** A saved state to start from, in hexadecimal. */
  readonly state?: string;
  readonly calls: readonly Call[];
  /** Makes the calls on a second instance too, after each on the first; both must say the same. */
  readonly twice?: boolean;
  /** Says the state in the end. */
  readonly saves?: boolean;
  readonly selfTest?: boolean;
}

export interface Answer {
  readonly build: string;
  readonly results: readonly Encoded[];
  /** Results of the second instance. */
  readonly second: readonly Encoded[];
  /** What was printed, by both instances. */
  readonly log: readonly string[];
  /** The state in the end, in hexadecimal; "" unless it was asked for. */
  readonly state: string;
  readonly selfTest?: unknown;
}

interface Program {
  readonly build: string;
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  saveState(): Uint8Array;
  loadState(bytes: Uint8Array): void;
  selfTest(): unknown;
  dispose(): void;
}

interface Bundle {
  load(options: { readonly build?: string; readonly log: (text: string) => void }): Promise<Program>;
}

/** Does one job after the other; `at` is the address of the folder in which the bundles' folders lie. */
export async function runJobs(jobs: readonly Job[], at: string): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const job of jobs) answers.push(await runJob(job, at));
  return answers;
}

async function runJob(job: Job, at: string): Promise<Answer> {
  const bundle = (await import(new URL(`${job.bundle}/index.js`, at).href)) as Bundle;
  return await callBundle(bundle, job);
}

/** The calls of a job, on a bundle that is loaded already. */
export async function callBundle(bundle: Bundle, job: Job): Promise<Answer> {
  const log: string[] = [];
  const options = {
    log: (text: string) => void log.push(text),
    ...(job.build === undefined ? {} : { build: job.build }),
  };
  const program = await bundle.load(options);
  const other = job.twice ? await bundle.load(options) : undefined;
  for (const each of [program, other]) if (job.state !== undefined) each?.loadState(fromHex(job.state));
  const call = (on: Program, { function: name, args }: Call): Encoded =>
    encode(on.functions[name]!(...args.map(decode)));
  const results: Encoded[] = [];
  const second: Encoded[] = [];
  for (const each of job.calls) {
    results.push(call(program, each));
    if (other !== undefined) second.push(call(other, each));
  }
  const state = job.saves ? toHex(program.saveState()) : "";
  const selfTest = job.selfTest ? await program.selfTest() : undefined;
  program.dispose();
  other?.dispose();
  return { build: program.build, results, second, log, state, ...(selfTest === undefined ? {} : { selfTest }) };
}

const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array, bool: Uint8Array } as const;

export function encode(value: unknown): Encoded {
  if (typeof value === "object" && value !== null) {
    if (Array.isArray(value)) return { items: value.map(encode) };
    const { dtype, shape, data } = value as { dtype?: unknown; shape?: unknown; data?: unknown };
    if (typeof dtype === "string" && Array.isArray(shape) && ArrayBuffer.isView(data))
      return {
        tensor: dtype,
        shape,
        bits: toHex(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      };
    const keys = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return { keys: Object.fromEntries(keys.map(([key, item]) => [key, encode(item)])) };
  }
  return { plain: Object.is(value, -0) ? "-0" : typeof value === "string" ? JSON.stringify(value) : String(value) };
}

export function decode(value: Encoded): unknown {
  if ("items" in value) return value.items.map(decode);
  if ("keys" in value) return Object.fromEntries(Object.entries(value.keys).map(([key, item]) => [key, decode(item)]));
  if ("plain" in value) {
    if (value.plain === "undefined") return undefined;
    return /^-?(\d|Inf)|^NaN$/.test(value.plain) ? Number(value.plain) : JSON.parse(value.plain);
  }
  const { buffer } = fromHex(value.bits);
  return { data: new arrays[value.tensor as keyof typeof arrays](buffer), shape: value.shape };
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
