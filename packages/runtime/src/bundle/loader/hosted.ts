/**
 * A program on a device as people use it: arguments and results as trees, variables by name. Everything answers later, in
 * the order in which it was asked for.
 */
import type { TypedArray } from "@sinter/ir/program";
import type { Manifest, TensorEntry } from "../manifest.ts";
import { packTensors } from "../safetensors.ts";
import type { DeviceProgram } from "./device.ts";
import { viewOf } from "./dtypes.ts";
import { AssertionError, BundleError, messageOf } from "./errors.ts";
import { fitting } from "./instance.ts";
import type { Bound, Call, Sized } from "./sizes.ts";
import { build, elementsOf, flatten, type ResultTensor } from "./trees.ts";

/** A variable of a program that answers later. */
export interface AsyncVariable extends TensorEntry {
  readonly name: string;
  readonly trainable: boolean;
  /** A copy of its value. */
  read(): Promise<TypedArray>;
  /** Gives it a value: elements, { data, shape }, or numbers in nested arrays. They are taken now. */
  write(value: unknown): Promise<void>;
}

export interface AsyncInstance {
  readonly functions: Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>;
  readonly variables: Readonly<Record<string, AsyncVariable>>;
  saveState(): Promise<Uint8Array<ArrayBuffer>>;
  loadState(bytes: Uint8Array): Promise<void>;
  dispose(): void;
}

/** `file` names the device's part of the bundle in errors. */
export function hosted(
  manifest: Manifest,
  device: DeviceProgram,
  sized: Sized | undefined,
  file: string,
): AsyncInstance {
  const { variables } = manifest;
  let disposed = false;
  const use = (name: string): void => {
    if (disposed) throw new BundleError(`${name}: the program was disposed`);
  };
  const fail = (why: string): never => {
    throw new BundleError(`${file}: ${why}`);
  };
  /** What the device says, at once or later, as an error of the bundle. It is asked now. */
  const told = async <T>(ask: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      // By name: the class is that of another file of the bundle.
      const lost = error instanceof Error && error.name === "DeviceLoss";
      const remedy = lost ? "; load() the bundle again: its variables begin anew" : "";
      throw new BundleError(messageOf(error) + remedy, { cause: error });
    }
  };

  const callables = manifest.functions.map((entry, f) => {
    const layOut = (bound: Bound): Call => {
      const { name, params, result, check } = bound;
      return async (...args) => {
        if (args.length > params.length)
          throw new TypeError(`${name} takes ${params.length} arguments, but was given ${args.length}`);
        const leaves: TypedArray[] = [];
        for (const [i, param] of params.entries()) flatten(param.tree, args[i], `${name}: ${param.name}`, leaves);
        use(name);
        const { failed, values } = await told(() => device.call(f, bound.values ?? [], leaves));
        if (failed !== 0) throw new AssertionError(check?.messages[failed - 1] ?? `${name}: check ${failed} failed`);
        return build(
          result,
          ({ index, shape, dtype }): ResultTensor => ({ data: values[index]!, shape: [...shape], dtype }),
        );
      };
    };
    const call = entry.sizes ? sized!(entry, layOut, use, fail) : layOut(entry as Bound);
    return [entry.name, async (...args: readonly unknown[]): Promise<unknown> => call(...args)] as const;
  });

  const cells = variables.map((entry, i): AsyncVariable => {
    const { name, dtype, shape, trainable } = entry;
    return {
      ...{ name, dtype, shape, trainable },
      async read() {
        use(name);
        return told(() => device.read(i));
      },
      async write(value) {
        const elements = elementsOf(entry, value, name);
        use(name);
        await told(() => device.write(i, elements));
      },
    };
  });

  return {
    functions: Object.fromEntries(callables),
    variables: Object.fromEntries(cells.map((cell) => [cell.name, cell])),
    async saveState() {
      const values = await Promise.all(cells.map((cell) => cell.read()));
      return packTensors(cells.map((cell, i) => ({ ...cell, data: values[i]! })));
    },
    async loadState(bytes) {
      if (!ArrayBuffer.isView(bytes)) throw new TypeError("loadState: bytes must be those of saveState");
      use("loadState");
      const values = contentsIn(variables, bytes, "state");
      await Promise.all(values.map((value, i) => told(() => device.write(i, value))));
    },
    dispose() {
      if (!disposed) device.dispose();
      disposed = true;
    },
  };
}

/** The elements of these tensors, of which a file must consist. Throws a `BundleError` where it does not. */
export function contentsIn(
  entries: readonly (TensorEntry & { readonly name: string })[],
  bytes: Uint8Array,
  file: string,
): TypedArray[] {
  const stored = fitting(entries, bytes, file);
  return entries.map(({ name, dtype }) => {
    const own = new Uint8Array(stored.get(name)!.bytes);
    return viewOf(
      dtype,
      own.buffer,
      0,
      stored.get(name)!.shape.reduce((n, size) => n * size, 1),
    );
  });
}
