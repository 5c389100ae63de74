/** Kernels that come as loops of their own: a thread for each chunk of the outermost loop, or one for everything. */
import {
  bytesOf,
  type Dim,
  divIndex,
  type LibraryKernel,
  type LoopExpr,
  type LoopFunc,
  type LoopKernel,
  type LoopPointer,
  type LoopStmt,
  loop,
  type ScratchDecl,
  scaleIndex,
  toDim,
} from "@sinter/ir";
import { variableIds } from "./functions.ts";
import { elementBytes, gridParams, usualThreads } from "./threads.ts";

/** `generic`: without what an op has for GPUs alone. */
export function libraryKernel(kernel: LibraryKernel, generic: boolean): LoopKernel {
  const { args, writes, loops, name } = kernel;
  if (loops.device !== undefined && !generic) {
    const frame = { name, buffers: args, writes, aliasable: [], flops: loops.flops };
    return { ...frame, ...loops.device(), schedule: "library grids" };
  }
  const [entry, ...others] = kernel.loops.funcs as readonly [LoopFunc, ...LoopFunc[]];
  const grid = new loop.FuncBuilder(`${kernel.name}_grid`);
  const pointers = entry.pointers.map((p) => grid.pointer(p.name, p.element, p.space));
  const [group, thread] = gridParams.map((name) => grid.param(name)) as [LoopExpr, LoopExpr];
  const here = new Map(entry.pointers.map((p, i) => [p, pointers[i]!]));
  const chunks = chunksOf(entry);
  const threads = chunks === undefined ? 1 : usualThreads;
  const point = grid.let("chunk", loop.add(loop.mul(group, loop.i32(threads)), thread));
  if (chunks === undefined) grid.call(`${kernel.name}_all`, pointers);
  else
    grid.if(loop.lt(point, loop.i32(chunks.count)), () => {
      const { func, pointers: given, args } = chunks.par;
      grid.call(
        func,
        given.map((p) => here.get(p)!),
        [point, ...args],
      );
    });
  const all = { ...entry, name: `${kernel.name}_all` };
  return {
    name: kernel.name,
    buffers: kernel.args,
    writes: kernel.writes,
    aliasable: [],
    flops: kernel.loops.flops,
    funcs: [grid.finish(), ...(chunks === undefined ? [all] : []), ...others].map(inOrder),
    scratch: kernel.loops.scratch.map(onDevice),
    grids: [{ func: grid.name, groups: chunks === undefined ? 1 : Math.ceil(chunks.count / threads), threads }],
    schedule: "library",
  };
}

/** What an entry consists of, where that is one loop over chunks whose number and arguments are constants. */
function chunksOf(entry: LoopFunc): { readonly par: LoopStmt & { kind: "par" }; readonly count: number } | undefined {
  const [only, second] = entry.body;
  if (only?.kind !== "par" || second !== undefined || entry.params.length > 0) return undefined;
  const count = loop.constValue(only.chunks);
  return count === undefined || only.args.some((a) => a.kind !== "const") ? undefined : { par: only, count };
}

/** Chunks one after the other in the thread that comes to them. */
function inOrder(func: LoopFunc): LoopFunc {
  let next = Math.max(-1, ...variableIds(func.body), ...func.params.map((v) => v.id));
  const go = (list: readonly LoopStmt[]): LoopStmt[] => list.map(statement);
  const statement = (s: LoopStmt): LoopStmt => {
    switch (s.kind) {
      case "par": {
        const variable = { id: ++next, name: "chunk", type: loop.type("i32"), mutable: false };
        loop.markNonNegative(variable);
        const args = [loop.use(variable), ...s.args];
        const body: LoopStmt[] = [{ kind: "call", func: s.func, pointers: s.pointers, args }];
        return { kind: "for", variable, from: loop.i32(0), to: s.chunks, step: 1, body };
      }
      case "for":
      case "while":
        return { ...s, body: go(s.body) };
      case "if":
        return loop.ifStmt(s.test, go(s.then), go(s.else));
      default:
        return s;
    }
  };
  return { ...func, body: go(func.body) };
}

function onDevice({ pointer, bytes }: ScratchDecl): ScratchDecl {
  return { pointer, bytes: deviceBytes(pointer, bytes) };
}

/** Elements take four bytes each there. */
function deviceBytes(pointer: LoopPointer, bytes: Dim): Dim {
  return toDim(divIndex(scaleIndex(bytes, elementBytes), bytesOf(pointer.element)));
}
