// What the compiler writes, held against Binaryen, which it does without when it compiles: the same bytes and a text that
// reads as the same module, for whole programs and for every instruction in the table.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type EntryPoint, emitModule, emitWat, probeFeatures, schedule } from "@sinter/codegen-wasm";
import { expressionScope, type Graph, type MemoryKind, parseGraph } from "@sinter/ir";
import { lower, planMemory, simplify } from "@sinter/passes";
import binaryen from "binaryen";
import { describe, expect, test } from "vitest";
import type { Code, WasmType } from "../packages/codegen-wasm/src/asm.ts";
import { assemble } from "../packages/codegen-wasm/src/emit/module.ts";
import { Encoder } from "../packages/codegen-wasm/src/encode/encoder.ts";
import { instructionOf, type OpCode, opCodes } from "../packages/codegen-wasm/src/encode/opcodes.ts";
import { TextWriter } from "../packages/codegen-wasm/src/encode/text.ts";
import type { TreeAssembler } from "../packages/codegen-wasm/src/encode/tree.ts";
import { binaryenBytes, emitChecked, parseWat } from "./support/binaryen.ts";
import { scheduledFused } from "./support/check-text.ts";
import { type Form, withCompiled } from "./support/compiled.ts";

const here = dirname(fileURLToPath(import.meta.url));
const programs = [
  ...readdirSync(join(here, "golden/fuse")).map((file) => `golden/fuse/${file}`),
  "fixtures/mlp-step.ir",
].filter((file) => file.endsWith(".ir"));

describe("bytes and text say what Binaryen makes of", () => {
  test.each(programs)("%s", (file) => {
    const [source = ""] = readFileSync(join(here, file), "utf8").split("// ----\n");
    const graph = simplify(parseGraph(source));
    checkProgram(graph, scheduledFused, "shared");
    checkProgram(graph, { fuse: false, generic: true }, "unshared");
  });
});

function checkProgram(graph: Graph, form: Form, memory: MemoryKind): void {
  withCompiled(graph, form, ({ loops, plan }) => {
    const options = { ...probeFeatures(), memory, owner: "import" } as const;
    const { bytes } = emitChecked(loops, plan, options);
    expect(Buffer.compare(bytes, parseWat(emitWat(loops, plan, options)))).toBe(0);
  });
}

describe("a module of several programs", () => {
  const step = readFileSync(join(here, "fixtures/mlp-step.ir"), "utf8").split("// ----\n")[0]!;
  const small = "graph @half(%x: f32[5]) {\n  %0 = neg %x : f32[5]\n  return %0\n}\n";
  const data = [Float32Array.of(1, 2, 0, 0), new Float32Array(100), Float64Array.of(-0)].map(
    (values) => new Uint8Array(values.buffer),
  );

  test.each([true, false])("relaxed SIMD: %s", (relaxedSimd) => {
    const features = { relaxedSimd };
    const entries = [step, small, step].map((text, i) =>
      expressionScope((): EntryPoint => {
        const loops = schedule(lower(simplify(parseGraph(text)), {}), features);
        return { name: `run_${i}`, loops, plan: planMemory(loops, { alignment: 64 }) };
      }),
    );
    const { bytes, heapBase, addresses } = emitModule(entries, features, data);
    const options = { ...features, memory: "unshared", owner: "export" } as const;
    expect(Buffer.compare(bytes, binaryenBytes(entries, options, data))).toBe(0);
    const writer = new TextWriter();
    assemble(writer, entries, options, data);
    expect(Buffer.compare(bytes, parseWat(writer.text()))).toBe(0);

    expect([addresses, heapBase]).toEqual([[64, 128, 576], 640]);
    const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    const { memory, heap_base, ...runs } = new WebAssembly.Instance(module).exports;
    expect((heap_base as WebAssembly.Global).value).toBe(640);
    expect(Object.keys(runs)).toEqual(["run_0", "run_1", "run_2"]);
    const { buffer } = memory as WebAssembly.Memory;
    expect([...new Float32Array(buffer, 64, 3), ...new Float64Array(buffer, 576, 1)]).toEqual([1, 2, 0, -0]);
    // The third program is the first again: it adds its control tree only.
    const alone = emitModule(entries.slice(0, 2), features, data).bytes.length;
    expect(bytes.length - alone).toBeLessThan(alone / 10);
  });
});

test("every instruction of the table has the code and the name that Binaryen gives it", () => {
  const problems = opCodes.filter((op) => {
    const names = namesInText(op);
    return names === undefined || !names.includes(instructionOf(op).text);
  });
  expect(problems).toEqual([]);
  expect(opCodes.filter((op) => typeof binaryen[op] !== "number")).toEqual([]);
});

