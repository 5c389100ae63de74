/** One WGSL module: a grid of a kernel, the functions it calls, and the memory it binds. */
import {
  type Grid,
  type LoopFunc,
  type LoopKernel,
  type LoopPointer,
  type LoopVar,
  loop,
  type WebgpuFeatures,
} from "@sinter/ir";
import { sizeExpr } from "@sinter/ir/schedule";
import { FuncWriter } from "./context.ts";
import { exchangesThroughStorage } from "./exchange.ts";
import { countUses, valueText } from "./expr.ts";
import { Helpers } from "./helpers.ts";
import { type Bound, boundKey, type Memory, type Module } from "./space.ts";
import { writeList } from "./stmt.ts";
import { KernelError, storedScalar, typeName, typeText, type Word } from "./types.ts";

/** What is bound, in the order of the bindings. */
export interface BindingSpec {
  readonly access: "read" | "read_write";
  readonly stored: Word;
}

/** How each pointer of a kernel is bound: to a binding, from the element that words of `Params` add up to, or to a word. */
export type PointerSpec =
  | {
      readonly kind: "binding";
      readonly binding: number;
      readonly starts: readonly number[];
      readonly startAligned: boolean;
    }
  | { readonly kind: "param"; readonly word: number };

export interface GridSpec {
  readonly kernel: LoopKernel;
  readonly grid: Grid;
  readonly bindings: readonly BindingSpec[];
  readonly pointers: readonly PointerSpec[];
  /** Number of words of `Params`. */
  readonly words: number;
  /** The words of the symbolic sizes. */
  readonly syms: ReadonlyMap<string, number>;
  readonly gated: boolean;
  readonly features: WebgpuFeatures;
}

/** The WGSL of a grid. */
export function gridCode(spec: GridSpec): string {
  const survey = new ModuleWriter(spec, () => false);
  survey.write();
  const vectors = new Set(survey.memories.filter((m) => m.vectorAccess && !m.oddStores).map((m) => m.name));
  if (vectors.size === 0) return survey.text();
  const module = new ModuleWriter(spec, (name) => vectors.has(name));
  module.write();
  return module.text();
}

const word = (index: number): string => `params.p${index}`;

class ModuleWriter implements Module {
  readonly helpers = new Helpers();
  readonly features: WebgpuFeatures;
  readonly threads: number;
  readonly memories: Memory[] = [];
  usesThread = false;
  usesSubgroups = false;
  /** Whether threads of a group may hand values to each other through storage. */
  readonly storageBarriers: boolean;
  private readonly spec: GridSpec;
  private readonly isVectors: (name: string) => boolean;
  private readonly declarations: string[] = [];
  private readonly arrays = new Map<string, string>();
  private readonly functions: string[] = [];
  private readonly specialised = new Map<string, string>();
  private workgroupBytes = 0;
  private main: string[] = [];

  constructor(spec: GridSpec, isVectors: (name: string) => boolean) {
    this.spec = spec;
    this.features = spec.features;
    this.threads = spec.grid.threads;
    this.isVectors = isVectors;
    this.storageBarriers = exchangesThroughStorage(this.func(spec.grid.func), (i) => {
      const pointer = spec.pointers[i]!;
      return pointer.kind === "binding" ? pointer.binding : undefined;
    });
  }

  write(): void {
    const { spec } = this;
    const { limits } = spec.features;
    const most = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
    if (this.threads > most)
      throw new KernelError(
        `groups of ${this.threads} threads, and the device's maxComputeInvocationsPerWorkgroup is ${most}`,
      );
    const func = this.func(spec.grid.func);
    const bindings = spec.bindings.map(({ access, stored }, i) => {
      const memory = this.memory(`b${i}`, stored);
      const at = i + (spec.gated ? 2 : 1);
      this.declarations.push(
        `@group(0) @binding(${at}) var<storage, ${access}> ${memory.name}: array<${typeName(stored, memory.vectors ? 4 : 1)}>;`,
      );
      return memory;
    });
    const w = new FuncWriter(this);
    for (const [i, pointer] of func.pointers.entries()) w.bind(pointer.id, this.bound(spec.pointers[i]!, bindings));
    this.bindLocals(w, func);
    this.head(w, func);
    writeList(w, func.body);
    this.main = w.lines;
    if (this.workgroupBytes > limits.maxComputeWorkgroupStorageSize)
      throw new KernelError(
        `${this.workgroupBytes} bytes of memory of a group, and the device's maxComputeWorkgroupStorageSize is ${limits.maxComputeWorkgroupStorageSize}`,
      );
  }

  private bound(spec: PointerSpec, bindings: readonly Memory[]): Bound {
    if (spec.kind === "param") return { kind: "value", text: word(spec.word) };
    const { starts, startAligned } = spec;
    const sum = starts.map(word).join(" + ");
    const start = starts.length === 0 ? {} : { start: starts.length === 1 ? sum : `(${sum})` };
    return { kind: "array", memory: bindings[spec.binding]!, ...start, startAligned };
  }

