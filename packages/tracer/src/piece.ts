/** A piece of the pending graph that is run at once: which operations it has, what it reads and gives, its program. */
import { Builder, type Graph, type HostTensor, inlineElements, type TensorType, type Value } from "@sinter/ir";
import { type Compiled, type CompileOptions, compileAlias, compileGraph } from "@sinter/runtime";
import { DisposedError } from "./errors.ts";
import { isLost, lostValue } from "./gpu/lost.ts";
import type { Lazy, PendingOp } from "./lazy.ts";

export function typeOfLazy(lazy: Lazy): TensorType {
  return { kind: "tensor", dtype: lazy.dtype, shape: lazy.shape };
}

/** The value, if it is one still. */
export function check(lazy: Lazy): Lazy {
  if (lazy.failure !== undefined) throw lazy.failure.error;
  if (isLost(lazy)) throw lostValue(lazy);
  if (lazy.buffer === undefined && lazy.pending === undefined && lazy.gpu === undefined)
    throw new DisposedError(
      lazy.lost
        ? "the value was lost: the program that was updating it in place stopped with an error"
        : "a disposed tensor was used",
    );
  return lazy;
}

/** All that must run to compute `roots`, operands before users. */
export function cone(roots: readonly Lazy[], within: ReadonlySet<Lazy> | undefined): Set<Lazy> {
  const inside = new Set<Lazy>();
  const open = new Set<Lazy>();
  for (const root of roots) {
    const stack: { lazy: Lazy; next: number }[] = [{ lazy: root, next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { lazy } = top;
      const op: PendingOp | undefined = lazy.pending;
      if (inside.has(lazy) || op === undefined || within?.has(lazy) === false) stack.pop();
      else if (top.next < op.operands.length) {
        open.add(lazy);
        const operand = op.operands[top.next++]!;
        if (!inside.has(operand) && !open.has(operand)) stack.push({ lazy: operand, next: 0 });
      } else {
        inside.add(lazy);
        stack.pop();
      }
    }
  }
  return inside;
}

/** What a set of pending operations reads and gives, and a text that is equal for equal graphs. */
export interface Piece {
  readonly leaves: readonly Lazy[];
  readonly outputs: readonly Lazy[];
  /** Undefined where a constant is too large to write out. */
  readonly key: string | undefined;
}

export function pieceOf(inside: ReadonlySet<Lazy>, results: ReadonlySet<Lazy>): Piece {
  const leaves: Lazy[] = [];
  const numbers = new Map<Lazy, string>();
  const parts: string[] = [];
  let written = true;
  let count = 0;
  for (const lazy of inside) {
    const { op, operands, attrs } = lazy.pending!;
    let line = op;
    for (const operand of operands) {
      let number = numbers.get(operand);
      if (number === undefined) {
        const { dtype, shape } = check(operand);
        number = `a${leaves.length}`;
        line += ` ${number}:${dtype}[${shape}]`;
        leaves.push(operand);
        numbers.set(operand, number);
      } else line += ` ${number}`;
    }
    for (const name in attrs) {
      const value = attrs[name];
      if (ArrayBuffer.isView(value)) {
        if (value.length > inlineElements) written = false;
        else line += ` ${name}=${Array.from(value, numberText)}`;
      } else line += ` ${name}=${JSON.stringify(value)}`;
    }
    numbers.set(lazy, String(count++));
    parts.push(line);
  }
  const outputs = [...results];
  parts.push(`return ${outputs.map((lazy) => numbers.get(lazy))}`);
  return { leaves, outputs, key: written ? parts.join("\n") : undefined };
}

function numberText(x: number): string {
  return Object.is(x, -0) ? "-0" : String(x);
}

/** The program that computes a piece. A loop does not build the same graph each time round. */
export function programOf(inside: ReadonlySet<Lazy>, piece: Piece, options: CompileOptions): Compiled {
  return piece.key === undefined
    ? compileGraph(graphOf(inside, piece), options)
    : compileAlias(piece.key, () => graphOf(inside, piece), options);
}

/** The graph of a piece, with the lines of its operations. */
export function graphOf(inside: ReadonlySet<Lazy>, { leaves, outputs }: Piece): Graph {
  const b = new Builder("eager");
  const values = new Map<Lazy, Value>();
  leaves.forEach((leaf, i) => {
    values.set(leaf, b.param("arg", typeOfLazy(leaf), `a${i}`));
  });
  for (const lazy of inside) {
    const { op, operands, attrs, loc } = lazy.pending!;
    b.at(loc);
    if (op === "const") values.set(lazy, b.constant({ ...typeOfLazy(lazy), data: attrs["data"] } as HostTensor));
    else
      values.set(
        lazy,
        b.emit(
          op,
          operands.map((operand) => values.get(operand)!),
          attrs,
        ),
      );
  }
  return b.finish(outputs.map((lazy) => ({ kind: "out", value: values.get(lazy)! })));
}
