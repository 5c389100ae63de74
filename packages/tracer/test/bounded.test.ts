// State that lasts over calls is bounded: names of constants, programs, records of traces.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compilerStats, theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import * as s from "../src/index.ts";
import { warnings } from "./support.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("programs with large constants are found again after a collection", async () => {
  const make = (): void => {
    const table = Float32Array.from({ length: 10_000 }, (_, i) => i);
    s.compile((x: s.Tensor) => x.add(s.tensor(table).sum()))(s.tensor(1)).dispose();
  };
  make();
  await settle();
  const { compilations, constants } = compilerStats();
  const before = theMachine().heap.liveBytes;
  for (let i = 0; i < 3; i++) {
    make();
    await settle();
  }
  expect(compilerStats()).toMatchObject({ compilations, constants });
  expect(theMachine().heap.liveBytes).toBe(before);
});

test("an eager loop finds its programs in the cache that compiled functions use", () => {
  const x = s.tensor([1, 2, 3]);
  const round = (): unknown => s.scope(() => x.sin().mul(2).arraySync());
  round();
  const { compilations, programs } = compilerStats();
  for (let i = 0; i < 20; i++) round();
  expect(compilerStats()).toMatchObject({ compilations, programs });
});

test("records of traces are bounded", () => {
  const f = s.compile((x: s.Tensor, k: number | object) => (typeof k === "number" ? x.add(k) : x));
  // Objects of classes are static.
  class Settings {}
  const told = warnings(() => {
    for (let i = 0; i < 300; i++) f(s.tensor(1), i).dispose();
    f(s.tensor(1), new Settings()).dispose();
  });
  expect(told.filter((text) => /traced 9 times/.test(text))).toHaveLength(1);
  expect(f.traces).toBe(301);
  const text = f.explain();
  expect(text).toMatch(/^anonymous: 301 traces, of which the last 256, .* held\n {2}46\. .*\n.*before are forgotten/);
  expect(text).toMatch(/ 256\. .*\n.*differs from trace 46: argument k was 45, is 255/);
  expect(text).toMatch(/ 301\. \[f32\[\], Settings#\d+\]/);
});
