// The memory bandwidth that plain v128 loops reach: read-only, and one read with one write.
import { binaryen, countedLoop, type Expression, instantiate, type Module, newModule } from "./wasm.ts";

const bytesPerTurn = 8 * 16;
/** V8 replaces a wasm function by its optimised form only between calls, so a pass is many calls of 256 KiB. */
const chunkBytes = 256 * 1024;
const pageBytes = 64 * 1024;

export interface Stream {
  /** One pass over the whole array. `read` returns the sum of the array, `copy` zero. */
  pass(): number;
  /** The array that is read. */
  readonly source: Float32Array;
  /** The array that `copy` writes. */
  readonly target: Float32Array;
}

/** `size` floats must fill whole chunks. */
export function stream(kind: "read" | "copy", size: number): Stream {
  const bytes = size * 4;
  if (bytes % chunkBytes !== 0) throw new Error(`${size} floats are not a whole number of 256 KiB chunks`);
  const copies = kind === "read" ? 1 : 2;
  // One page beyond the arrays holds the accumulators between calls.
  const pages = (bytes * copies) / pageBytes + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const state = bytes * copies;
  const module = newModule();
  module.setMemory(pages, pages);
  module.addMemoryImport("0", "env", "memory");
  if (kind === "read") addRead(module, state);
  else addCopy(module, bytes);
  module.addFunctionExport("chunk", "chunk");
  const chunk = instantiate(module, { env: { memory } })["chunk"] as (from: number) => void;
  const accumulators = new Float32Array(memory.buffer, state, 32);
  return {
    source: new Float32Array(memory.buffer, 0, size),
    target: new Float32Array(memory.buffer, kind === "read" ? 0 : bytes, size),
    pass: () => {
      accumulators.fill(0);
      for (let from = 0; from < bytes; from += chunkBytes) chunk(from);
      return accumulators.reduce((sum, value) => sum + value, 0);
    },
  };
}

const streams = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** Eight accumulators, loaded at the start of a chunk and stored at its end. */
function addRead(module: Module, state: number): void {
  const { i32, f32x4, local, v128 } = module;
  const from = 0;
  const end = 1;
  const first = 2;
  const pointer = (): Expression => local.get(from, binaryen.i32);
  const get = (index: number): Expression => local.get(first + index, binaryen.v128);
  module.addFunction(
    "chunk",
    binaryen.createType([binaryen.i32]),
    binaryen.none,
    [binaryen.i32, ...streams.map(() => binaryen.v128)],
    module.block(null, [
      local.set(end, i32.add(pointer(), i32.const(chunkBytes))),
      ...streams.map((index) => local.set(first + index, v128.load(state + index * 16, 16, i32.const(0)))),
      countedLoop(
        module,
        from,
        local.get(end, binaryen.i32),
        bytesPerTurn,
        streams.map((index) => local.set(first + index, f32x4.add(get(index), v128.load(index * 16, 16, pointer())))),
      ),
      ...streams.map((index) => v128.store(state + index * 16, 16, i32.const(0), get(index))),
    ]),
  );
}

function addCopy(module: Module, distance: number): void {
  const { i32, local, v128 } = module;
  const from = 0;
  const end = 1;
  const pointer = (): Expression => local.get(from, binaryen.i32);
  module.addFunction(
    "chunk",
    binaryen.createType([binaryen.i32]),
    binaryen.none,
    [binaryen.i32],
    module.block(null, [
      local.set(end, i32.add(pointer(), i32.const(chunkBytes))),
      countedLoop(
        module,
        from,
        local.get(end, binaryen.i32),
        bytesPerTurn,
        streams.map((index) => v128.store(distance + index * 16, 16, pointer(), v128.load(index * 16, 16, pointer()))),
      ),
    ]),
  );
}
