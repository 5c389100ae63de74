// Random structured programs: every statement that the source transform converts, nested, over tensors, vectors, number
// counters and flags. All end: each loop has a guard that nothing else writes. All values are small integers and halves,
// so that float32, float64 and integer counters agree exactly. What expressions there are: expressions.ts.
import type { Rng } from "@sinter/ir";
import { Expressions, fresh, type Names, type Scope } from "./expressions.ts";
import { line, type Program, type Statement } from "./program.ts";

const maxDepth = 3;

export interface ProgramOptions {
  /** What `return` gives, everywhere in the program; any of them where it is left out. */
  readonly shape?: Shape;
  /** Whether tensors are compared by `<` and the like, which only types tell from numbers. Default: true. */
  readonly comparisons?: boolean;
}

export function generateProgram(rng: Rng, options: ProgramOptions = {}): Program {
  return new Generator(rng, options).program();
}

export type Shape = "tensor" | "number" | "object" | "array" | "mixed";

class Generator {
  private readonly rng: Rng;
  private readonly make: Expressions;
  private readonly names: Names = { next: 0 };
  private readonly shape: Shape;
  /** How many more statements may be made. */
  private budget: number;
  /** Rounds of all loops around, multiplied. */
  private rounds = 1;
  private throws = 0;
  private inAction = false;

  constructor(rng: Rng, { shape, comparisons = true }: ProgramOptions) {
    this.rng = rng;
    this.make = new Expressions(rng, comparisons);
    this.shape = shape ?? rng.pick(["tensor", "tensor", "number", "object", "array", "mixed"] as const);
    this.budget = rng.int(6, 22);
  }

  program(): Program {
    const scope: Scope = {
      tensors: ["x", "y"],
      vectors: ["v"],
      numbers: [],
      flags: [],
      masks: [],
      fixedTensors: [],
      fixedNumbers: ["p"],
      fixedFlags: ["flag"],
      actions: [],
      functions: [],
      loops: [],
      depth: 0,
    };
    const statements = this.declarations(scope);
    statements.push(...this.block(scope, 5), this.returned(scope, true));
    return { statements };
  }

  private declarations(scope: Scope): Statement[] {
    const { rng, make } = this;
    const list: Statement[] = [];
    const declare = (text: string): void => void list.push(line(text, { keep: true }));
    const name = (prefix: string): string => fresh(this.names, prefix);
    for (let i = rng.int(1, 2); i > 0; i--) {
      const t = name("t");
      declare(`let ${t}: Tensor = ${make.tensor(scope, 1)};`);
      scope.tensors.push(t);
    }
    for (let i = rng.int(1, 2); i > 0; i--) {
      const k = name("k");
      declare(`let ${k} = ${rng.pick(["0", "1", "3", "-2", "0.5"])};`);
      scope.numbers.push(k);
    }
    if (rng.bool()) {
      const b = name("b");
      declare(`let ${b} = ${rng.pick(["false", "true"])};`);
      scope.flags.push(b);
    }
    if (rng.bool()) {
      const m = name("m");
      declare(`let ${m}: Tensor | boolean = ${make.condition(scope, 0)};`);
      scope.masks.push(m);
    }
    if (rng.int(0, 2) === 0) {
      const o = name("o");
      declare(`const ${o} = { t: ${make.tensor(scope, 0)}, n: ${rng.int(0, 2)} };`);
      scope.tensors.push(`${o}.t`);
      scope.numbers.push(`${o}.n`);
    }
    if (rng.int(0, 3) === 0) {
      const a = name("a");
      declare(`const ${a} = [${make.tensor(scope, 0)}, ${make.tensor(scope, 0)}] as [Tensor, Tensor];`);
      scope.tensors.push(`${a}[0]`, `${a}[1]`);
    }
    if (rng.int(0, 2) === 0) {
      const u = name("u");
      declare(`let ${u}: Tensor = ${make.vector(scope, 1)};`);
      scope.vectors.push(u);
    }
    if (rng.int(0, 3) === 0) list.push(this.object(scope));
    if (rng.int(0, 3) === 0) list.push(this.action(scope));
    if (rng.int(0, 3) === 0) list.push(this.helper(scope));
    return list;
  }

