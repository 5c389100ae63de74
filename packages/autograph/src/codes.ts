/** Every code that the transform and the check report: a title, and what to write instead. */

export interface CodeEntry {
  readonly severity: "error" | "warning";
  readonly title: string;
  readonly instead: string;
}

export const codes = {
  AG1000: {
    severity: "error",
    title: "the file cannot be parsed",
    instead: "mend the syntax error; syntax newer than the bundled TypeScript has to be compiled down first",
  },
  AG1001: {
    severity: "error",
    title: "a tensor as a condition of code that is not transformed: JavaScript takes it as true",
    instead: "transform the file, or read the value first: if (t.item()); for a presence check write t !== undefined",
  },
  AG1002: {
    severity: "error",
    title: "a name that the transform needs is taken",
    instead: "rename the variable",
  },
  AG1003: {
    severity: "error",
    title: "a for-in loop or an async iteration over a tensor",
    instead: "write for (const row of t), or for (const i of range(n))",
  },
  AG1004: {
    severity: "error",
    title: "an expression whose static type is boolean, but which is a Tensor, leaves the function",
    instead: "use .not(), .and(), .or(), .lt(), ..., whose type is Tensor, or declare the type as Tensor | boolean",
  },
  AG1005: {
    severity: "warning",
    title: "a write that a staged block cannot follow",
    instead: "assign a local variable, or a path of constant names such as this.h or a[0]; for tensors use t.set(...)",
  },
  AG1006: {
    severity: "error",
    title: "a jump out of a switch across a staged block",
    instead: "write the switch as if and else, or let the staged block set a variable",
  },
  AG1007: {
    severity: "error",
    title: "a switch on a tensor",
    instead: "write if (t.eq(...)) ... else ..., or switchCase(index, [...])",
  },
  AG1008: {
    severity: "error",
    title: "a condition that mixes whether a value is there with what it is",
    instead: "nest the ifs, or write mask !== undefined && ...",
  },
  AG1009: {
    severity: "error",
    title: "a declaration is used before a staged exit that now encloses it",
    instead: "move the declaration before the exit",
  },
  AG1010: {
    severity: "error",
    title: "a var with a pattern in a staged block",
    instead: "use let or const",
  },
  AG1011: {
    severity: "error",
    title: "a throw in a staged block under an outer catch: no catch can see it",
    instead: "move the try into the block, or return a value that tells of the failure",
  },
  AG1012: {
    severity: "error",
    title: "await or yield in a staged block of a function that is traced",
    instead: "take the await out of the function, or read the condition's value first: if (await t.data())",
  },
  AG1013: {
    severity: "error",
    title: "a list grown in a staged loop",
    instead:
      "stack the values with scan(body, init, { length }), or write rows of a tensor made before: out = out.set(i, row)",
  },
  AG1014: {
    severity: "error",
    title: "an expression whose static type is number, but which a staged block makes a Tensor, is returned",
    instead: "declare the result as number | Tensor, or return a tensor: where(condition, a, b)",
  },
  AG1015: {
    severity: "error",
    title: "a number that a staged block makes a Tensor, where JavaScript looks at the object and not at its value",
    instead: "compare with === or <, which are staged, or compute it before the staged block",
  },
} as const satisfies Readonly<Record<string, CodeEntry>>;

export type Code = keyof typeof codes;
