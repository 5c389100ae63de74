// What is dropped without dispose is freed by the collector: variables, compiled functions with what they captured.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import * as s from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function makeAndDrop(): void {
  const w = s.variable(s.ones([100_000]));
  const captured = s.ones([100_000]).mul(2);
  const table = new Float32Array(10_000).map((_, i) => i);
  const f = s.compile((x: s.Tensor) => {
    w.assignAdd(1);
    return x.add(captured).sum().add(s.tensor(table).sum()).add(w.sum());
  });
  f(s.ones([100_000])).item();
  s.ones([100_000]).add(1).dataSync();
}

test("variables, functions, captured tensors and handles", async () => {
  makeAndDrop();
  await settle();
  const before = theMachine().heap.liveBytes;
  for (let i = 0; i < 5; i++) makeAndDrop();
  await settle();
  // The program itself stays cached, with its table.
  expect(theMachine().heap.liveBytes - before).toBeLessThan(100_000);
});
