/** What a program imports for its calls: functions of pointers, which hand values over and put the answers into memory. */
import { answerCall, type DType, type HostCall, type HostFunction, type TypedArray } from "@sinter/ir/program";

/** `view` is of the memory as it is when asked: a call may make it grow. `host` is who answers at the time of a call. */
export function hostImports(
  calls: readonly HostCall[],
  view: (dtype: DType, address: number, length: number) => TypedArray,
  host: () => HostFunction | undefined,
): Record<string, (...pointers: number[]) => void> {
  const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
  return Object.fromEntries(
    calls.map((call, i) => [
      String(i),
      (...pointers: number[]) => {
        const { operands, results } = call;
        const values = operands.map(({ dtype, shape }, k) => ({
          dtype,
          shape,
          data: view(dtype, pointers[k]! >>> 0, sizeOf(shape)).slice(),
        }));
        for (const [k, { dtype, data }] of answerCall(call, values, host()).entries())
          view(dtype, pointers[operands.length + k]! >>> 0, sizeOf(results[k]!.shape)).set(data);
      },
    ]),
  );
}
