/**
 * What a verb works on, as the command line names it: `file.ts#export`, and what is given as its arguments. The file is
 * loaded through the hooks of the source transform, so that control flow on tensors is staged as it is under
 * `sinter/register`.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Option } from "commander";
import type { CompiledFunction, DType } from "sinter";
import { UsageError } from "./context.ts";
import { display } from "./text.ts";

export type AnyCompiled = CompiledFunction<readonly unknown[], unknown>;
/** The library as the file imports it, which need not be the one that the command came with. */
export type Library = typeof import("sinter");

export interface LoadedModule {
  /** As it was given, without the export. */
  readonly file: string;
  /** What was asked for, or undefined where no export was named. */
  readonly name: string | undefined;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly sinter: Library;
}

export interface Target {
  readonly file: string;
  /** Of the export. */
  readonly name: string;
  readonly fn: AnyCompiled;
  /** What to lower it for: specs, where no tensor was given. */
  readonly args: readonly unknown[];
  readonly sinter: Library;
}

/**
 * Loads `file.ts#export`; without an export, the only compiled function that the file exports. The arguments are
 * `inputs`, texts such as `f32[1,784]` or JSON; without them those of the function's signature or of its only trace.
 * Throws UsageError where the target is misspelt, and what the file throws where it cannot be loaded.
 */
export async function loadTarget(
  target: string,
  { inputs }: { readonly inputs?: readonly string[] | undefined } = {},
): Promise<Target> {
  return targetOf(await loadModule(target), inputs);
}

/** The function that a loaded target means, and its arguments. `open`: sizes may be names or nothing. */
export function targetOf(
  loaded: LoadedModule,
  inputs: readonly string[] | undefined,
  { open = false }: { readonly open?: boolean } = {},
): Target {
  const { file, sinter } = loaded;
  const { name, value } = chosen(loaded);
  if (!isCompiled(value)) throw new UsageError(`${file}#${name} is ${notCompiled(value)}${whatElse(loaded)}`);
  const args = inputs === undefined || inputs.length === 0 ? knownArguments(value, `${file}#${name}`, open) : undefined;
  const given = args ?? inputs!.map((text) => parseInput(text, sinter));
  if (!open && given.some(isOpen) && args === undefined)
    throw new UsageError(`--input ${inputs!.join(" --input ")}: sizes must be numbers here, f32[1,784]`);
  return { file, name, fn: value, args: given, sinter };
}

/** Loads the file of a target, and the library that it uses. */
export async function loadModule(target: string): Promise<LoadedModule> {
  const hash = target.lastIndexOf("#");
  const [file, name] = hash < 0 ? [target, undefined] : [target.slice(0, hash), target.slice(hash + 1)];
  if (file === "" || name === "") throw new UsageError(`${target}: write FILE#EXPORT, such as model.ts#predict`);
  const path = resolve(file);
  if (!existsSync(path)) throw new UsageError(`${file}: no such file`);
  await import("@sinter/autograph/register");
  const sinter = (await import(pathToFileURL(libraryOf(path)).href)) as Library;
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw notLoaded(path, error);
  }
  return { file: display(path), name, exports, sinter };
}

/** Says which file it was, which errors of syntax leave out, and the line in it where the text does not say it. */
function notLoaded(path: string, error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? "").split("\n") : [];
  const place = stack.find((line) => /^\s+at /.test(line) && line.includes(path));
  const told = place === undefined || /\n\s+at \S/.test(text);
  return new Error(`${display(path)} cannot be loaded: ${text}${told ? "" : `\n${place}`}`, { cause: error });
}

/** The value that a target means: a property of an export where the name has dots. */
export function chosen(loaded: LoadedModule): { readonly name: string; readonly value: unknown } {
  const { file, exports, name } = loaded;
  if (name === undefined) {
    const found = compiledIn(exports);
    if (found.length === 1) return { name: found[0]!, value: exports[found[0]!] };
    const many = `exports ${found.length} compiled functions: name one, ${found.map((n) => `${file}#${n}`).join(" or ")}`;
    throw new UsageError(
      found.length > 1 ? `${file} ${many}` : `${file} exports no compiled function${whatElse(loaded)}`,
    );
  }
  let value: unknown = exports;
  for (const part of name.split(".")) {
    const holder = value;
    if ((typeof holder !== "object" && typeof holder !== "function") || holder === null || !(part in holder))
      throw new UsageError(`${file} exports no ${name}${whatElse(loaded)}`);
    value = (holder as Readonly<Record<string, unknown>>)[part];
  }
  return { name, value };
}

/** Known by what it can do: the function may be of another copy of the library than this one. */
export function isCompiled(value: unknown): value is AnyCompiled {
  return typeof value === "function" && "lower" in value && "traces" in value && typeof value.lower === "function";
}

/** What a value that is no compiled function is, and what to do about it. */
function notCompiled(value: unknown): string {
  if (typeof value === "function") return "a function that is not compiled: export compile(f)";
  return `${value === null ? "null" : typeof value === "object" ? "an object" : `a ${typeof value}`}, not a compiled function`;
}

