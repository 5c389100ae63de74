/** Graph to nests: what becomes one kernel, in which order, and over which memory. */
import type { FusionNote, Graph, NestProgram } from "@sinter/ir";
import { inlineCalls } from "../inline.ts";
import { Buffers, type Handle } from "./buffers.ts";
import { Regions } from "./control.ts";
import { buildLevel } from "./level.ts";
import { markPaths } from "./provenance.ts";
import type { Outlet } from "./storage.ts";

export interface LowerOptions {
  /** One kernel per op where false; movement never makes one by itself. */
  readonly fuse?: boolean;
  /** Buffers that a kernel may bind, as far as fusion decides about it: what one operation needs, it gets. */
  readonly buffers?: number;
}

/** Call inside an `expressionScope` that lasts until the program is emitted. */
export function lower(source: Graph, options: LowerOptions = {}): NestProgram {
  const graph = inlineCalls(markPaths(source));
  const buffers = new Buffers();
  const params = paramBuffers(graph, buffers);
  const outlets = outletsOf(graph, buffers, params);
  const level = new Regions(buffers, {
    fuse: options.fuse ?? true,
    most: options.buffers ?? Number.POSITIVE_INFINITY,
  }).plan({ graph, params, outlets });
  const { decls, idOf } = buffers.finish();
  const steps = buildLevel(level, idOf);
  // Notes are made when somebody reads them: most compilations end without.
  let notes: readonly FusionNote[] | undefined;
  return {
    name: graph.name,
    buffers: decls,
    steps,
    get notes() {
      notes ??= level.notes();
      return notes;
    },
  };
}

function paramBuffers(graph: Graph, buffers: Buffers): Map<number, Handle> {
  const out = new Map<number, Handle>();
  for (const { kind, name, value } of graph.params)
    if (kind !== "token" && value.type.kind === "tensor")
      out.set(value.id, buffers.add(name, value.type.dtype, value.type.shape, kind));
  return out;
}

/** Buffers for all results, in order. */
function outletsOf(graph: Graph, buffers: Buffers, params: ReadonlyMap<number, Handle>): Outlet[] {
  return graph.results.flatMap((result, position): Outlet[] => {
    const { value } = result;
    if (value.type.kind === "token") return [];
    const { dtype, shape } = value.type;
    const common = { value: value.id, exchange: false, fixed: true } as const;
    if (result.kind !== "state")
      return [{ ...common, buffer: buffers.add(`out${position}`, dtype, shape, "result"), replaces: undefined }];
    const param = graph.params[result.param]!;
    const replaces = params.get(param.value.id)!;
    const buffer = buffers.add(`${param.name}_next`, dtype, shape, "stateOut", { replaces });
    return [{ ...common, buffer, replaces: param.value.id }];
  });
}
