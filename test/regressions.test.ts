// Graphs that were once compiled wrongly, as small as shrinking made them.
import { describe, test } from "vitest";
import { checkText, graphText } from "./support/check-text.ts";
import { ready } from "./support/compiled.ts";

await ready();

describe("graphs that were compiled wrongly", () => {
  test("a running sum over an axis of one step has a carry though it has no loop", () => {
    checkText(
      graphText("%x: f32[3,1]", ["%out = cumulate %x {op=add, axis=1, reverse=false, exclusive=true} : f32[3,1]"]),
    );
  });

  test("lanes that are apart stay apart when a further axis is added to their offset", () => {
    checkText(
      graphText("%x: f32[9,7,2,3,3], %y: f32[3,9,2]", [
        "%out = dot %x, %y {batch=[[0],[1]], contract=[[4,2],[0,2]]} : f32[9,7,3]",
      ]),
    );
  });

  test("a part without elements is not read, not even its element 0", () => {
    checkText(
      graphText("%x: f32[5], %y: f32[0], %z: f32[5]", [
        "%c = concat %y, %x, %y, %z {axis=0} : f32[10]",
        "%out = neg %c : f32[10]",
      ]),
    );
  });
});
