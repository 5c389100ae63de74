/** Checks what every nest program must hold, whoever made it. Throws with the kernel's name and what is wrong. */

import type { HostType } from "../host-call.ts";
import { indexAxes, ownIndices } from "./classify.ts";
import type { BufferId, IndexExpr, ScalarExpr } from "./expr.ts";
import { below, sameIndex, toIndex } from "./index-algebra.ts";
import type { BufferDecl, LibraryKernel, Nest, NestKernel, NestProgram, NestStep, SliceOf } from "./nest.ts";
import { openLoops, visitScalar } from "./scalar-expr.ts";

export class NestError extends Error {
  override readonly name = "NestError";
}

export function verifyNests(program: NestProgram): void {
  program.buffers.forEach((b, i) => {
    if (b.id !== i) throw new NestError(`buffer at place ${i} says it is b${b.id}`);
    if (b.kind === "stateOut" && program.buffers[b.replaces ?? -1]?.kind !== "state")
      throw new NestError(`buffer ${b.name} replaces no state`);
    if ((b.kind === "slice") !== (b.slice !== undefined)) throw new NestError(`buffer ${b.name} is a slice of nothing`);
    if (b.slice !== undefined) slice(program, b, b.slice);
  });
  const rowOwner = new Map<BufferId, string>();
  steps(program, program.steps, rowOwner);
}

function slice(program: NestProgram, { name, dtype, shape }: BufferDecl, { of, counter }: SliceOf): void {
  const [from, by] = [program.buffers[of], program.buffers[counter]];
  if (from === undefined || from.kind === "row") throw new NestError(`${name} is a slice of b${of}, not there`);
  const fits = from.shape.length === shape.length + 1 && shape.every((d, i) => sameIndex(d, from.shape[i + 1]!));
  if (!fits || from.dtype !== dtype) throw new NestError(`${name} is no slice of ${from.name}: they do not fit`);
  if (by === undefined || by.dtype !== "i32" || by.shape.length > 0)
    throw new NestError(`${name} is a slice by b${counter}, which is no counter`);
}

function steps(program: NestProgram, list: readonly NestStep[], rowOwner: Map<BufferId, string>): void {
  const known = (id: BufferId, what: string): void => {
    if (program.buffers[id] === undefined) throw new NestError(`${what} b${id} does not exist`);
  };
  for (const step of list) {
    switch (step.kind) {
      case "kernel":
        if (step.kernel.kind === "nests") new KernelCheck(program, step.kernel, rowOwner).check();
        else library(program, step.kernel);
        break;
      case "host":
        handed(program, step.operands, step.call.operands);
        handed(program, step.results, step.call.results);
        for (const id of step.results)
          if (step.operands.includes(id)) throw new NestError(`a call of the host reads b${id}, which it writes`);
        break;
      case "copy": {
        known(step.from, "copy: source");
        known(step.to, "copy: target");
        const [from, to] = [program.buffers[step.from]!, program.buffers[step.to]!];
        if (from.dtype !== to.dtype || from.kind === "row" || to.kind === "row")
          throw new NestError(`copy from ${from.name} to ${to.name}: they do not fit`);
        break;
      }
      case "swap": {
        known(step.a, "swap:");
        known(step.b, "swap:");
        const [a, b] = [program.buffers[step.a]!, program.buffers[step.b]!];
        const fit = a.dtype === b.dtype && a.shape.length === b.shape.length;
        if (!fit || a === b || !a.shape.every((d, i) => sameIndex(d, b.shape[i]!)))
          throw new NestError(`swap of ${a.name} and ${b.name}: they do not fit`);
        for (const { kind, name } of [a, b])
          if (kind !== "temp") throw new NestError(`swap of ${kind} ${name}, whose memory must stay`);
        break;
      }
      case "if":
        known(step.index, "if: index");
        for (const branch of step.branches) steps(program, branch, rowOwner);
        break;
      case "for":
        known(step.counter, "for: counter");
        steps(program, step.body, rowOwner);
        break;
      case "while":
        known(step.predicate, "while: predicate");
        steps(program, step.test, rowOwner);
        steps(program, step.body, rowOwner);
        break;
      default:
        step satisfies never;
    }
  }
}

