/**
 * The only glue: from a traced graph to something that runs, one readable list of stages. Keeps what it made by the
 * graph's text, so that the same graph is compiled once, whoever traced it.
 */
import { type Graph, graphText, nameByHash, sameData, type TypedArray } from "@sinter/ir";
import { ByteCache } from "./cache.ts";
import { type Executable, instantiate } from "./exec/program.ts";
import { referenceProgram } from "./reference.ts";
import { theMachine } from "./session.ts";
import { type CompileOptions, compileToWasm } from "./stages.ts";

export type { Backend, CompileOptions } from "./stages.ts";

/** What was compiled: runs, and tells how it came about. */
export interface Compiled {
  readonly executable: Executable;
  readonly backend: CompileOptions["backend"];
}

const programs = new ByteCache<Compiled>(256 * 1024 * 1024);
let compilations = 0;

/** How many programs have been compiled (cache hits not counted), and what the cache holds. */
export function compilerStats(): { readonly compilations: number; readonly programs: number; readonly bytes: number } {
  return { compilations, programs: programs.size, bytes: programs.bytes };
}

/** The program of a graph: from the cache, or compiled now. */
export function compileGraph(graph: Graph, options: CompileOptions): Compiled {
  const key = `${options.backend} ${options.fastMath === true} ${theMachine().heap.kind}\n${graphText(graph, nameData)}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  compilations++;
  const made = compileNow(graph, options);
  programs.set(key, { value: made, bytes: made.executable.bytes + 2 * key.length });
  return made;
}

function compileNow(graph: Graph, options: CompileOptions): Compiled {
  const machine = theMachine();
  const executable =
    options.backend === "reference"
      ? referenceProgram(machine, graph)
      : instantiate(machine, compileToWasm(graph, options).program);
  return { executable, backend: options.backend };
}

/** Names large constants in keys: equal names only for equal contents. */
const largeConstants = new Map<string, WeakRef<TypedArray>[]>();
function nameData(data: TypedArray): string {
  const label = nameByHash(data);
  let same = largeConstants.get(label);
  if (same === undefined) largeConstants.set(label, (same = []));
  let index = same.findIndex((ref) => {
    const known = ref.deref();
    return known !== undefined && sameData(known, data);
  });
  if (index < 0) index = same.push(new WeakRef(data)) - 1;
  return `${label}.${index}`;
}
