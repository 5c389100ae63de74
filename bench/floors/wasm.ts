// Building the floors' wasm modules: a few names over the `binaryen` package, and the calls its TypeScript API lacks.
import binaryen from "binaryen";

export type Expression = number;
export type Module = binaryen.Module;

/** The parts of Binaryen's C API used below that its JavaScript wrapper does not offer. */
interface RawBinaryen {
  _BinaryenSIMDTernary(module: number, op: number, a: Expression, b: Expression, c: Expression): Expression;
  readonly RelaxedMaddVecF32x4: number;
}

/** a * b + c on four f32 lanes, rounded once where the engine has a fused instruction. */
export function relaxedMadd(module: Module, a: Expression, b: Expression, c: Expression): Expression {
  const raw = binaryen as unknown as RawBinaryen;
  const pointer = (module as unknown as { readonly ptr: number }).ptr;
  return raw._BinaryenSIMDTernary(pointer, raw.RelaxedMaddVecF32x4, a, b, c);
}

export function newModule(): Module {
  const module = new binaryen.Module();
  module.setFeatures(binaryen.Features.SIMD128 | binaryen.Features.RelaxedSIMD | binaryen.Features.BulkMemory);
  return module;
}

/** `for (local = from; local < end; local += step) body`, with at least one turn. */
export function countedLoop(
  module: Module,
  counter: number,
  end: Expression,
  step: number,
  body: readonly Expression[],
): Expression {
  const { i32, local } = module;
  return module.loop(
    "turn",
    module.block(null, [
      ...body,
      module.br_if(
        "turn",
        i32.lt_u(local.tee(counter, i32.add(local.get(counter, binaryen.i32), i32.const(step)), binaryen.i32), end),
      ),
    ]),
  );
}

/** Validates, emits and instantiates; the module is used as written, without Binaryen's optimizer. */
export function instantiate(module: Module, imports: WebAssembly.Imports): WebAssembly.Exports {
  if (!module.validate()) throw new Error("the floor's wasm module is not valid");
  const bytes = module.emitBinary();
  module.dispose();
  return new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), imports).exports;
}

/** Whether this engine accepts relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  const module = newModule();
  const zero = (): Expression => module.f32x4.splat(module.f32.const(0));
  module.addFunction("f", binaryen.none, binaryen.v128, [], relaxedMadd(module, zero(), zero(), zero()));
  const bytes = module.emitBinary();
  module.dispose();
  return WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>);
}

export { binaryen };