  /** An object whose method assigns its fields; called before anything is staged, since no caller sees what it writes. */
  private object(scope: Scope): Statement {
    const { rng, make } = this;
    const name = fresh(this.names, "box");
    const empty = { vectors: [], flags: [], masks: [], fixedFlags: [], actions: [], functions: [], loops: [] };
    const own = { tensors: ["this.t"], numbers: ["this.n"], fixedTensors: ["d"], fixedNumbers: ["p"], depth: 1 };
    this.inAction = true;
    const body = this.block({ ...empty, ...own }, 3);
    this.inAction = false;
    const start = `t: Tensor = ${make.tensor(scope, 0)};`;
    const call = `${name}.step(${make.tensor(scope, 0)});`;
    scope.tensors.push(`${name}.t`);
    // Its number stays its own: which numbers become tensors is decided function by function.
    return {
      lines: [
        [`class C${name} {`, `  ${start}`, `  n = ${rng.int(0, 2)};`, "  step(d: Tensor): void {"],
        ["  }", "}", `const ${name} = new C${name}();`, call, call],
      ],
      bodies: [body],
      keep: true,
    };
  }

  /** A local function that writes variables of the function around it. */
  private action(scope: Scope): Statement {
    const { rng } = this;
    const name = fresh(this.names, "act");
    const inner: Scope = { ...scope, fixedTensors: [...scope.fixedTensors, "d"], actions: [], loops: [], depth: 2 };
    const body = [this.assignment(inner)];
    this.inAction = true;
    if (rng.bool()) body.push(this.conditional({ ...inner, depth: maxDepth }));
    this.inAction = false;
    scope.actions.push(name);
    return { lines: [[`const ${name} = (d: Tensor): void => {`], ["};"]], bodies: [body], keep: true };
  }

  /** A local function with control flow of its own that only returns something. */
  private helper(scope: Scope): Statement {
    const { rng } = this;
    const name = fresh(this.names, "fn");
    const own: Scope = {
      ...scope,
      tensors: ["a"],
      vectors: [],
      numbers: [],
      flags: [],
      masks: [],
      fixedTensors: [],
      fixedNumbers: [],
      fixedFlags: [],
      actions: [],
      functions: [],
      loops: [],
      depth: 2,
    };
    const make = this.make;
    const early: Statement = {
      lines: [[`if (${make.condition(own, 1)}) {`], ["}"]],
      bodies: [[line(`return ${make.tensor(own, 1)};`)]],
    };
    const steps = rng.bool() ? [early, this.assignment(own)] : [this.assignment(own), early];
    scope.functions.push(name);
    return {
      lines: [
        [`const ${name} = (b: Tensor): Tensor => {`, "  let a = b;"],
        [`  return ${make.tensor(own, 1)};`, "};"],
      ],
      bodies: [steps],
      keep: true,
    };
  }

  private block(outer: Scope, most: number): Statement[] {
    const scope = inside(outer);
    const list: Statement[] = [];
    for (let i = this.rng.int(1, most); i > 0 && this.budget > 0; i--) list.push(this.statement(scope));
    if (list.length === 0) list.push(this.assignment(scope));
    return list;
  }

  private statement(scope: Scope): Statement {
    this.budget--;
    const { rng } = this;
    if (rng.int(0, 7) === 0) return this.printed(scope);
    const simple = scope.depth >= maxDepth || this.budget <= 0;
    const kind = rng.int(0, simple ? 9 : 29);
    if (kind <= 4) return this.assignment(scope);
    if (kind === 5) return this.local(scope);
    if (kind === 6) return scope.actions.length > 0 ? this.call(scope) : this.assignment(scope);
    if (kind <= 8) return this.jump(scope);
    if (kind === 9) return this.conditional(scope);
    if (kind <= 16) return this.conditional(scope);
    if (kind <= 19) return this.whileLoop(scope);
    if (kind === 20) return this.doLoop(scope);
    if (kind <= 24) return this.forLoop(scope);
    if (kind <= 26) return this.forOf(scope);
    if (kind === 27) return this.endless(scope);
    if (kind === 28) return this.tryFinally(scope);
    return this.switchOnNumber(scope);
  }

