/** The files of a bundle for WebGPU: the shaders of all functions in one file, and the plan by which they are run. */
import type { Dim, Graph, LoopProgram, Place, Shader, WebgpuProgram } from "@sinter/ir";
import { kernelNodes, locsOfNodes, placesText } from "../stage-text.ts";
import { type DispatchFunction, type DispatchPlan, type ShaderEntry, shaderHead, type WithSizes } from "./dispatch.ts";
import { sizeEntry } from "./sizes.ts";
import type { FunctionSpec } from "./spec.ts";

/** A function compiled for every device. */
export interface DeviceMade {
  readonly simplified: Graph;
  readonly loops: LoopProgram;
  readonly program: WebgpuProgram;
}
/** Compiles for what every device has. Whoever writes no bundle for WebGPU need not load it. */
export type CompileForDevices = (graph: Graph, options: { readonly fastMath: boolean }) => DeviceMade;

/** What the default limits of WebGPU say. */
const everywhere = { maxBufferSize: 256 * 2 ** 20, maxStorageBufferBindingSize: 128 * 2 ** 20 };

/** All functions' shaders, each once. */
export class Kernels {
  readonly shaders: ShaderEntry[] = [];
  private readonly codes: string[] = [];
  private readonly heads: string[][] = [];
  private readonly known = new Map<string, number>();

  /** Positions of a program's shaders. */
  add(name: string, { program, loops, simplified }: DeviceMade): number[] {
    const positions = program.shaders.map((shader) => this.position(shader));
    const nodes = kernelNodes(loops);
    for (const { shader, kernel } of dispatchesIn(program.steps)) {
      const places = placesText(
        locsOfNodes(simplified, nodes[kernel]!).map((loc) => ({ ...loc, file: ofFile(loc.file) })),
      );
      const { label } = program.shaders[shader]!;
      const head = `${label} of ${name}${places === "" ? "" : `: ${places}`}`;
      const heads = this.heads[positions[shader]!]!;
      if (!heads.includes(head)) heads.push(head);
    }
    return positions;
  }

  private position({ label, code, buffers, params, gated }: Shader): number {
    const entry = { label, buffers, params, gated };
    const key = `${JSON.stringify({ ...entry, label: "" })}\n${code}`;
    let position = this.known.get(key);
    if (position === undefined) {
      position = this.shaders.push(entry) - 1;
      this.codes.push(code);
      this.heads.push([]);
      this.known.set(key, position);
    }
    return position;
  }

  /** The file: each shader under a line with its number, and lines that say what it does. */
  text(): string {
    const parts = this.codes.map((code, i) => {
      const heads = this.heads[i]!.map((head) => `// ${head.replace(/\s+/g, " ")}\n`).join("");
      return `${shaderHead}${i}\n${heads}${code.trimEnd()}\n`;
    });
    return parts.join("\n");
  }
}

/** Without its folder, which differs between machines. */
function ofFile(path: string): string {
  return path.replace(/^.*[\\/]/, "");
}

/** What the plan says of a function. `constants`: by const slot. */
export function dispatchFunction(
  f: FunctionSpec,
  { program }: DeviceMade,
  shaders: readonly number[],
  constants: readonly number[],
): DispatchFunction {
  const { steps, slots, arenaBytes, kernels, calls } = program;
  const buffers = usedBuffers(program);
  const plain = withSizes({ name: f.name, kernels, arenaBytes, slots, buffers, steps, calls });
  return { ...plain, shaders, constants };
}

/** Plain data with sizes written as the manifest writes them. */
function withSizes<T>(value: T): WithSizes<T> {
  const visit = (at: unknown): unknown => {
    if (Array.isArray(at)) return at.map(visit);
    if (typeof at !== "object" || at === null) return at;
    if ("terms" in at) return { size: sizeEntry(at as Dim) };
    return Object.fromEntries(
      Object.entries(at).flatMap(([key, item]) => (item === undefined ? [] : [[key, visit(item)]])),
    );
  };
  return visit(value) as WithSizes<T>;
}

type Dispatch = Extract<WebgpuProgram["steps"][number], { kind: "dispatch" }>;

