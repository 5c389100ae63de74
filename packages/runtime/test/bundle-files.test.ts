// Bundles whose files are incomplete, altered or made up: a BundleError that names the file, and the field in a manifest.
import { printedText } from "@sinter/ir";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BundleError } from "../src/bundle/loader/errors.ts";
import { load, type Program, type ResultTensor } from "../src/bundle/loader/index.ts";
import { sized } from "../src/bundle/loader/sizes.ts";
import { readManifest } from "../src/bundle/loader/vouch.ts";
import { loadBundle } from "../src/bundle/open.ts";
import { readSafetensors, SafetensorsError, writeSafetensors } from "../src/bundle/safetensors.ts";
import { writeBundle } from "../src/bundle/write.ts";
import {
  exampleSpec,
  looseManifest,
  sign,
  sizedSpec,
  withFile,
  withManifest,
  withSealedManifest,
} from "./support/bundles.ts";

const full = process.env["SINTER_FULL"] === "1";
const files = writeBundle(exampleSpec());
const sizedFiles = writeBundle(sizedSpec());
const embedded = writeBundle(exampleSpec({ weights: "embed" }));

async function failure(given: ReadonlyMap<string, Uint8Array>, options = {}): Promise<string> {
  try {
    const program = await loadBundle(given, options);
    await program.selfTest();
  } catch (error) {
    expect(error).toBeInstanceOf(BundleError);
    return (error as Error).message;
  }
  throw new Error("it loaded");
}

describe("files", () => {
  test.each(["manifest.json", "program.wasm", "weights.safetensors", "selftest.safetensors"])("%s", async (name) => {
    const options = { build: "simd" };
    const bytes = files.get(name)!;
    const changed = (other: Uint8Array): Map<string, Uint8Array> => new Map([...files, [name, other]]);
    const without = new Map(files);
    without.delete(name);
    expect(await failure(without, options)).toBe(`${name}: is missing from the files`);
    expect(await failure(changed(bytes.subarray(1)), options)).toContain(`${name}: `);
    expect(await failure(changed(bytes.subarray(0, bytes.length - 1)), options)).toContain(`${name}: `);
    expect(await failure(changed(new Uint8Array(0)), options)).toContain(`${name}: `);
    const flipped = bytes.slice();
    flipped[bytes.length >> 1]! ^= 1;
    expect(await failure(changed(flipped), options)).toMatch(/checksum/);
  });

  test("contents of another kind, although the manifest vouches for them", async () => {
    const other = (name: string, bytes: Uint8Array): Promise<string> =>
      failure(withFile(files, name, bytes), { build: "simd" });
    const weights = (tensors: Parameters<typeof writeSafetensors>[0]): Promise<string> =>
      other("weights.safetensors", writeSafetensors(tensors));
    expect(await other("program.wasm", Uint8Array.of(1, 2, 3))).toContain("program.wasm: cannot be compiled: ");
    expect(await other("program.wasm", Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))).toContain(
      "program.wasm: was not written with this manifest.json",
    );
    expect(await other("weights.safetensors", Uint8Array.of(1))).toContain("weights.safetensors: 1 bytes are too few");
    expect(await weights([])).toBe('weights.safetensors: "w" must be f32[3,2], but is missing');
    expect(await weights([{ name: "w", dtype: "f64", shape: [3, 2], data: new Float64Array(6) }])).toBe(
      'weights.safetensors: "w" must be f32[3,2], but is f64[3,2]',
    );
    expect(await other("selftest.safetensors", writeSafetensors([]))).toContain(
      'selftest.safetensors: has no "0.arg.0" of type f32[2,3]',
    );
  });

  test("an engine that lacks a feature, and builds that are not there", async () => {
    const manifest = looseManifest(files);
    const builds = manifest["builds"] as { features: string[] }[];
    for (const build of builds) build.features.push("gc");
    expect(await failure(withManifest(files, manifest))).toBe(
      "manifest.json: there is no build for this engine: program.relaxed.wasm is relaxed-simd and needs gc; program.wasm is simd and needs gc",
    );
    builds.length = 1;
    expect(await failure(withManifest(files, manifest), { build: "simd" })).toBe(
      "manifest.json: there is no simd for this engine: program.relaxed.wasm is relaxed-simd and needs gc",
    );
  });
});

