/**
 * A dump: a folder with a text for each pass, the page, the graph with all that is needed to compile it again, and one
 * call to compare with.
 *
 *     00-trace.ir 01-simplify.ir ... 07-program.wat   what each pass made; on webgpu 07-program.wgsl
 *     index.html                                      all of it to look at
 *     graph.ir                                        what was compiled; its comments say where it was written
 *     data.safetensors                                large constants by their name in the text, captured tensors
 *     call.safetensors                                arguments, states and results of the first call
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dtypeOfArray, type TypedArray } from "@sinter/ir";
import {
  type CallRecord,
  type DumpFolder,
  type DumpSource,
  type Inspection,
  type NamedTensor,
  writeSafetensors,
} from "@sinter/runtime";
import { page } from "./page/page.ts";
import { readSources } from "./sources.ts";

/** Names of the files that run a dump again. */
export const dumpFiles = { graph: "graph.ir", data: "data.safetensors", call: "call.safetensors" } as const;

const extensions: Readonly<Record<Inspection["passes"][number]["level"], string>> = {
  graph: "ir",
  nests: "nests",
  loops: "loops",
  plan: "txt",
  wat: "wat",
  wgsl: "wgsl",
};

/** Writes a dump into `parent/NAME-N`, with the first N that is free. Throws what the file system throws. */
export function writeDump(parent: string, source: DumpSource): DumpFolder {
  const { inspection, graph, constants } = source;
  const path = newFolder(parent, inspection.name);
  const write = (name: string, content: string | Uint8Array): void => writeFileSync(join(path, name), content);
  inspection.passes.forEach(({ name, level, text }, i) => {
    const file = name === "emit" ? "program" : name;
    write(`${String(i).padStart(2, "0")}-${file}.${extensions[level]}`, text);
  });
  write("index.html", page(inspection, readSources(inspection)));
  write(dumpFiles.graph, `// sinter inspect --from-text ${dumpFiles.graph} compiles and runs this again.\n${graph}`);
  const { backend, precision } = inspection;
  const metadata = { backend, precision, fastMath: String(inspection.fastMath) };
  const large = [...constants].map(([name, data]) => constantOf(name, data));
  write(dumpFiles.data, writeSafetensors(large, metadata));
  return {
    path,
    record({ tensors, hostStatuses }: CallRecord) {
      const captured = tensors.filter((tensor) => tensor.name.startsWith("const "));
      if (captured.length > 0) write(dumpFiles.data, writeSafetensors([...large, ...captured], metadata));
      const others = tensors.filter((tensor) => !captured.includes(tensor));
      write(dumpFiles.call, writeSafetensors(others, { hostStatuses: JSON.stringify(hostStatuses) }));
    },
  };
}

function constantOf(name: string, data: TypedArray): NamedTensor {
  return { name, dtype: dtypeOfArray(data), shape: [data.length], data };
}

/** Makes the first of `NAME-0`, `NAME-1`, ... that there is not: other processes may dump here too. */
function newFolder(parent: string, name: string): string {
  mkdirSync(parent, { recursive: true });
  const safe = name.replace(/[^A-Za-z0-9_.-]+/g, "_").slice(0, 80) || "program";
  for (let n = 0; ; n++) {
    const path = join(parent, `${safe}-${n}`);
    try {
      mkdirSync(path);
      return path;
    } catch (error) {
      if ((error as { readonly code?: string }).code !== "EEXIST") throw error;
    }
  }
}
