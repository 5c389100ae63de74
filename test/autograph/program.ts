// Structured programs as trees of text: what the generator makes, the printer writes and the shrinker cuts. A statement is
// lines of TypeScript with lists of statements between them, so nothing here knows the language.

export interface Statement {
  /** `lines[0]`, the statements of `bodies[0]`, `lines[1]`, ...: one entry more than there are bodies. */
  readonly lines: readonly (readonly string[])[];
  readonly bodies: readonly (readonly Statement[])[];
  /** Smaller statements that may stand in its place, besides those that dropping and unwrapping give. */
  readonly simpler?: readonly Statement[];
  /** Whether it may be left out: not declarations that others use. */
  readonly keep?: boolean;
}

/** One function `f(x, y, v, p, flag)` over tensors (x, y scalars, v of 3 elements), a number and a boolean. */
export interface Program {
  readonly statements: readonly Statement[];
}

export function line(text: string, options: Pick<Statement, "keep"> = {}): Statement {
  return { lines: [[text]], bodies: [], ...options };
}

export const header =
  'import { compile, print, range, type Tensor, where } from "sinter";\n' +
  "export const compiled = compile(f);\n" +
  "export function f(x: Tensor, y: Tensor, v: Tensor, p: number, flag: boolean) {";

export function printProgram(program: Program): string {
  return `${[header, ...printList(program.statements, "  "), "}"].join("\n")}\n`;
}

function printList(statements: readonly Statement[], indent: string): string[] {
  return statements.flatMap(({ lines, bodies }) =>
    lines.flatMap((own, i) => [
      ...own.map((text) => indent + text),
      ...(i < bodies.length ? printList(bodies[i]!, `${indent}  `) : []),
    ]),
  );
}

export function countStatements(statements: readonly Statement[]): number {
  return statements.reduce((n, { bodies }) => n + 1 + bodies.reduce((m, body) => m + countStatements(body), 0), 0);
}

/** Programs with one thing less each, the largest cuts first. */
export function* smaller({ statements }: Program): Generator<Program> {
  const lists = [...smallerLists(statements)];
  lists.sort((a, b) => countStatements(a) - countStatements(b));
  for (const list of lists) yield { statements: list };
}

function* smallerLists(list: readonly Statement[]): Generator<readonly Statement[]> {
  for (const [i, statement] of list.entries()) {
    const put = (...replacement: readonly Statement[]): readonly Statement[] => [
      ...list.slice(0, i),
      ...replacement,
      ...list.slice(i + 1),
    ];
    if (statement.keep !== true) yield put();
    for (const body of statement.bodies) if (body.length > 0) yield put(...body);
    for (const other of statement.simpler ?? []) yield put(other);
    for (const [j, body] of statement.bodies.entries()) {
      for (const cut of smallerLists(body)) {
        // What the statement could be replaced by holds the old bodies; its own bodies go on being cut instead.
        const { simpler: _, ...rest } = statement;
        yield put({ ...rest, bodies: statement.bodies.map((old, k) => (k === j ? cut : old)) });
      }
    }
  }
}
