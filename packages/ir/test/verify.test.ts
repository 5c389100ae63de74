// What the verifier refuses that text cannot say (test/golden/verify has the rest), and what its errors look like.
import { describe, expect, test } from "vitest";
import { type Graph, type Node, parseGraph, tensorType, type Value, VerifyError, verifyGraph } from "../src/index.ts";

const base = parseGraph(`graph @f(%x: f32[2], %y: f32[2]) {
  %0 = add %x, %y : f32[2]
  %1 = neg %0 : f32[2]
  %2 = mul %1, %0 : f32[2]
  return %2
}`);

function errorOf(graph: Graph): VerifyError {
  try {
    verifyGraph(graph);
  } catch (error) {
    if (error instanceof VerifyError) return error;
    throw error;
  }
  throw new Error("the verifier found nothing");
}

const withNode = (position: number, change: Partial<Node>): Graph => ({
  ...base,
  nodes: base.nodes.map((node, i) => (i === position ? { ...node, ...change } : node)),
});

describe("verifier", () => {
  test("points at the operand, with the lines around", () => {
    const later = base.nodes[2]!.results[0]!;
    const error = errorOf(withNode(1, { operands: [later] }));
    expect(error.node).toBe(1);
    expect(error.message).toBe(
      [
        "graph @f: operand %2 is not defined before its use",
        "  graph @f(%x: f32[2], %y: f32[2]) {",
        "    %0 = add %x, %y : f32[2]",
        ">   %1 = neg %2 : f32[2]",
        "             ^^",
        "    %2 = mul %1, %0 : f32[2]",
        "    return %2",
      ].join("\n"),
    );
  });

  test("refuses a value of another graph even where its id fits", () => {
    const stranger: Value = { id: 0, type: tensorType("f32", [2]) };
    expect(errorOf(withNode(0, { operands: [stranger, stranger] })).reason).toBe(
      "operand %x is not defined before its use",
    );
  });

  test("refuses ids with gaps", () => {
    const gap = withNode(2, { results: [{ id: 9, type: tensorType("f32", [2]) }] });
    expect(errorOf(gap).reason).toBe("result has id 9 where ids in order make it 4");
  });

  test("refuses attributes and groups the op does not have", () => {
    expect(errorOf(withNode(1, { attrs: { speed: 1 } })).reason).toBe("op neg has no attribute speed");
    expect(errorOf(withNode(1, { groups: [{ name: "init", count: 1 }] })).reason).toBe(
      "operand groups of neg are (init), not ()",
    );
    expect(errorOf(withNode(1, { op: "frobnicate" })).reason).toBe("there is no op frobnicate");
  });

  test("refuses parameters with equal names or the wrong kind", () => {
    const named = (name: string): Graph => ({
      ...base,
      params: base.params.map((p, i) => (i === 1 ? { ...p, name } : p)),
    });
    expect(errorOf(named("x")).reason).toBe("two parameters are named %x");
    expect(errorOf(named("a b")).reason).toBe('"a b" is not a name');
    const token: Graph = { ...base, params: base.params.map((p) => ({ ...p, kind: "token" as const })) };
    expect(errorOf(token).reason).toBe("a parameter of kind token cannot be f32[2]");
  });

  test("refuses sizes that are not declared or not sizes", () => {
    const sized = parseGraph("graph @f(%x: f32[N]) where N in [1,4] {\n  return %x\n}");
    expect(errorOf({ ...sized, syms: [] }).reason).toBe("symbolic size N is not declared");
    const negative: Value = { id: 0, type: tensorType("f32", [-1]) };
    const graph: Graph = {
      ...sized,
      params: [{ kind: "arg", name: "x", value: negative }],
      results: [{ kind: "out", value: negative }],
    };
    expect(errorOf(graph).reason).toBe("-1 is not a size");
  });

  test("refuses a token that two effects use", () => {
    const graph = parseGraph("graph @f(%t: token) {\n  return token %t, token %t\n}");
    expect(errorOf(graph).reason).toBe("token %t is used twice, so effects have no order");
  });
});