type Loose = Record<string, never>;
/** What a path leads to: `functions.0.name`. */
function put(root: Loose, path: string, value: unknown): void {
  const parts = path.split(".");
  let at = root as unknown as Record<string, unknown>;
  for (const part of parts.slice(0, -1)) at = at[part] as Record<string, unknown>;
  if (value === undefined) delete at[parts.at(-1)!];
  else at[parts.at(-1)!] = value;
}

describe("fields of the manifest", () => {
  const wrong: readonly (readonly [path: string, value: unknown, message: string])[] = [
    ["format", "zip", 'format must be sinter-bundle, but is "zip"'],
    ["abi", 2, "abi must be 1, the version that this loader knows, but is 2"],
    ["abi", undefined, "abi must be 1"],
    ["name", 5, "name must be a text"],
    ["builds", [], "builds must be one at least"],
    ["builds", {}, "builds must be a list"],
    ["builds.0.file", "../program.wasm", "builds[0].file must be a file in the same folder"],
    ["builds.0.bytes", -1, "builds[0].bytes must be a whole number"],
    ["builds.0.bytes", 1, "program.relaxed.wasm: is incomplete or altered"],
    ["builds.0.crc32", "0", "builds[0].crc32 must be eight hexadecimal digits"],
    ["builds.0.build", "gpu", "builds[0].build must be simd or relaxed-simd"],
    ["builds.0.features", "simd", "builds[0].features must be a list"],
    ["weights", undefined, "the address of"],
    ["weights", 5, "weights must be an object, but is 5"],
    ["weights", null, "weights must be an object, but is null"],
    ["variables.0.name", "n", "variables and constants must be distinct"],
    ["variables.0.dtype", "f16", "variables[0].dtype must be f32 or f64 or i32 or u32 or bool"],
    ["variables.0.dtype", "constructor", "variables[0].dtype must be"],
    ["variables.0.shape", [2, 2], "functions[0].slots, state 0 must be f32[2,2]"],
    ["variables.0.shape", [-1], "variables[0].shape[0] must be a whole number"],
    ["variables.0.shape", [65536, 65536], "variables[0].shape must be small enough for a memory"],
    ["variables.0.shape", [4e9, 4e9, 4e9, 0.5], "variables[0].shape[3] must be a whole number"],
    ["variables.0.trainable", 1, "variables[0].trainable must be true or false"],
    ["variables.0.address", 4, "variables[0].address must be a multiple of 64"],
    ["variables.0.address", 64, "has no data for"],
    ["functions", [], "functions must be one at least"],
    ["functions.1.name", "predict", "functions must be distinct"],
    ["functions.0.name", "a b", "functions[0].name must be an identifier"],
    ["functions.0.entry", "memory", "program.relaxed.wasm: exports no function memory"],
    ["functions.0.entry", "toString", "exports no function toString"],
    ["functions.0.params.0.tree.index", 5, "functions[0].params must be with a tensor number 0 once"],
    ["functions.0.params.0.tree.index", 1, "functions[0].params must be with a tensor number"],
    ["functions.0.params.0.tree.kind", "tree", "functions[0].params[0].tree.kind must be tensor or static"],
    ["functions.0.params.0.tree.kind", "toString", "functions[0].params[0].tree.kind must be"],
    ["functions.0.params.0.tree.shape", [3, 3], 'functions[0].slots, arg 0 must be f32[3,3], but is "f32[2,3]"'],
    ["functions.0.params.1.name", "x", "functions[0].params must be distinct"],
    ["functions.0.params", [], "functions[0].slots must be with 0 of kind arg, not 2"],
    ["functions.0.params.1.tree.keys", ["bias", "bias", "x"], "keys of an object must be distinct"],
    ["functions.0.params.1.tree.keys", ["bias"], "keys of an object must be one for each item"],
    ["functions.0.params.1.tree.items.1.value", {}, "items[1].value must be string or number or boolean"],
    ["functions.0.params.1.tree.items.2.value", "1", "items[2].value must be undefined or -0"],
    ["functions.0.result", { kind: "array", items: [] }, "functions[0].outs must be a list of 0"],
    ["functions.0.slots.0.shape", [1.5], "functions[0].slots[0].shape[0] must be"],
    ["functions.0.slots.1.kind", "args", "functions[0].slots[1].kind must be arena or const or arg"],
    ["functions.0.slots.1.index", 9, 'functions[0].slots, const 0 must be f32[2], but is "missing"'],
    ["functions.0.slots.2.index", 1, "functions[0].slots must be distinct"],
    ["functions.0.constants", [], "functions[0].slots must be with 0 of kind const, not 1"],
    ["functions.0.constants", [7], "functions[0].slots, const 0 must be missing"],
    ["functions.1.states.1.variable", 0, "functions[1].states must be distinct"],
    ["functions.1.states.1.out", 0, "functions[1].states must be distinct"],
    ["functions.1.states.1.out", 4e9, "functions[1].slots must be with 3 of kind stateOut, not 2"],
    ["functions.1.states.1.out", -2, "functions[1].states[1].out must be a whole number"],
    ["functions.1.states.1.from", { kind: "state", index: 1 }, "functions[1].states[1] must be without from"],
    ["functions.3.states.0.from", { kind: "arg", index: 0 }, "functions[3].states[0].from must be f64[2]"],
    ["functions.0.outs.0.index", 1, "functions[0].outs[0] must be f32[2,2]"],
    ["functions.0.outs.0.kind", "arena", "functions[0].outs[0].kind must be arg or const"],
    ["functions.0.outs", [], "functions[0].outs must be a list of 2"],
    ["functions.2.check.result", 0, "functions[2].check.result must be i32[]"],
    ["functions.2.check.messages", [1], "functions[2].check.messages[0] must be a text"],
    ["calls.0.format", ["a"], "calls[0].format must be one text more"],
    ["calls.0.kind", "call", "calls[0].kind must be print"],
    ["calls", [], "program.relaxed.wasm: "],
    ["selfTest.calls.0.function", "other", "selfTest.calls must be predict or step"],
    ["selfTest.tolerance.f32", 2, "selfTest.tolerance.f32 must be from 0 to 1"],
    ["selfTest.recorded.fused", "no", "selfTest.recorded.fused must be true or false"],
  ];
  test.each(wrong)("%s = %j", async (path, value, message) => {
    const manifest = looseManifest(files);
    put(manifest as unknown as Loose, path, value);
    expect(await failure(withSealedManifest(files, manifest))).toContain(message);
  });

  const r = "functions.0";
  const wrongSizes: readonly (readonly [path: string, value: unknown, message: string])[] = [
    [`${r}.sizes`, undefined, 'functions[0] must be without names of other sizes, but is "n"'],
    [`${r}.sizes`, 5, "functions[0].sizes must be a list"],
    [`${r}.sizes.0.name`, "m", "functions[0].sizes must be distinct"],
    [`${r}.sizes.0.name`, "k", "functions[0].sizes[0] must be the size of an argument"],
    [`${r}.sizes.0.lo`, -1, "functions[0].sizes[0].lo must be a whole number below 2147483648"],
    [`${r}.sizes.0.lo`, 0.5, "functions[0].sizes[0].lo must be a whole number"],
    [`${r}.sizes.0.lo`, 2 ** 31, "functions[0].sizes[0].lo must be a whole number"],
    [`${r}.sizes.0.hi`, 0, "functions[0].sizes[0].lo must be 0 at most"],
    [`${r}.elements`, ["k"], 'functions[0] must be without names of other sizes, but is "k"'],
    [`${r}.elements`, [["-", "n", 1]], "functions[0].elements[0][0] must be + or * or / or % or min or max"],
    [`${r}.elements`, [["+", "n"]], "functions[0].elements[0] must be an operation and two sizes"],
    [`${r}.elements`, [["+", "n", 0.5]], "functions[0].elements[0][2] must be a whole number or the name of a size"],
    [`${r}.params.1.tree.shape.1`, ["+", "n", 0], "functions[0].params must be of sizes that are numbers or names"],
    [`${r}.params.0.tree.shape.0`, "k", "functions[0]"],
    [`${r}.params.0.tree.shape.1`, "n", "functions[0].slots, arg 0 must be f32[n,n]"],
    [`${r}.result.items.0.shape.0`, ["*", 3, "n"], "functions[0].outs[0] must be f32[*,3,n]"],
    [`${r}.slots.0.shape.0`, "k", 'functions[0] must be without names of other sizes, but is "k"'],
    [`${r}.slots.0.shape.0`, ["/", 1, ["+", "n", ["*", -1, "n"]]], "which is Infinity"],
    [`${r}.slots.0.shape.0`, ["*", -1, "n"], "which is -1"],
    [`${r}.slots.0.shape.0`, ["*", 4294967295, "n"], "more than 4096"],
    [`${r}.slots.5.index`, 7, "functions[0].slots must be with 2 of kind sym at most"],
    [`${r}.slots.5.dtype`, "f32", "functions[0].slots, sym"],
  ];
  test.each(wrongSizes)("%s = %j", async (path, value, message) => {
    const manifest = looseManifest(sizedFiles);
    put(manifest as unknown as Loose, path, value);
    expect(await failure(withSealedManifest(sizedFiles, manifest))).toContain(message);
  });

  test("a bundle whose loader knows no sizes", async () => {
    const failing = load(() => ({}), undefined, undefined, { files: sizedFiles });
    await expect(failing).rejects.toThrow(BundleError);
  });

  test("a change that fits the types", async () => {
    const manifest = looseManifest(files);
    put(manifest as unknown as Loose, "functions.4.slots.0.shape", [0]);
    expect(await failure(withManifest(files, manifest))).toBe(
      "program.relaxed.wasm: was not written with this manifest.json",
    );
  });

  test("a key twice, no JSON, no object, nesting without end", async () => {
    const text = new TextDecoder().decode(files.get("manifest.json"));
    const body = text.slice(0, -'"crc32": "xxxxxxxx"\n}\n'.length);
    const signed = (changed: string): Promise<string> => failure(new Map([...files, ["manifest.json", sign(changed)]]));
    expect(sign(body)).toEqual(files.get("manifest.json"));
    expect(await signed(body.replace('"abi": 1', '"abi": 1, "abi": 1'))).toBe(
      'manifest.json: "abi" stands twice in one object',
    );
    expect(await signed(body.replace('"abi": 1', '"abi": 1, "\\u0061bi": 1'))).toContain("stands twice");
    expect(await signed(body.replace("{", "["))).toContain("manifest.json: ");
    const [open, close] = ['{"kind": "array", "items": [', "]}"].map((piece) => piece.repeat(100_000));
    const nested = body.replace('"result": {', `"result": ${open}${close}, "other": {`);
    expect(await signed(nested)).toContain("manifest.json: ");
  });
});

