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

export function largeMatmulJob(size: number): TimedJob {
  const job = matmulJob(size, size, size);
  const rows = comparedRows(size);
  return {
    ...job,
    digest: (result) => Float32Array.from(digestOf(result, size, size, rows)),
    reference: () => {
      const { a, b } = matmulInputs({ kind: "matmul", m: size, k: size, n: size });
      return referenceDigest(a, b, size, rows);
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
function referenceDigest(a: Float32Array, b: Float32Array, size: number, rows: readonly number[]): Float64Array {
  const some = Float32Array.from(rows.flatMap((row) => [...a.subarray(row * size, (row + 1) * size)]));
  const compared = matmul64(rows.length, size, size, some, b);
  const means = new Float64Array(size);
  const sums = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      means[i]! += b[i * size + j]! / size;
      sums[j]! += a[i * size + j]! / size;
    }
  }
  const rowMeans = new Float64Array(size);
  const columnMeans = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      rowMeans[i]! += a[i * size + j]! * means[j]!;
      columnMeans[j]! += sums[i]! * b[i * size + j]!;
    }
  }
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
