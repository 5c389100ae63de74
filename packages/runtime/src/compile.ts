/**
 * The only glue: from a traced graph to something that runs, one readable list of stages. Keeps what it made by the
 * graph's text, so that the same graph is compiled once, whoever traced it.
 */
import { probeFeatures } from "@sinter/codegen-wasm";
import { type Graph, graphText, nameByHash, sameData, type TypedArray } from "@sinter/ir";
import { ByteCache } from "./cache.ts";
import { type Executable, instantiate } from "./exec/program.ts";
import { referenceProgram } from "./reference.ts";
import { theMachine } from "./session.ts";
import { type CompileOptions, compileToWasm } from "./stages.ts";

export type { Backend, CompileOptions } from "./stages.ts";

/** What was compiled: runs, and tells how it came about. */
export interface Compiled<E = Executable> {
  readonly executable: E;
  readonly backend: CompileOptions["backend"];
  /** Says now and then that it is in use, so that the cache knows. */
  used(): void;
}

let compilations = 0;

/** The programs of one device by the text of their graphs. */
export class ProgramCache<E extends { readonly bytes: number }> {
  private readonly programs = new ByteCache<Compiled<E>>(256 * 1024 * 1024);
  /** Keys of programs by other texts, which are made faster than a graph. */
  private readonly aliases = new ByteCache<string>(8 * 1024 * 1024);
  private readonly settings: (options: CompileOptions) => string;
  private readonly make: (graph: Graph, options: CompileOptions) => E;

  /** `settings`: all that decides about a program, apart from its graph. */
  constructor(settings: (options: CompileOptions) => string, make: (graph: Graph, options: CompileOptions) => E) {
    this.settings = settings;
    this.make = make;
  }

  get size(): number {
    return this.programs.size;
  }
  get bytes(): number {
    return this.programs.bytes;
  }

  /** The program of a graph: known, or compiled now. */
  ofGraph(graph: Graph, options: CompileOptions): Compiled<E> {
    return this.compile(graph, options).program;
  }

  /** As `ofGraph`, for a graph that is made only where the program of `alias` is not known. */
  ofAlias(alias: string, graph: () => Graph, options: CompileOptions): Compiled<E> {
    const text = `${this.settings(options)}\n${alias}`;
    const known = this.aliases.get(text);
    const program = known === undefined ? undefined : this.programs.get(known);
    if (program !== undefined) return program;
    const made = this.compile(graph(), options);
    this.aliases.set(text, { value: made.key, bytes: 2 * text.length });
    return made.program;
  }

  private compile(graph: Graph, options: CompileOptions): { readonly key: string; readonly program: Compiled<E> } {
    const { programs } = this;
    const constants: TypedArray[] = [];
    const text = graphText(graph, (data) => {
      const { name, kept } = nameData(data);
      constants.push(kept);
      return name;
    });
    const key = `${this.settings(options)}\n${text}`;
    const known = programs.get(key);
    if (known !== undefined) return { key, program: known };
    compilations++;
    const executable = this.make(graph, options);
    const bytes = constants.reduce((n, data) => n + data.byteLength, executable.bytes + 2 * key.length);
    const program: Compiled<E> & { readonly constants: readonly TypedArray[] } = {
      executable,
      backend: options.backend,
      // What the key names lives as long as the program: other data of this content must find the same name.
      constants,
      used() {
        if (programs.get(key) === undefined) programs.set(key, { value: program, bytes });
      },
    };
    programs.set(key, { value: program, bytes });
    return { key, program };
  }
}

/** Programs that run on the heap. */
const heapPrograms = new ProgramCache<Executable>(settingsText, compileNow);

/** How many programs have been compiled (cache hits not counted), what the cache holds, and constants known by name. */
export function compilerStats(): {
  readonly compilations: number;
  readonly programs: number;
  readonly bytes: number;
  readonly constants: number;
} {
  let constants = 0;
  for (const list of largeConstants.values()) constants += list.length;
  return { compilations, programs: heapPrograms.size, bytes: heapPrograms.bytes, constants };
}

/** The program of a graph: from the cache, or compiled now. */
export function compileGraph(graph: Graph, options: CompileOptions): Compiled {
  return heapPrograms.ofGraph(graph, options);
}

/** As `compileGraph`, for a graph that is made only where the program of `alias` is not known. */
export function compileAlias(alias: string, graph: () => Graph, options: CompileOptions): Compiled {
  return heapPrograms.ofAlias(alias, graph, options);
}

/** All that decides about a program, apart from its graph. */
function settingsText({ backend, fastMath = false, poison = false }: CompileOptions): string {
  const features = backend === "wasm" ? JSON.stringify(probeFeatures()) : "";
  return `${backend} ${fastMath} ${poison} ${theMachine().heap.kind} ${features}`;
}

function compileNow(graph: Graph, options: CompileOptions): Executable {
  const machine = theMachine();
  if (options.backend === "reference") return referenceProgram(machine, graph);
  return instantiate(machine, compileToWasm(graph, options).program);
}

interface NamedData {
  readonly name: string;
  readonly data: WeakRef<TypedArray>;
}

/** Names of large constants in keys, by their hash: equal names only for equal contents, and never given again. */
const largeConstants = new Map<string, NamedData[]>();
let namesGiven = 0;
const collected = new FinalizationRegistry<string>((hash) => {
  const alive = largeConstants.get(hash)?.filter(({ data }) => data.deref() !== undefined) ?? [];
  if (alive.length > 0) largeConstants.set(hash, alive);
  else largeConstants.delete(hash);
});

/** The name of `data`, and the array of that content that has it. */
function nameData(data: TypedArray): { readonly name: string; readonly kept: TypedArray } {
  const hash = nameByHash(data);
  let same = largeConstants.get(hash);
  if (same === undefined) largeConstants.set(hash, (same = []));
  for (const { name, data: ref } of same) {
    const known = ref.deref();
    if (known !== undefined && sameData(known, data)) return { name, kept: known };
  }
  const name = `${hash}.${namesGiven++}`;
  same.push({ name, data: new WeakRef(data) });
  collected.register(data, hash);
  return { name, kept: data };
}
