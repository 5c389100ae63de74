/** Random structured programs over tensors, numbers and flags, each in two texts: as a user writes it, and in plain JavaScript. */

/** A small generator of random numbers, repeatable. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed * 2654435761 + 12345) >>> 0;
  }
  next(): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state / 2 ** 32;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

export interface Program {
  /** TypeScript with tensors as conditions. */
  readonly source: string;
  /** JavaScript: the same with `$t(...)` around every condition. */
  readonly reference: string;
}

interface Scope {
  readonly loops: readonly { readonly label: string | undefined }[];
  readonly depth: number;
}

export function randomProgram(seed: number): Program {
  const random = new Random(seed);
  let names = 0;

  const tensor = (): string =>
    random.pick([
      () => random.pick(["x", "y", "z"]),
      () =>
        `${random.pick(["x", "y", "z"])}.${random.pick(["add", "sub"])}(${random.pick(["1", "0.5", "n", "p", "y", "o.t"])})`,
      () => `${random.pick(["x", "y", "z"])}.mul(0.5)`,
    ])();
  // Conditions are written with C(...) around each, which the two texts spell differently.
  const condition = (): string =>
    random.pick([
      () =>
        `C(${random.pick(["x", "y", "z", "o.t"])}.${random.pick(["gt", "lt"])}(${random.pick(["0", "1", "2", "n"])}))`,
      () => `C(${random.pick(["x", "y", "z"])}.${random.pick(["gt", "lt"])}(${random.pick(["0", "1", "-1"])}))`,
      () => `C(n ${random.pick(["<", ">", "==="])} ${random.below(4)})`,
      () => `C(p ${random.pick(["<", ">"])} ${random.below(3)})`,
      () => "C(flag)",
      () => `!C(flag)`,
      () => `(${condition()} ${random.pick(["&&", "||"])} ${condition()})`,
    ])();
  const number = (): string =>
    random.pick([() => String(random.below(3)), () => "n + 1", () => "n", () => "p", () => "(n * 2) % 5"])();

  const assignment = (): string =>
    random.pick([
      () => `y = ${tensor()};`,
      () => `z = ${tensor()};`,
      () => `n = ${number()};`,
      () => "n++;",
      () => `n ${random.pick(["+=", "-="])} ${random.pick(["1", "2", "p"])};`,
      () => `flag = ${random.pick(["true", "false", "!C(flag)"])};`,
      () => `y = ${condition()} ? ${tensor()} : ${tensor()};`,
      () => `o.t = ${tensor()};`,
      () => "o.n += 1;",
      () => "bump();",
      () => "[y, z] = [z, y];",
      () => `const k${++names} = ${tensor()}; z = k${names}.add(1);`,
    ])();

  const block = (scope: Scope, size = 1 + random.below(3)): string => {
    const lines: string[] = [];
    for (let i = 0; i < size; i++) lines.push(statement(scope));
    return lines.join("\n");
  };
  const inner = (scope: Scope, label?: string): Scope => ({
    loops: [...scope.loops, { label }],
    depth: scope.depth + 1,
  });

  const jump = (scope: Scope): string => {
    const kind = random.below(3);
    if (kind === 0 || scope.loops.length === 0) return `return ${random.pick(["y", "z", "x.add(n)", "y.add(o.t)"])};`;
    const word = kind === 1 ? "break" : "continue";
    const labels = scope.loops.map((l) => l.label).filter((l) => l !== undefined);
    return labels.length > 0 && random.next() < 0.4 ? `${word} ${random.pick(labels)};` : `${word};`;
  };

  const statement = (scope: Scope): string => {
    const kind = random.below(scope.depth > 3 ? 6 : 14);
    if (kind < 4) return assignment();
    if (kind < 6) return scope.depth > 0 ? `if (${condition()}) ${jump(scope)}` : assignment();
    if (kind < 9) {
      const then = block({ ...scope, depth: scope.depth + 1 });
      const otherwise = random.next() < 0.5 ? ` else {\n${block({ ...scope, depth: scope.depth + 1 })}\n}` : "";
      return `if (${condition()}) {\n${then}\n}${otherwise}`;
    }
    const id = ++names;
    const label = random.next() < 0.3 ? `l${id}` : undefined;
    const head = label === undefined ? "" : `${label}: `;
    const body = (): string => block(inner(scope, label));
    // Every loop counts its rounds, so that the programs end.
    const count = `let c${id} = 0;\n`;
    switch (random.below(6)) {
      case 0:
        return `${count}${head}while (${condition()} && c${id} < 4) {\nc${id}++;\n${body()}\n}`;
      case 1:
        return `${count}${head}do {\nc${id}++;\n${body()}\n} while (${condition()} && c${id} < 3);`;
      case 2:
        return `${head}for (let i${id} = 0; i${id} < ${1 + random.below(3)}; i${id}++) {\n${body()}\nn += i${id};\n}`;
      case 3:
        return `${head}for (const v${id} of [x, y, z]) {\n${body()}\ny = y.add(v${id});\n}`;
      case 4:
        return `${head}for (const r${id} of range(3)) {\nz = z.add(r${id});\n${body()}\n}`;
      default:
        return `${count}${head}for (;;) {\nif (C(c${id}++ > 2)) break;\nif (${condition()}) break;\n${body()}\n}`;
    }
  };

  const body = `let y = x.add(1);
let z = x.mul(0.5);
let n = 0;
let flag = false;
const o = { t: x, n: 0 };
const bump = () => { y = y.add(0.25); n += 1; };
${block({ loops: [], depth: 0 }, 4 + random.below(4))}
return y.add(z).add(n).add(o.t).add(o.n);`;

  return {
    source: `import { type Tensor, range } from "sinter";\nexport function f(x: Tensor, p: number): Tensor {\n${withoutMarks(body)}\n}\n`,
    reference: `function f(x, p) {\n${body.replaceAll("C(", "$t(")}\n}`,
  };
}

/** Takes the marks `C(...)` off, keeping the parentheses. */
function withoutMarks(text: string): string {
  return text.replaceAll("C(", "(");
}
