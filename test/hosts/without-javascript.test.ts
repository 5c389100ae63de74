// A bundle in a host without JavaScript: wasm2c makes C of its plain SIMD build, and the C program of docs/BUNDLES.md
// calls it. Needs gcc and a wasm2c that knows SIMD; scripts/fetch-wasm2c.sh gets one.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Manifest, SlotEntry, Source } from "../../packages/runtime/src/bundle/manifest.ts";
import { fullRun } from "../support/fuzz.ts";
import { embedded } from "./cases.ts";
import { commandHosts, writeFiles } from "./command-hosts.ts";
import { type Encoded, fromHex, toHex } from "./job.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, "node_modules/.cache/sinter-wasm2c");

interface Tools {
  readonly wasm2c: string;
  /** Where wasm-rt.h and the sources of its functions are. */
  readonly prefix: string;
}

/** The tools, or what is missing. */
function findTools(): Tools | string {
  if (spawnSync("gcc", ["--version"]).status !== 0) return "there is no gcc";
  const places: readonly Tools[] = [
    { wasm2c: "wasm2c", prefix: "/usr" },
    { wasm2c: join(cache, "wasm2c"), prefix: join(cache, "usr") },
  ];
  const found = places.map((place) => ({
    place,
    version: spawnSync(place.wasm2c, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "",
  }));
  const able = found.find(({ version }) => knowsSimd(version))?.place;
  if (able === undefined) {
    const old = found.map(({ version }) => version).filter((version) => version !== "");
    return `${old.length > 0 ? `wasm2c ${old[0]} does not know SIMD` : "there is no wasm2c"}: scripts/fetch-wasm2c.sh gets version 1.0.36`;
  }
  if (!existsSync(join(able.prefix, "src/wasm2c/wasm-rt-impl.c")))
    return "the sources of wasm2c's functions are missing";
  return able;
}

/** wabt 1.0.33 was the first that could. */
function knowsSimd(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return major > 1 || (major === 1 && (minor > 0 || patch >= 33));
}

const tools = fullRun ? findTools() : "compiling takes a while; SINTER_FULL=1 does it";
if (typeof tools === "string") console.log(`No bundle runs without JavaScript: ${tools}.`);
const folder = mkdtempSync(join(tmpdir(), "sinter-c-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(typeof tools === "string")("a C program answers the same bits", async () => {
  const { name, files, calls } = embedded();
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Manifest;
  const build = manifest.builds.find((each) => each.build === "simd")!;
  const { entry, slots, outs } = manifest.functions[0]!;
  writeFiles(
    folder,
    new Map<string, string | Uint8Array>([
      ["program.wasm", files.get(build.file)!],
      ["layout.h", layout(manifest)],
      ["host.c", documentedHost()],
    ]),
  );
  compileC(tools as Tools);

  const host = commandHosts().find(({ engine }) => engine === "V8")!;
  const inHost = new Map([...files].map(([path, bytes]) => [`${name}/${path}`, bytes] as const));
  const [{ results } = { results: [] }] = await host.run(inHost, [{ bundle: name, build: "simd", calls }]);
  expect(entry).toBe("run_predict");
  for (const [i, { args }] of calls.entries()) {
    const input = Buffer.concat(args.flatMap(tensorsOf).map(fromHex));
    const run = spawnSync(join(folder, "host"), { input });
    expect(run.status).toBe(0);
    let at = 0;
    const bySlot = new Map<string, string>();
    for (const slot of slots.filter(({ kind }) => kind === "result")) {
      bySlot.set(key(slot), toHex(run.stdout.subarray(at, at + bytesOf(slot))));
      at += bytesOf(slot);
    }
    expect(run.stdout.length).toBe(at);
    expect(outs.map((out) => bySlot.get(key(out)))).toEqual(tensorsOf(results[i]!));
  }
});

const key = ({ kind, index }: Source | SlotEntry): string => `${kind} ${index}`;

function bytesOf({ dtype, shape }: SlotEntry): number {
  const sizes = shape.map((size) => (typeof size === "number" ? size : Number.NaN));
  return { f32: 4, f64: 8, i32: 4, u32: 4, bool: 1 }[dtype] * sizes.reduce((product, size) => product * size, 1);
}

function documentedHost(): string {
  const found = /```c\n([^`]*int main[^`]*)```/.exec(readFileSync(join(root, "docs/BUNDLES.md"), "utf8"));
  if (found === null) throw new Error("docs/BUNDLES.md has no host in C");
  return found[1]!;
}

/** The first function's table, as the host wants it. */
function layout({ functions, constants, variables }: Manifest): string {
  const { entry, slots, constants: own, states } = functions[0]!;
  const rows = slots.map((slot) => {
    const { kind, index } = slot;
    const embedded =
      kind === "const" ? constants[own[index]!] : kind === "state" ? variables[states[index]!.variable] : undefined;
    return `{'${kind === "arg" ? "a" : kind === "result" ? "r" : "-"}', ${bytesOf(slot)}, ${embedded?.address ?? 0}}`;
  });
  return `#define RUN w2c_program_${entry}\n#define SLOTS ${rows.join(", ")}\n`;
}

/** Tensors of a tree in order, as hexadecimal digits. */
function tensorsOf(value: Encoded): readonly string[] {
  if ("items" in value) return value.items.flatMap(tensorsOf);
  if ("keys" in value) return Object.values(value.keys).flatMap(tensorsOf);
  return "tensor" in value ? [value.bits] : [];
}

function compileC({ wasm2c, prefix }: Tools): void {
  const runtime = join(prefix, "src/wasm2c");
  const sources = ["wasm-rt-impl.c", "wasm-rt-mem-impl.c"].map((name) => join(runtime, name)).filter(existsSync);
  const include = [folder, runtime, join(prefix, "include")].map((path) => `-I${path}`);
  const commands = [
    [wasm2c, "-n", "program", "program.wasm", "-o", "program.c"],
    ["gcc", "-O1", "-ffp-contract=off", ...include, "-o", "host", "host.c", "program.c", ...sources, "-lm"],
  ] as const;
  for (const [command, ...args] of commands) {
    const run = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
    if (run.status !== 0) throw new Error(`${command} failed:\n${run.stderr}`);
  }
}