function whatElse({ file, exports }: LoadedModule): string {
  const names = Object.keys(exports).sort();
  if (names.length === 0) return `; ${file} exports nothing`;
  const found = new Set(compiledIn(exports));
  return `; there are ${names.map((name) => (found.has(name) ? `${name} (compiled)` : name)).join(", ")}`;
}

function compiledIn(exports: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(exports)
    .filter((name) => isCompiled(exports[name]))
    .sort();
}

/** What the function itself knows of its arguments: its signature, or the only trace that the file made. */
function knownArguments(fn: AnyCompiled, label: string, open: boolean): readonly unknown[] {
  const { signatures } = fn;
  if (signatures.length === 0) {
    if (takesNothing(fn)) return [];
    throw new UsageError(
      `${label} has no signature and was not called: say what it takes, --input "f32[1,784]" for each argument`,
    );
  }
  const texts = signatures.map((args) => args.map(inputText).join(" "));
  if (signatures.length > 1)
    throw new UsageError(
      `${label} was traced for ${signatures.length} signatures: choose one with --input: ${texts.join(" or ")}`,
    );
  if (!open && signatures[0]!.some(isOpen))
    throw new UsageError(`${label} has sizes that are not given, ${texts[0]}: say all of them with --input`);
  return signatures[0]!;
}

/** Whether a function can be called without arguments, as far as a trial of its trace tells. */
function takesNothing(fn: AnyCompiled): boolean {
  try {
    fn.lower();
    return true;
  } catch {
    return false;
  }
}

/** Whether a spec in an argument has a size that is no number. */
function isOpen(arg: unknown): boolean {
  if (typeof arg !== "object" || arg === null) return false;
  if ("dtype" in arg && "shape" in arg)
    return (arg.shape as readonly unknown[]).some((size) => typeof size !== "number");
  return Object.values(arg).some(isOpen);
}

function inputText(arg: unknown): string {
  if (typeof arg === "object" && arg !== null && "dtype" in arg) return `--input "${String(arg)}"`;
  return `--input '${JSON.stringify(arg, (_, v: unknown) => (typeof v === "object" && v !== null && "dtype" in v ? String(v) : v))}'`;
}

/** `--input`, once for each argument. */
export function inputOption(): Option {
  return new Option(
    "-i, --input <spec>",
    'what an argument is, one after the other: f32[1,784] for a tensor, or JSON: 3, true, {"x": "f32[2]"}',
  ).argParser((spec: string, before: readonly string[] = []) => [...before, spec]);
}

const dtypes: readonly DType[] = ["f32", "f64", "i32", "u32", "bool"];

/**
 * An argument from the command line: `f32[1,784]` describes a tensor, everything else is JSON, in which texts such as
 * "f32[2]" describe tensors too.
 */
export function parseInput(text: string, sinter: Library): unknown {
  const single = parseSpec(text, text, sinter);
  if (single !== undefined) return single;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(
      `--input ${text}: write a tensor as f32[1,784] (f32[] is a number), and anything else as JSON: 3, true, "mean", {"x": "f32[2]"}`,
    );
  }
  const visit = (part: unknown): unknown => {
    if (typeof part === "string") return parseSpec(part, text, sinter) ?? part;
    if (Array.isArray(part)) return part.map(visit);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, visit(item)]));
  };
  return visit(value);
}

/** The spec that a text describes; undefined where it is not meant as one. */
function parseSpec(text: string, input: string, sinter: Library): unknown {
  const match = /^([a-z]+\d*)\[(.*)\]$/.exec(text.trim());
  if (match === null) {
    if ((dtypes as readonly string[]).includes(text))
      throw new UsageError(`--input ${input}: write ${text}[] for a number, ${text}[3] for three`);
    return undefined;
  }
  const [, dtype, sizes] = match as unknown as [string, string, string];
  if (!(dtypes as readonly string[]).includes(dtype))
    throw new UsageError(`--input ${input}: there is no dtype ${dtype}; there are ${dtypes.join(", ")}`);
  const shape =
    sizes.trim() === ""
      ? []
      : sizes.split(",").map((size, i) => {
          const name = size.trim();
          if (name === "?") return null;
          if (/^[A-Za-z_]\w*$/.test(name)) return name;
          if (!/^\s*\d+\s*$/.test(size) || !Number.isSafeInteger(Number(size)))
            throw new UsageError(
              `--input ${input}: size ${i} is ${JSON.stringify(size.trim())}: sizes are whole numbers, f32[1,784]`,
            );
          return Number(size);
        });
  return sinter.spec(shape, dtype as DType);
}

/** The entry of the library that a file imports; this package's own where it finds none. */
function libraryOf(path: string): string {
  try {
    return createRequire(path).resolve("sinter");
  } catch {
    return createRequire(import.meta.url).resolve("sinter");
  }
}
