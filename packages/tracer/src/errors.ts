/**
 * Errors a user sees: they name the public function, the argument, shapes and element types, and the user's line. Also
 * how that line is found cheaply: the stack is captured at once and read only when somebody asks.
 */
import type { Dim, DType, Loc } from "@sinter/ir";

/** Misuse of a public function. `where` is the user's line. */
export class SinterError extends Error {
  override readonly name: string = "SinterError";
  readonly where: string | undefined;

  /** `where`: the line, which ends the message as a stack does; or a place that the message says already. */
  constructor(message: string, where: string | { readonly place: string } | undefined = userLine()) {
    super(typeof where === "string" ? `${message}\n    at ${where}` : message);
    this.where = typeof where === "object" ? where.place : where;
  }
}
/** Sizes that do not fit. */
export class ShapeError extends SinterError {
  override readonly name = "ShapeError";
}
/** An element type that does not fit. */
export class DTypeError extends SinterError {
  override readonly name = "DTypeError";
}
/** A traced tensor used as though it had a value, or outside its trace. */
export class TraceError extends SinterError {
  override readonly name = "TraceError";
}
/** A check that did not hold when a program ran. */
export class AssertionError extends SinterError {
  override readonly name = "AssertionError";
}
/** A tensor or variable whose memory was given back. */
export class DisposedError extends SinterError {
  override readonly name = "DisposedError";
}
/**
 * A GPU that is gone, as after a crash of its driver, and what was in its memory: reads that wait for it reject with this,
 * and so does what needs values that were lost. Another device is acquired by itself; this arrives when it is there.
 */
export class DeviceLostError extends SinterError {
  override readonly name = "DeviceLostError";
}
/** What keeps functions from being exported: all of it, each with its line. */
export class ExportError extends SinterError {
  override readonly name = "ExportError";
  readonly problems: readonly string[];

  constructor(caller: string, problems: readonly string[]) {
    const many = problems.length === 1 ? "" : `${problems.length} things cannot be exported\n  `;
    super(`${caller}: ${many}${problems.join("\n  ")}`);
    this.problems = problems;
  }
}
/** A tensor, or the working memory of a program, that does not fit into what is left of the heap, or of the GPU's memory. */
export class OutOfMemoryError extends SinterError {
  override readonly name = "OutOfMemoryError";
  /** What was asked for. */
  readonly bytes: number;
  /** What was in use. */
  readonly liveBytes: number;
  /** What the heap may grow to; on a GPU what one buffer may have. */
  readonly maximumBytes: number;

  constructor(
    message: string,
    of: { readonly bytes: number; readonly liveBytes: number; readonly maximumBytes: number },
    where: string | { readonly place: string } | undefined = userLine(),
  ) {
    super(message, where);
    this.bytes = of.bytes;
    this.liveBytes = of.liveBytes;
    this.maximumBytes = of.maximumBytes;
  }
}

/** Any function: what a stack is captured above. */
export type AnyFunction = (...args: never[]) => unknown;

/** A captured stack, read lazily. */
export class Site {
  private holder: { stack?: string } | undefined;
  private line: Loc | undefined;

  constructor(above: AnyFunction, frames: number) {
    const holder: { stack?: string } = {};
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = frames;
    Error.captureStackTrace(holder, above);
    Error.stackTraceLimit = limit;
    this.holder = holder;
  }

  /** The user's line, if there is one among the frames. */
  loc(): Loc | undefined {
    if (this.holder !== undefined) {
      this.line = parseStack(this.holder.stack ?? "");
      this.holder = undefined;
    }
    return this.line;
  }
}

const canCapture = typeof Error.captureStackTrace === "function";

/** The stack above a public function; undefined where the engine cannot capture one. */
export function site(above: AnyFunction, frames = 6): Site | undefined {
  return canCapture ? new Site(above, frames) : undefined;
}

/** Folders whose lines are ours, not the user's: the packages these sources are in, from the workspace or installed. */
const ownSources = ownFolders();

