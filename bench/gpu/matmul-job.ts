// Matrix products too large for float64 loops over all of them: whole rows, and the means of all rows and all columns, are
// what a result is judged by. A single wrong element shows in the mean of its row and in that of its column.
import { matmulJob } from "../cases/matmul-job.ts";
import { matmulInputs } from "../harness/inputs.ts";
import type { TimedJob } from "../harness/timed-case.ts";
import { matmul64 } from "../reference/array-ops.ts";

/** Rows that are compared element by element: the ends, both sides of the borders of tiles, and some between. */
function comparedRows(m: number): number[] {
  const between = Array.from({ length: 6 }, (_, i) => Math.floor(((i + 0.5) * m) / 6));
  const rows = [0, 31, 32, 63, 64, 127, 128, m - 2, m - 1, ...between].filter((row) => row >= 0 && row < m);
  return [...new Set(rows)].sort((a, b) => a - b);
}

export function largeMatmulJob(m: number, k: number, n: number): TimedJob {
  const job = matmulJob(m, k, n);
  const rows = comparedRows(m);
  return {
    ...job,
    digest: (result) => Float32Array.from(digestOf(result, m, n, rows)),
    reference: () => {
      const { a, b } = matmulInputs({ kind: "matmul", m, k, n });
      return referenceDigest(a, b, [m, k, n], rows);
    },
  };
}

/** The compared rows, the mean of every row, the mean of every column. */
function digestOf(values: Float32Array, m: number, n: number, rows: readonly number[]): Float64Array {
  if (values.length !== m * n) throw new Error(`${values.length} values instead of ${m}x${n}`);
  const compared = rows.map((row) => values.subarray(row * n, (row + 1) * n));
  const rowMeans = new Float64Array(m);
  const columnMeans = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const value = values[i * n + j]!;
      rowMeans[i]! += value / n;
      columnMeans[j]! += value / m;
    }
  }
  return joined([...compared, rowMeans, columnMeans]);
}

/** The same of a @ b, without the product: the mean of its rows is a @ (mean of b's rows), and so for columns. */
function referenceDigest(
  a: Float32Array,
  b: Float32Array,
  [m, k, n]: readonly [number, number, number],
  rows: readonly number[],
): Float64Array {
  const some = new Float32Array(rows.length * k);
  for (const [i, row] of rows.entries()) some.set(a.subarray(row * k, (row + 1) * k), i * k);
  const compared = matmul64(rows.length, k, n, some, b);
  const means = new Float64Array(k);
  const columnMeans = new Float64Array(n);
  const rowMeans = new Float64Array(m);
  for (let p = 0; p < k; p++) for (let j = 0; j < n; j++) means[p]! += b[p * n + j]! / n;
  const sums = new Float64Array(k);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      rowMeans[i]! += a[i * k + p]! * means[p]!;
      sums[p]! += a[i * k + p]! / m;
    }
  }
  for (let p = 0; p < k; p++) for (let j = 0; j < n; j++) columnMeans[j]! += sums[p]! * b[p * n + j]!;
  return joined([compared, rowMeans, columnMeans]);
}

function joined(parts: readonly (Float32Array | Float64Array)[]): Float64Array {
  const all = new Float64Array(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