/** What a call of the host takes or gives is what it says. */
function handed(program: NestProgram, ids: readonly BufferId[], types: readonly HostType[]): void {
  if (ids.length !== types.length)
    throw new NestError(`a call of the host has ${ids.length} buffers for ${types.length}`);
  for (const [i, id] of ids.entries()) {
    const decl = program.buffers[id];
    const { dtype, shape } = types[i]!;
    if (decl === undefined || decl.kind === "row") throw new NestError(`a call of the host takes b${id}, not there`);
    if (
      decl.dtype !== dtype ||
      decl.shape.length !== shape.length ||
      shape.some((d, k) => !sameIndex(d, decl.shape[k]!))
    )
      throw new NestError(`a call of the host takes ${decl.name}, which does not fit`);
  }
}

function library(program: NestProgram, { name, loops, args, writes }: LibraryKernel): void {
  const fail = (reason: string): never => {
    throw new NestError(`kernel ${name} ${reason}`);
  };
  const pointers = loops.funcs[0]?.pointers ?? fail("has no function");
  if (pointers.length !== args.length + loops.scratch.length)
    fail(`takes ${pointers.length} pointers, ${args.length + loops.scratch.length} are bound`);
  args.forEach((id, i) => {
    const decl = program.buffers[id] ?? fail(`takes b${id}, which does not exist`);
    if (decl.dtype !== pointers[i]!.element) fail(`takes ${decl.name}: ${decl.dtype} as ${pointers[i]!.element}`);
    if (decl.kind === "row") fail(`takes row buffer ${decl.name}`);
  });
  for (const id of writes) {
    if (!args.includes(id)) fail(`writes b${id}, which it does not take`);
    const { kind, name: written } = program.buffers[id]!;
    if (kind === "arg" || kind === "const" || kind === "state") fail(`stores to ${kind} ${written}`);
  }
}

class KernelCheck {
  private readonly program: NestProgram;
  private readonly kernel: NestKernel;
  private readonly rowOwner: Map<BufferId, string>;

  /** Parts of the nest at hand that run for no point at all. */
  private unreached = { body: false, end: false };
  /** The nest at hand has one point: all is read before anything is stored. */
  private single = false;

  constructor(program: NestProgram, kernel: NestKernel, rowOwner: Map<BufferId, string>) {
    this.program = program;
    this.kernel = kernel;
    this.rowOwner = rowOwner;
  }

  check(): void {
    const { outer, nests } = this.kernel;
    if (nests.length === 0) this.fail("has no nests");
    if (nests.length === 1 && outer.length > 0) this.fail("has one nest and outer axes");
    if (outer.some((a) => a.kind !== "par")) this.fail("has an outer axis that is not par");
    for (const nest of nests) this.nest(nest);
  }

  private fail(reason: string): never {
    throw new NestError(`kernel ${this.kernel.name} ${reason}`);
  }

  private nest(nest: Nest): void {
    const kinds = nest.axes.map((a) => a.kind);
    const firstTail = kinds.findIndex((k) => k !== "par");
    if (firstTail >= 0 && kinds.lastIndexOf("par") > firstTail) this.fail("has a par axis behind a red or seq axis");
    if (nest.accumulators.length > 0 && kinds.includes("seq")) this.fail("accumulates along a seq axis");
    const par = new Set([...this.kernel.outer, ...nest.axes.filter((a) => a.kind === "par")].map((a) => a.id));
    const all = new Set([...this.kernel.outer, ...nest.axes].map((a) => a.id));
    if (all.size !== this.kernel.outer.length + nest.axes.length) this.fail("has the same axis twice");
    const empty = (scope: ReadonlySet<number>): boolean =>
      [...this.kernel.outer, ...nest.axes].some((a) => scope.has(a.id) && a.extent === 0);
    this.single = [...this.kernel.outer, ...nest.axes].every((a) => a.extent === 1);
    this.unreached = { body: empty(all), end: empty(par) };
    const hasRed = nest.accumulators.length > 0 || kinds.includes("red");
    for (const a of nest.accumulators) {
      const wanted = a.combine === "argMax" || a.combine === "argMin" ? 2 : 1;
      if (a.values.length !== wanted) this.fail(`has ${a.values.length} components for ${a.combine}`);
      for (const v of a.values) this.value(nest, v, all, "body");
    }
    for (const c of nest.carries) {
      this.value(nest, c.init, par, "body");
      this.value(nest, c.next, all, "body");
    }
    for (const store of nest.stores) {
      if (store.when === "end" && !hasRed) this.fail("has end stores but no reduction");
      const scope = store.when === "end" ? par : all;
      this.buffer(store.buffer, "stores to");
      const decl = this.program.buffers[store.buffer]!;
      if (decl.kind === "arg" || decl.kind === "const" || decl.kind === "state")
        this.fail(`stores to ${decl.kind} ${decl.name}`);
      if (store.value.dtype !== decl.dtype) this.fail(`stores ${store.value.dtype} to ${decl.name}: ${decl.dtype}`);
      this.position(decl, store.index, (store.guard?.length ?? 0) > 0 || this.unreached[store.when]);
      for (const ix of store.index) this.axes(ix, scope);
      this.value(nest, store.value, scope, store.when);
    }
  }