  /** What the entry function does before its body: gate, group, thread, sizes. */
  private head(w: FuncWriter, func: LoopFunc): void {
    const { grid, gated, kernel, syms, features } = this.spec;
    if (gated) w.block("if (gate[0] == 0u)", () => w.push("return;"));
    const most = features.limits.maxComputeWorkgroupsPerDimension;
    const folds = typeof grid.groups !== "number" || grid.groups > most;
    const [group, thread, ...sizes] = func.params as readonly [LoopVar, LoopVar, ...LoopVar[]];
    w.push(`let ${w.define(group)} = i32(groupId.x${folds ? " + groupId.y * groupCounts.x" : ""});`);
    if (folds) {
      const values = new Map(
        [...syms].map(([name, index], i) => {
          const variable: LoopVar = { id: -100 - i, name, type: loop.type("i32"), mutable: false };
          w.alias(variable, word(index));
          return [name, loop.use(variable)];
        }),
      );
      const groups = sizeExpr(grid.groups, values);
      countUses(w, groups);
      const count = valueText(w, groups);
      w.endStatement();
      w.block(`if (${w.name(group)} >= ${count})`, () => w.push("return;"));
    }
    w.push(`let ${w.define(thread)} = i32(threadId);`);
    sizes.forEach((size, i) => {
      w.alias(size, word(syms.get(kernel.syms![i]!)!));
    });
  }

  private func(name: string): LoopFunc {
    const found = this.spec.kernel.funcs.find((f) => f.name === name);
    if (found === undefined) throw new Error(`kernel ${this.spec.kernel.name} has no function ${name}`);
    return found;
  }

  private memory(name: string, stored: Word, half = false): Memory {
    const memory = { name, stored, half, vectors: this.isVectors(name), vectorAccess: false, oddStores: false };
    this.memories.push(memory);
    return memory;
  }

  private bindLocals(w: FuncWriter, func: LoopFunc): void {
    for (const { pointer, elements } of func.locals ?? []) {
      const memory = this.local(pointer, elements);
      w.bind(pointer.id, { kind: "array", memory, startAligned: true });
    }
  }

  private local({ space, element, half = false }: LoopPointer, elements: number): Memory {
    if (half && !this.features.f16) throw new KernelError("memory of f16, and the device has no shader-f16");
    const isShared = space === "workgroup";
    const stored = storedScalar(element);
    const memory = this.memory(`${isShared ? "shared" : "own"}${this.memories.length}`, stored, half);
    const count = Math.ceil(elements / 4);
    const [one, four] = half ? ["f16", "vec4h"] : [stored, typeName(stored, 4)];
    const type = memory.vectors ? `array<${four}, ${count}>` : `array<${one}, ${4 * count}>`;
    if (isShared) this.workgroupBytes += (half ? 8 : 16) * count;
    this.declarations.push(`var<${isShared ? "workgroup" : "private"}> ${memory.name}: ${type};`);
    return memory;
  }

  /** Memory of the group that functions of the module share. */
  workgroupArray(name: string, stored: Word, elements: number): string {
    if (!this.arrays.has(name)) {
      this.arrays.set(name, `var<workgroup> ${name}: array<${stored}, ${elements}>;`);
      this.workgroupBytes += 4 * elements;
    }
    return name;
  }

  /** The name of a function with its pointers bound; there are no pointer parameters. */
  specialise(name: string, bounds: readonly Bound[], multiples: readonly number[]): string {
    const key = JSON.stringify([name, bounds.map(boundKey), multiples]);
    const known = this.specialised.get(key);
    if (known !== undefined) return known;
    const func = this.func(name);
    const own = `${name.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=[0-9_])/, "f")}_f${this.specialised.size}`;
    this.specialised.set(key, own);
    const w = new FuncWriter(this);
    func.pointers.forEach((pointer, i) => {
      w.bind(pointer.id, bounds[i]!);
    });
    this.bindLocals(w, func);
    const params = func.params.map((p, i) => `${w.define(p, multiples[i])}: ${typeText(p.type)}`);
    writeList(w, func.body);
    this.functions.push([`fn ${own}(${params.join(", ")}) {`, ...w.lines, "}"].join("\n"));
    return own;
  }

  text(): string {
    const { words, gated } = this.spec;
    const parts: string[] = [];
    if (this.memories.some((m) => m.half)) parts.push("enable f16;");
    if (this.usesSubgroups) parts.push("enable subgroups;\n\ndiagnostic(off, subgroup_uniformity);");
    const fields = Array.from({ length: words }, (_, i) => `  p${i}: i32,`);
    const bindings = [
      ...(words > 0 ? ["@group(0) @binding(0) var<uniform> params: Params;"] : []),
      ...(gated ? ["@group(0) @binding(1) var<storage, read> gate: array<u32>;"] : []),
      ...this.declarations,
      ...this.arrays.values(),
    ];
    if (words > 0) parts.push(["struct Params {", ...fields, "}"].join("\n"));
    const inputs = [
      "@builtin(workgroup_id) groupId: vec3u",
      "@builtin(num_workgroups) groupCounts: vec3u",
      "@builtin(local_invocation_index) threadId: u32",
    ];
    const setup: string[] = [];
    const own = (name: string, from: string): void => {
      bindings.push(`var<private> ${name}: u32;`);
      setup.push(`  ${name} = ${from};`);
    };
    if (this.helpers.has("exact")) own("unknownZero", "groupCounts.z - 1u");
    if (this.usesThread) own("threadIndex", "threadId");
    if (this.usesSubgroups) {
      inputs.push("@builtin(subgroup_size) sizeOfSubgroup: u32", "@builtin(subgroup_invocation_id) idInSubgroup: u32");
      own("subgroupSize", "sizeOfSubgroup");
      own("subgroupThread", "idInSubgroup");
    }
    parts.push(bindings.join("\n"), ...this.helpers.list, ...this.functions);
    const head = `@compute @workgroup_size(${this.threads})\nfn main(\n${inputs.map((i) => `  ${i},\n`).join("")}) {`;
    parts.push([head, ...setup, ...this.main, "}"].join("\n"));
    return `${parts.join("\n\n")}\n`;
  }
}