function dispatchesIn(steps: WebgpuProgram["steps"]): Dispatch[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case "dispatch":
        return [step];
      case "if":
        return step.branches.flatMap(dispatchesIn);
      case "for":
        return dispatchesIn(step.body);
      case "while":
        return [...dispatchesIn(step.test), ...dispatchesIn(step.body)];
      default:
        return [];
    }
  });
}

/** Buffers that steps name, and those behind them. */
function usedBuffers({ buffers, steps }: WebgpuProgram): WebgpuProgram["buffers"] {
  const byId = new Map(buffers.map((buffer) => [buffer.id, buffer]));
  const used = new Set<number>();
  const use = (id: number): void => {
    const buffer = byId.get(id);
    if (buffer === undefined || used.has(id)) return;
    used.add(id);
    if (buffer.slice !== undefined) [buffer.slice.of, buffer.slice.counter].forEach(use);
    if (buffer.place.kind === "same") use(buffer.place.as);
  };
  const visit = (list: WebgpuProgram["steps"]): void => {
    for (const step of list) {
      switch (step.kind) {
        case "dispatch":
          for (const range of step.ranges) if (range.kind === "buffer") use(range.buffer);
          for (const word of step.params) if (word.kind === "start" || word.kind === "place") use(word.buffer);
          break;
        case "host":
          [...step.operands, ...step.results].forEach(use);
          break;
        case "copy":
          [step.from, step.to].forEach(use);
          break;
        case "swap":
          [step.a, step.b].forEach(use);
          break;
        case "if":
          use(step.index);
          step.branches.forEach(visit);
          break;
        case "for":
          use(step.counter);
          visit(step.body);
          break;
        case "while":
          use(step.predicate);
          visit(step.test);
          visit(step.body);
          break;
        default:
          step satisfies never;
      }
    }
  };
  visit(steps);
  return buffers
    .filter(({ id }) => used.has(id))
    .map((buffer) => {
      const { place } = buffer;
      if (place.kind !== "arena") return buffer;
      // When it is in use matters to the compiler only.
      const { kind, offset, bytes } = place;
      return { ...buffer, place: { kind, offset, bytes } as Place };
    });
}

/** The limits above those of every device that programs of known sizes need. */
export function limitsOf(programs: readonly WebgpuProgram[]): Readonly<Record<string, number>> {
  let buffer = 0;
  let binding = 0;
  const known = (bytes: Dim): number => (typeof bytes === "number" ? bytes : 0);
  for (const program of programs) {
    const byId = new Map(program.buffers.map((each) => [each.id, each]));
    const bytesOf = (id: number): number => {
      const { place, slice } = byId.get(id)!;
      if (slice !== undefined) return bytesOf(slice.of);
      if (place.kind === "same") return bytesOf(place.as);
      return place.kind === "none" ? 0 : known(place.bytes);
    };
    for (const { bytes } of program.slots) buffer = Math.max(buffer, known(bytes));
    for (const { ranges } of dispatchesIn(program.steps))
      for (const range of ranges)
        binding = Math.max(binding, range.kind === "buffer" ? bytesOf(range.buffer) : known(range.bytes));
  }
  const needed = { maxBufferSize: buffer, maxStorageBufferBindingSize: binding };
  return Object.fromEntries(
    Object.entries(needed).filter(([name, n]) => n > everywhere[name as keyof typeof everywhere]),
  );
}

/** JSON with one line for each step, buffer, slot and shader. */
export function dispatchText(plan: DispatchPlan): string {
  const lines = (value: unknown, depth: number, indent: string): string => {
    if (depth === 0 || typeof value !== "object" || value === null || Object.keys(value).length === 0)
      return JSON.stringify(value);
    const inside = `${indent}  `;
    const items = Array.isArray(value)
      ? value.map((item) => lines(item, depth - 1, inside))
      : Object.entries(value).map(
          ([key, item]) => `${JSON.stringify(key)}: ${lines(item, flat(item) ? 0 : depth - 1, inside)}`,
        );
    const [open, close] = Array.isArray(value) ? "[]" : "{}";
    return `${open}\n${items.map((item) => inside + item).join(",\n")}\n${indent}${close}`;
  };
  return `${lines(plan, 4, "")}\n`;
}

function flat(value: unknown): boolean {
  return !Array.isArray(value) || value.every((item) => typeof item !== "object");
}