  private buffer(id: BufferId, what: string): void {
    const decl = this.program.buffers[id];
    if (decl === undefined) this.fail(`${what} b${id}, which does not exist`);
    if (decl.kind !== "row") return;
    const owner = this.rowOwner.get(id);
    if (owner !== undefined && owner !== this.kernel.name)
      this.fail(`${what} row buffer ${decl.name} of kernel ${owner}`);
    this.rowOwner.set(id, this.kernel.name);
  }

  /** Positions lie inside by their intervals, unless a guard keeps memory from being touched. */
  private position(decl: BufferDecl, index: readonly IndexExpr[], guarded: boolean): void {
    if (index.length !== decl.shape.length)
      this.fail(`uses ${index.length} positions for ${decl.name} of rank ${decl.shape.length}`);
    if (guarded) return;
    index.forEach((ix, i) => {
      const size = toIndex(decl.shape[i]!);
      if (ix.lo < 0 || (ix.hi >= size.hi && !below(ix, size)))
        this.fail(`reaches ${ix.key} (${ix.lo}..${ix.hi}) on axis ${i} of ${decl.name}, of size ${size.key}`);
    });
  }

  private axes(ix: IndexExpr, scope: ReadonlySet<number>): void {
    for (const id of indexAxes(ix)) if (!scope.has(id)) this.fail(`uses axis ${id} outside its scope in ${ix.key}`);
  }

  /** Slots agree in number and dtype, and the test is a bool. */
  private loop(e: ScalarExpr & { readonly kind: "loop" }): void {
    const { init, test, next, loopId } = e;
    if (test.dtype !== "bool") this.fail(`has a loop whose test is ${test.dtype}`);
    if (init[e.result]?.dtype !== e.dtype) this.fail(`uses slot ${e.result} of a loop of ${init.length} slots`);
    if (init.length !== next.length || next.some((x, i) => x.dtype !== init[i]!.dtype))
      this.fail("has a loop whose slots change in number or dtype");
    const slot = (x: ScalarExpr): void => {
      if (x.kind === "loopVar" && x.loopId === loopId && init[x.slot]?.dtype !== x.dtype)
        this.fail(`uses slot ${x.slot} of a loop, not there as ${x.dtype}`);
    };
    for (const inside of [test, ...next]) visitScalar(inside, slot);
  }

  private value(nest: Nest, root: ScalarExpr, scope: ReadonlySet<number>, when: "body" | "end"): void {
    if (openLoops(root).length > 0) this.fail("uses a variable of a loop outside it");
    visitScalar(root, (e) => {
      if (e.kind === "loop") this.loop(e);
      for (const ix of ownIndices(e)) this.axes(ix, scope);
      if (e.kind === "acc") {
        if (when === "body") this.fail("uses an accumulator before the end");
        const values = nest.accumulators[e.accumulator]?.values;
        if (values?.[e.component]?.dtype !== e.dtype) this.fail(`uses acc${e.accumulator}.${e.component}, not there`);
      }
      if (e.kind === "carry" && nest.carries[e.carry]?.dtype !== e.dtype) this.fail(`uses carry${e.carry}, not there`);
      if (e.kind !== "read") return;
      this.buffer(e.buffer, "reads");
      const decl = this.program.buffers[e.buffer]!;
      if (decl.dtype !== e.dtype) this.fail(`reads ${e.dtype} from ${decl.name}: ${decl.dtype}`);
      this.position(decl, e.index, e.guard.length > 0 || this.unreached[when]);
      for (const store of nest.stores) {
        if (!this.sameMemory(store.buffer, e.buffer)) continue;
        const same = store.index.every((ix, i) => ix.key === e.index[i]?.key);
        if (!same && !this.single) this.fail(`reads ${decl.name} at another position than it stores`);
      }
    });
  }

  /** The new value of a state may be stored over the old one. */
  private sameMemory(stored: BufferId, read: BufferId): boolean {
    return stored === read || this.program.buffers[stored]!.replaces === read;
  }
}