/** Changes of bytes: some replaced, some cut, some doubled. */
const mutation = fc.record({
  at: fc.nat(),
  bytes: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 8 }),
  how: fc.constantFrom("replace", "insert", "cut", "end", "double"),
});
type Mutation = { at: number; bytes: number[]; how: "replace" | "insert" | "cut" | "end" | "double" };

function mutate(bytes: Uint8Array, list: readonly Mutation[]): Uint8Array {
  let out = [...bytes];
  for (const { at, bytes: some, how } of list) {
    const place = at % (out.length + 1);
    if (how === "replace") out.splice(place, some.length, ...some);
    else if (how === "insert") out.splice(place, 0, ...some);
    else if (how === "cut") out.splice(place, some.length);
    else if (how === "end") out = out.slice(0, place);
    else out.splice(place, 0, ...out.slice(place, place + 20));
  }
  return Uint8Array.from(out);
}
const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });

/** Values that are put in place of others in a manifest. */
const odd = fc.oneof(
  fc.constantFrom(null, -1, 0, 1, 2, 0.5, 1e300, 2 ** 32, 2 ** 53, "", "__proto__", "constructor", true, [], {}),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<never>,
);

/** Every place in a JSON value, as path and parent. */
function places(value: unknown, found: { parent: Record<string, unknown>; key: string }[] = []): typeof found {
  if (typeof value !== "object" || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push({ parent: value as Record<string, unknown>, key });
    places((value as Record<string, unknown>)[key], found);
  }
  return found;
}

