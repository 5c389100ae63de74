/** `print`: text with values of the program in it, shown when the program runs. */
import { elementsText, printedText } from "@sinter/ir";
import { describeValue, SinterError } from "../errors.ts";
import { currentTrace, VariableCell } from "../frame.ts";
import { hostData, run, toRef } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { typedDType } from "../nested.ts";
import { staged } from "../staged.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { areOnHost, emitHost, hostValues } from "./emit.ts";
import { writeText } from "./run.ts";

/**
 * Prints `format` with a value for each `{}` in it, to `console.log` unless `setPrintSink` says otherwise. Inside a
 * compiled function it happens when the program runs: each time it gets there, in the order of the source, with the values
 * of that moment. Values are tensors and variables, whose elements are shown (long ones cut short), anything static, and
 * arrays and plain objects of these. In derivatives it prints once, on the way forward; under `vmap` once for each example.
 */
export function print(format: string, ...values: readonly unknown[]): void {
  run("print", () => {
    if (typeof format !== "string")
      throw new SinterError(
        `print: format must be a string, with {} where a value goes, not ${describeValue(format)}; write print("{}", x)`,
      );
    const text = format.split("{}");
    if (text.length !== values.length + 1)
      throw new SinterError(
        `print: the format ${JSON.stringify(format)} has ${text.length - 1} {}, but there are ${values.length} values`,
      );
    const shown = new Shown(text[0]!);
    for (const [i, value] of values.entries()) shown.add(value, `value ${i + 1}`).text(text[i + 1]!);
    const { pieces, refs } = shown;
    if (currentTrace() === undefined && areOnHost(refs)) {
      writeText(printedText(pieces, hostValues(refs)));
      return;
    }
    staged("print", () => {
      emitHost(currentTrace()!, "print", refs, { format: pieces });
      return [];
    });
  });
}

/** Text with values of the program in it. */
class Shown {
  /** The text around the values. */
  readonly pieces: string[];
  readonly refs: Ref[] = [];

  constructor(text: string) {
    this.pieces = [text];
  }

  text(text: string): this {
    this.pieces.push(`${this.pieces.pop()}${text}`);
    return this;
  }

  add(value: unknown, path: string, around: readonly unknown[] = []): this {
    if (value instanceof Tensor || value instanceof VariableCell) {
      this.refs.push(toRef("print", path, value as TensorLike));
      this.pieces.push("");
      return this;
    }
    if (ArrayBuffer.isView(value)) {
      const dtype = typedDType(value);
      if (dtype === undefined) return this.text(describeValue(value));
      const { data, shape } = hostData("print", path, value as Float32Array);
      return this.text(elementsText({ data, shape, dtype }));
    }
    if (around.includes(value)) throw new SinterError(`print: ${path} contains itself`);
    const inner = [...around, value];
    if (Array.isArray(value)) {
      this.text("[");
      for (const [i, item] of value.entries()) this.text(i === 0 ? "" : ", ").add(item, `${path}[${i}]`, inner);
      return this.text("]");
    }
    if (isPlainObject(value)) {
      this.text("{");
      for (const [i, [key, item]] of Object.entries(value).entries())
        this.text(`${i === 0 ? "" : ", "}${key}: `).add(item, `${path}.${key}`, inner);
      return this.text("}");
    }
    const plain = typeof value !== "object" && typeof value !== "function" && !Object.is(value, -0);
    return this.text(plain || value === null ? String(value) : Object.is(value, -0) ? "-0" : describeValue(value));
  }
}