  private assignment(scope: Scope): Statement {
    const { rng, make } = this;
    const kinds = [..."tttnn", ...(scope.flags.length > 0 ? "f" : ""), ...(scope.masks.length > 0 ? "m" : "")];
    if (scope.vectors.length > 1) kinds.push("v");
    if (scope.tensors.length > 1) kinds.push("s");
    const kind = rng.pick(kinds);
    if (kind === "n" && scope.numbers.length > 0) return line(make.numberAssignment(scope));
    if (kind === "f") {
      const value = rng.bool() ? rng.pick(["true", "false"]) : make.plainlyBoolean(scope, 1);
      return line(`${rng.pick(scope.flags)} = ${value};`);
    }
    if (kind === "m") return line(`${rng.pick(scope.masks)} = ${make.condition(scope, 1)};`);
    // v itself is a parameter and is left as it is in most programs.
    if (kind === "v") return line(`${rng.pick(scope.vectors)} = ${make.vector(scope, 2)};`);
    if (kind === "s") {
      const [a, b] = [rng.pick(scope.tensors), rng.pick(scope.tensors)];
      if (a !== b && rng.int(0, 3) === 0) return line(`[${a}, ${b}] = [${b}, ${a}];`);
    }
    const target = rng.pick(scope.tensors);
    return line(`${target} = ${make.tensor(scope, 2)};`);
  }

  /** A variable of the block: nothing outside can see it. */
  private local(scope: Scope): Statement {
    const { rng, make } = this;
    const name = fresh(this.names, "c");
    if (rng.int(0, 2) === 0) {
      const text = `let ${name} = ${make.number(scope, 1)};`;
      scope.numbers.push(name);
      return line(text);
    }
    const text = `let ${name} = ${make.tensor(scope, 2)};`;
    scope.tensors.push(name);
    return line(text);
  }

  /** Says that it is here, and what some variables are. */
  private printed(scope: Scope): Statement {
    const { rng } = this;
    const values = [rng.pick(scope.tensors)];
    if (scope.numbers.length > 0 && rng.bool()) values.push(rng.pick(scope.numbers));
    if (scope.flags.length > 0 && rng.bool()) values.push(rng.pick(scope.flags));
    return line(`print("${fresh(this.names, "p")}${" {}".repeat(values.length)}", ${values.join(", ")});`);
  }

  private call(scope: Scope): Statement {
    return line(`${this.rng.pick(scope.actions)}(${this.make.tensor(scope, 1)});`);
  }

  private jump(scope: Scope): Statement {
    const { rng } = this;
    const choice = rng.int(0, 9);
    if (scope.loops.length > 0 && choice < 7) {
      const loop = rng.pick(scope.loops);
      const innermost = scope.loops.at(-1) === loop;
      const verb = rng.bool() ? "break" : "continue";
      if (innermost) return this.guarded(scope, line(rng.bool() ? `${verb};` : `${verb} ${loop};`));
      return this.guarded(scope, line(`${verb} ${loop};`));
    }
    if (choice === 7 && this.throws < 2) {
      const text = `throw new Error("e${++this.throws}");`;
      return this.guarded(scope, line(text));
    }
    return this.guarded(scope, this.returned(scope, false));
  }

  /** A jump under a condition, sometimes with something before it, sometimes in the other arm. */
  private guarded(scope: Scope, jump: Statement): Statement {
    const { rng } = this;
    const condition = this.make.condition(scope, 1);
    const before = rng.int(0, 2) === 0 ? [this.assignment(scope)] : [];
    if (rng.int(0, 4) === 0) {
      return {
        lines: [[`if (${condition}) {`], ["} else {"], ["}"]],
        bodies: [[this.assignment(scope)], [...before, jump]],
      };
    }
    return { lines: [[`if (${condition}) {`], ["}"]], bodies: [[...before, jump]] };
  }

  private returned(scope: Scope, last: boolean): Statement {
    const { rng, make } = this;
    const keep = last ? { keep: true } : {};
    if (this.inAction) return line("return;");
    // At the end everything that lives is part of the result, so that nothing goes wrong unseen.
    const tensor = (): string =>
      last ? scope.tensors.map((t, i) => (i === 0 ? t : `.add(${t}.mul(${i + 1}))`)).join("") : make.tensor(scope, 1);
    const number = (): string =>
      last && scope.numbers.length > 0
        ? scope.numbers.map((k, i) => `${k} * ${i + 1}`).join(" + ")
        : make.number(scope, 1);
    switch (this.shape) {
      case "tensor": {
        const text = last && scope.numbers.length > 0 ? `${tensor()}.add(${number()})` : tensor();
        return line(`return ${text};`, keep);
      }
      case "number":
        return line(`return ${number()};`, keep);
      case "object": {
        const vector = last ? scope.vectors.at(-1)! : make.vector(scope, 1);
        return line(`return { t: ${tensor()}, n: ${number()}, v: ${vector} };`, keep);
      }
      case "array": {
        const flag = last && scope.flags.length > 0 ? scope.flags[0]! : rng.pick(["true", "false"]);
        return line(`return [${tensor()}, ${number()}, ${flag}] as const;`, keep);
      }
      case "mixed":
        return line(`return ${last || rng.bool() ? tensor() : rng.pick(["0", "1", "-2"])};`, keep);
    }
  }