function ownFolders(): readonly string[] {
  const here = import.meta.url.replace(/\/[^/]*$/, "/");
  const path = here.startsWith("file://") ? decodeURIComponent(here.slice("file://".length)) : here;
  const packages = /^(.*\/)tracer\/src\/$/.exec(path) ?? /^(.*\/)tracer\/$/.exec(path);
  if (packages === null) return [path];
  const names = ["ir", "passes", "codegen-wasm", "runtime", "tracer", "nn", "sinter"];
  const inside = path.endsWith("/src/") ? "src/" : "";
  return names.map((name) => `${packages[1]}${name}/${inside}`);
}

/** How most of our frames are known before their line is taken apart. */
const ownUrls = ownSources.map((own) => `file://${own}`);

/** A stack without our own frames: its first line is the user's. */
export function withoutOwnFrames(stack: string): string {
  const isOurs = (line: string): boolean => /^\s*at /.test(line) && ownSources.some((own) => line.includes(own));
  return stack
    .split("\n")
    .filter((line) => !isOurs(line))
    .join("\n");
}

/** The user's line that a stack tells of. */
export function userLocIn(stack: string): Loc | undefined {
  return parseStack(stack);
}

function parseStack(stack: string): Loc | undefined {
  for (const text of stack.split("\n")) {
    if (ownUrls.some((own) => text.includes(own))) continue;
    const match = /\(?((?:file:\/\/|https?:\/\/|webpack[^:]*:\/\/|[A-Za-z]:[\\/]|\/)[^()]*?):(\d+):(\d+)\)?$/.exec(
      text.trim(),
    );
    if (match === null) continue;
    let file = match[1]!.replace(/\?.*$/, "");
    if (file.startsWith("file://")) file = decodeURIComponent(file.slice("file://".length));
    if (ownSources.some((own) => file.startsWith(own)) || file.startsWith("node:")) continue;
    if (/\/node_modules\/sinter\//.test(file)) continue;
    return { file, line: Number(match[2]), column: Number(match[3]) };
  }
  return undefined;
}

/** The user's line of the current call, as text. */
export function userLine(): string | undefined {
  return locText(userLoc());
}

export function userLoc(): Loc | undefined {
  if (!canCapture) return parseStack(new Error("where").stack ?? "");
  // Frames cost time each: the user's is mostly one of the first, below recursion of ours somewhere in many.
  return parseStack(stackAbove(8)) ?? parseStack(stackAbove(40));
}

function stackAbove(frames: number): string {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  Error.captureStackTrace(holder, userLoc);
  Error.stackTraceLimit = limit;
  return holder.stack ?? "";
}

export function locText(loc: Loc | undefined): string | undefined {
  return loc === undefined ? undefined : `${loc.file}:${loc.line}:${loc.column}`;
}

/** `f32[2,3]` */
export function describe(of: {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly dims?: readonly Dim[];
}): string {
  return `${of.dtype}[${(of.dims ?? of.shape).map((dim) => (typeof dim === "number" ? dim : dim.key)).join(",")}]`;
}

/** Options are a plain object with known names: a misspelt one is an error, not silence. */
export function checkOptions(caller: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new SinterError(
      `${caller}: options must be an object, { ${known.join(", ")} }, not ${describeValue(options)}`,
    );
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new SinterError(`${caller}: there is no option ${name}; there are ${known.join(", ")}`);
}

/** What a value of any kind is, for messages. */
export function describeValue(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === "function") return `a function${value.name ? ` (${value.name})` : ""}`;
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (typeof value === "object")
    return `an object (${isPlain(value) ? keysOf(value) : (value.constructor?.name ?? "no constructor")})`;
  return String(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `{ a, b }` */
function keysOf(value: object): string {
  const keys = Object.keys(value);
  const shown = keys.slice(0, 8).join(", ");
  return keys.length === 0 ? "{}" : `{ ${shown}${keys.length > 8 ? ", ..." : ""} }`;
}