describe("fuzz", () => {
  test("safetensors: an error of its own, or tensors that fit the file", () => {
    const good = files.get("weights.safetensors")!;
    fc.assert(
      fc.property(mutations, (list) => {
        const bytes = mutate(good, list);
        try {
          let total = 0;
          for (const { bytes: data } of readSafetensors(bytes).tensors.values()) total += data.length;
          expect(total).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          if (!(error instanceof SafetensorsError)) throw error;
        }
      }),
      { numRuns: full ? 20_000 : 1_000 },
    );
  });

  test("manifest, its checksum right: a BundleError, or a program that answers with its types", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(files, embedded, sizedFiles),
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), odd, fc.boolean()), { minLength: 1, maxLength: 2 }),
        async (own, sealed, changes) => {
          const manifest = looseManifest(own);
          for (const [at, value, remove] of changes) {
            const all = places(manifest);
            const { parent, key } = all[at % all.length]!;
            if (remove) delete parent[key];
            else parent[key] = value;
          }
          await loadsOrFails((sealed ? withSealedManifest : withManifest)(own, manifest));
        },
      ),
      { numRuns: full ? 3_000 : 200 },
    );
  });

  test("manifest, its checksum right, by the bundle's own loader: a BundleError, or the right answer", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), odd, fc.boolean(), async (at, value, remove) => {
        const manifest = looseManifest(files);
        const all = places(manifest);
        const { parent, key } = all[at % all.length]!;
        if (remove) delete parent[key];
        else parent[key] = value;
        const given = withManifest(files, manifest);
        const program = await load(() => ({}), printedText, sized, { files: given }).catch((error: unknown) => error);
        if (program instanceof BundleError) return;
        const { y } = (program as Program).run(
          [
            [1, 0, 0],
            [0, 1, 0],
          ],
          { bias: [0.5, 0.25] },
        ) as { y: ResultTensor };
        expect([...y.data]).toEqual([11.5, 22.25, 13.5, 24.25]);
      }),
      { numRuns: full ? 3_000 : 200 },
    );
  });

  test("bytes of the manifest: a BundleError", () => {
    const good = files.get("manifest.json")!;
    fc.assert(
      fc.property(mutations, (list) => {
        const bytes = mutate(good, list);
        if (Buffer.compare(bytes, good) === 0) return;
        expect(() => readManifest(bytes)).toThrow(BundleError);
      }),
      { numRuns: full ? 5_000 : 300 },
    );
  });

  test("bytes of the other files: a BundleError", async () => {
    const names = ["program.wasm", "weights.safetensors"];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), mutations, async (name, list) => {
        const bytes = mutate(files.get(name)!, list);
        if (Buffer.compare(bytes, files.get(name)!) === 0) return;
        await expect(loadBundle(new Map([...files, [name, bytes]]), { build: "simd" })).rejects.toThrow(BundleError);
        // With a manifest that vouches for weights like these, they are tensors of the right types, or an error.
        if (name !== "program.wasm") await loadsOrFails(withFile(files, name, bytes));
      }),
      { numRuns: full ? 2_000 : 150 },
    );
  });
});

async function loadsOrFails(given: ReadonlyMap<string, Uint8Array>): Promise<void> {
  try {
    const program = await loadBundle(given, { log: () => {} });
    const { functions } = program;
    functions["guarded"]?.([1, 2, 3]);
    functions["predict"]?.(new Float32Array(6), { bias: [1, 2] });
    functions["step"]?.(2);
    functions["rows"]?.([[1, 2]], Float32Array.of(1, 2, 3, 4));
    functions["rows"]?.({ data: new Float32Array(4), shape: [4, 1] }, [[1, 2]]);
    program.saveState();
  } catch (error) {
    const known =
      error instanceof BundleError || error instanceof TypeError || (error as Error).name === "AssertionError";
    if (!known || /Cannot read|is not a function|is not iterable/.test((error as Error).message)) throw error;
  }
}
