// Binaryen alone, as a peer of the first-call case: what a fresh process would pay for it, and for its first module.
import binaryen from "binaryen";
import type { Peer } from "../harness/job.ts";

export const peer: Peer = {
  name: "binaryen",
  prepare: () =>
    Promise.resolve({
      run: () => {
        const module = new binaryen.Module();
        module.addFunction("f", binaryen.none, binaryen.i32, [], module.i32.const(1));
        module.optimize();
        module.emitBinary();
        module.dispose();
      },
      result: () => new Float32Array(0),
      dispose: () => {},
    }),
};