  private conditional(scope: Scope): Statement {
    const { rng, make } = this;
    const condition = make.condition(scope, 2);
    const then = this.block(scope, 3);
    const kind = rng.int(0, 5);
    if (kind <= 2) return { lines: [[`if (${condition}) {`], ["}"]], bodies: [then] };
    const otherwise = this.block(scope, 2);
    if (kind <= 4) {
      const plain: Statement = { lines: [[`if (${condition}) {`], ["}"]], bodies: [then] };
      return { lines: [[`if (${condition}) {`], ["} else {"], ["}"]], bodies: [then, otherwise], simpler: [plain] };
    }
    const second = make.condition(scope, 1);
    return {
      lines: [[`if (${condition}) {`], [`} else if (${second}) {`], ["} else {"], ["}"]],
      bodies: [then, otherwise, this.block(scope, 2)],
    };
  }

  /** A counter that no statement but the loop's own writes, and the condition that ends the loop. */
  private guard(
    scope: Scope,
    limit: number,
  ): { declare: string; test: string; step: string; name: string; tensor: boolean } {
    const { rng, make } = this;
    const name = fresh(this.names, "w");
    if (rng.bool()) {
      return {
        declare: `let ${name} = ${make.tensor(scope, 0)}.maximum(${limit - 5});`,
        test: `${name}.lt(${limit})`,
        step: `${name} = ${name}.add(1);`,
        name,
        tensor: true,
      };
    }
    return {
      declare: `let ${name} = 0;`,
      test: `${name} < ${rng.int(2, 4)}`,
      step: rng.pick([`${name}++;`, `${name} += 1;`]),
      name,
      tensor: false,
    };
  }

  private withGuard(scope: Scope, label: string, { name, tensor }: { name: string; tensor: boolean }): Scope {
    const more = tensor
      ? { fixedTensors: [...scope.fixedTensors, name] }
      : { fixedNumbers: [...scope.fixedNumbers, name] };
    return { ...scope, ...more, loops: [...scope.loops, label] };
  }

  private whileLoop(scope: Scope): Statement {
    const { rng, make } = this;
    const guard = this.guard(scope, rng.int(1, 4));
    const label = fresh(this.names, "L");
    const more = rng.int(0, 3);
    const test =
      more === 0
        ? `${make.condition(scope, 1)} && ${guard.test}`
        : more === 1
          ? `${guard.test} && ${make.condition(scope, 1)}`
          : guard.test;
    const bodies = [this.loopBody(this.withGuard(scope, label, guard), 5)];
    return { lines: [[guard.declare, `${label}: while (${test}) {`, `  ${guard.step}`], ["}"]], bodies };
  }

  private doLoop(scope: Scope): Statement {
    const { rng, make } = this;
    const guard = this.guard(scope, rng.int(1, 3));
    const label = fresh(this.names, "L");
    const test = rng.bool() ? guard.test : `${guard.test} && ${make.condition(scope, 1)}`;
    const bodies = [this.loopBody(this.withGuard(scope, label, guard), 5)];
    return { lines: [[guard.declare, `${label}: do {`, `  ${guard.step}`], [`} while (${test});`]], bodies };
  }

  private endless(scope: Scope): Statement {
    const { rng } = this;
    const guard = this.guard(scope, rng.int(1, 3));
    const label = fresh(this.names, "L");
    const bodies = [this.loopBody(this.withGuard(scope, label, guard), 5)];
    const head = rng.pick(["while (true)", "for (;;)"]);
    const lines = [[guard.declare, `${label}: ${head} {`, `  ${guard.step}`, `  if (!(${guard.test})) break;`], ["}"]];
    return { lines, bodies };
  }