const types: readonly WasmType[] = ["i32", "i64", "f32", "f64", "v128"];
const operands: readonly (readonly WasmType[])[] = [
  ...types.map((a) => [a]),
  ...types.flatMap((a) => types.map((b) => [a, b])),
  ["v128", "v128", "v128"],
];

/** The instructions in Binaryen's text of a function that uses one, with operands and a result that fit. */
function namesInText(op: OpCode): string[] | undefined {
  for (const params of operands)
    for (const result of [undefined, ...types]) {
      const encoder = new Encoder();
      useOnce(encoder, op, params, result);
      const bytes = encoder.bytes() as Uint8Array<ArrayBuffer>;
      if (!WebAssembly.validate(bytes)) continue;
      const writer = new TextWriter();
      useOnce(writer, op, params, result);
      expect(Buffer.compare(bytes, parseWat(writer.text())), op).toBe(0);
      const text = parsedText(bytes);
      return [...text.matchAll(/\(([\w.]+)/g)].map((match) => match[1]!);
    }
  return undefined;
}

/** A function that computes `op` from its parameters and puts the result, if there is one, in a local. */
function useOnce(asm: TreeAssembler, op: OpCode, params: readonly WasmType[], result: WasmType | undefined): void {
  asm.memory("export", false, 1, 1);
  const code = made(
    asm,
    op,
    params.map((type, i) => asm.get(i, type)),
  );
  const body = result === undefined ? code : asm.set(params.length, code);
  asm.func("use", params, result === undefined ? [] : [result], [body]);
  asm.exportFunc("use");
}

function made(asm: TreeAssembler, op: OpCode, [a, b, c]: readonly Code[]): Code {
  if (/Lane.*Vec128$/.test(op)) return asm.laneAccess(op, a!, 0, b ?? a!, 0);
  if (op.startsWith("Load")) return asm.loadVector(op, a!, 0);
  if (op.startsWith("ExtractLane")) return asm.extract(op, a!, 0);
  if (op.startsWith("ReplaceLane")) return asm.replace(op, a!, 0, b ?? a!);
  if (c !== undefined) return asm.ternary(op, a!, b!, c);
  return b === undefined ? asm.unary(op, a!) : asm.binary(op, a!, b);
}

function parsedText(bytes: Uint8Array): string {
  const module = binaryen.readBinary(bytes);
  try {
    return module.emitText();
  } finally {
    module.dispose();
  }
}

describe("text", () => {
  const wat = (build: (asm: TreeAssembler) => void): { bytes: Uint8Array; text: string } => {
    const [encoder, writer] = [new Encoder(), new TextWriter()];
    build(encoder);
    build(writer);
    return { bytes: encoder.bytes(), text: writer.text() };
  };

  test("numbers of every kind read back", () => {
    const floats = [0, -0, 1, -1.5, 0.1, 1e-7, 1e21, 3.4e38, 5e-324, 2 ** -149, Infinity, -Infinity, NaN];
    const { bytes, text } = wat((asm) =>
      asm.func(
        "numbers",
        [],
        ["i32", "i64", "f32", "f64", "v128"],
        [
          ...[0, -1, 2 ** 31, 2 ** 32 - 1].map((v) => asm.set(0, asm.i32(v))),
          ...[0n, -1n, 2n ** 63n, 2n ** 63n - 1n].map((v) => asm.set(1, asm.i64(v))),
          ...floats.map((v) => asm.set(2, asm.f32(v))),
          ...floats.map((v) => asm.set(3, asm.f64(v))),
          asm.set(4, asm.v128(Uint8Array.from({ length: 16 }, (_, i) => 255 - i))),
        ],
      ),
    );
    expect(Buffer.compare(bytes, parseWat(text))).toBe(0);
  });

  test("control flow reads back, and defaults are left out", () => {
    const { bytes, text } = wat((asm) => {
      asm.memory("export", true, 1, 2);
      asm.func("nothing", [], [], []);
      const get = () => asm.get(0, "i32");
      const branch = asm.if(get(), [asm.set(0, asm.i32(1)), asm.call("nothing", [])], [asm.set(0, asm.i32(2))]);
      const copy = asm.memoryCopy(get(), get(), get());
      const byte = asm.store("i32", get(), 3, asm.load("i32", get(), 0, 1), 1);
      const inner = asm.whileDo([branch], get(), [copy, byte]);
      asm.func("control", ["i32"], [], [asm.doWhile([asm.sequence([inner, asm.sequence([])])], get())]);
      asm.exportFunc("control");
    });
    expect(Buffer.compare(bytes, parseWat(text))).toBe(0);
    expect(text).toContain("(i32.load8_u\n");
    expect(text).toContain("(i32.store8 offset=3\n");
  });
});
