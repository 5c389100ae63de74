/**
 * Bubble sort: nested loops, an `if` that swaps two elements, and a `break` after a pass that swapped nothing. Nobody
 * should sort so (there is `sort`); it shows what loops over single elements cost.
 */
import { compile, range, type Tensor, tensor } from "sinter";
import { contest, example, scalars } from "./example.ts";
import { bubbleSort as plain } from "./plain.ts";

export const bubbleSort = compile(
  (values: Tensor) => {
    const n = values.shape[0]!;
    let sorted = values;
    let passes = 0;
    for (const _ of range(n)) {
      let swapped = false;
      passes++;
      for (const j of range(n - 1)) {
        const left = sorted.at(j);
        const right = sorted.at(j + 1);
        if (left.gt(right)) {
          sorted = sorted.set(j, right).set(j + 1, left);
          swapped = true;
        }
      }
      if (!swapped) break;
    }
    return { sorted, passes };
  },
  { name: "bubbleSort" },
);

export const bubbleSortExample = example({
  title: "Bubble sort, 512 numbers",
  make(small) {
    const n = small ? 12 : 512;
    const values = Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 1009) / 8);
    const xs = tensor(values);
    return contest({
      compiled: () => bubbleSort(xs),
      values: ({ sorted, passes }) => [...scalars(passes), ...sorted.dataSync()],
      plain: () => plain(values),
      plainValues: ({ sorted, passes }) => [passes, ...sorted],
      tolerance: 0,
    });
  },
});

if (process.argv[1] === import.meta.filename) bubbleSortExample.show();