  private forLoop(scope: Scope): Statement {
    const { rng, make } = this;
    const i = fresh(this.names, "i");
    const label = fresh(this.names, "L");
    const long = this.rounds === 1 && rng.int(0, 3) === 0;
    const kind = rng.int(0, 6);
    const within: Scope = { ...scope, fixedNumbers: [...scope.fixedNumbers, i], loops: [...scope.loops, label] };
    const build = (head: string, rounds: number, inner: Scope = within): Statement => ({
      lines: [[`${label}: for (${head}) {`], ["}"]],
      bodies: [this.loopBody(inner, rounds)],
    });
    if (long) return build(`let ${i} = 0; ${i} < ${rng.int(18, 24)}; ${i}++`, 20);
    if (kind <= 2) return build(`let ${i} = 0; ${i} < ${rng.int(2, 4)}; ${i}++`, 3);
    if (kind === 3) return build(`let ${i} = ${rng.int(3, 6)}; ${i} > 0; ${i} -= 2`, 3);
    if (kind === 4) return build(`let ${i} = 0; ${i} < 4 && ${make.condition(scope, 1)}; ${i}++`, 4);
    if (kind === 5) {
      const j = fresh(this.names, "i");
      const inner = { ...within, fixedNumbers: [...within.fixedNumbers, j] };
      return build(
        `let ${i} = 0, ${j} = ${rng.int(1, 3)}; ${i} < ${j} + 1 && ${i} < 5; ${i}++, ${j} = ${j} * 2 % 5`,
        4,
        inner,
      );
    }
    const inner = { ...scope, fixedTensors: [...scope.fixedTensors, i], loops: [...scope.loops, label] };
    const start = `${make.tensor(scope, 0)}.maximum(-3)`;
    return build(`let ${i} = ${start}; ${i}.lt(${rng.int(0, 2)}); ${i} = ${i}.add(1)`, 4, inner);
  }

  private forOf(scope: Scope): Statement {
    const { rng } = this;
    const i = fresh(this.names, "e");
    const label = fresh(this.names, "L");
    const loops = [...scope.loops, label];
    const kind = rng.int(0, 3);
    if (kind <= 1) {
      const rounds = rng.pick(["3", "4", "1, 4", "p", "0", "20"]);
      const inner = { ...scope, fixedNumbers: [...scope.fixedNumbers, i], loops };
      const bodies = [this.loopBody(inner, rounds === "20" ? 20 : 4)];
      return { lines: [[`${label}: for (const ${i} of range(${rounds})) {`], ["}"]], bodies };
    }
    const items =
      kind === 2 ? this.make.vector(scope, 1) : `[${this.make.tensor(scope, 1)}, ${this.make.tensor(scope, 0)}]`;
    const inner = { ...scope, fixedTensors: [...scope.fixedTensors, i], loops };
    return { lines: [[`${label}: for (const ${i} of ${items}) {`], ["}"]], bodies: [this.loopBody(inner, 3)] };
  }

  private loopBody(scope: Scope, rounds: number): Statement[] {
    const before = this.rounds;
    this.rounds *= rounds;
    // Deep loops of loops would take long to unroll where they have to be.
    const deep = this.rounds > 60 ? { ...scope, depth: maxDepth } : scope;
    const body = this.block(deep, 3);
    this.rounds = before;
    return body;
  }

  private tryFinally(scope: Scope): Statement {
    const bodies = [this.block(scope, 3), [this.assignment(scope)]];
    return { lines: [["try {"], ["} finally {"], ["}"]], bodies };
  }

  /** Over a number that is plain: its cases hold staged code and no jump leaves them. */
  private switchOnNumber(scope: Scope): Statement {
    const closed = { ...scope, loops: [], depth: maxDepth };
    const arm = (): Statement[] => [this.assignment(inside(closed))];
    return {
      lines: [
        ["switch (p) {", "  case 0: {"],
        ["    break;", "  }", "  case 1:", "  case 2: {"],
        ["    break;", "  }", "  default: {"],
        ["  }", "}"],
      ],
      bodies: [arm(), arm(), arm()],
    };
  }
}

/** The scope of a block in it: what is declared there is not seen outside. */
function inside(scope: Scope): Scope {
  return { ...scope, tensors: [...scope.tensors], numbers: [...scope.numbers], depth: scope.depth + 1 };
}
