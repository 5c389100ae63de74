// The two statistics the bench uses.

/** The middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median over rounds of `numerator / denominator`, so that a slow phase of the machine hits both. */
export function medianRatio(numerator: readonly number[], denominator: readonly number[]): number {
  const count = Math.min(numerator.length, denominator.length);
  return median(Array.from({ length: count }, (_, i) => numerator[i]! / denominator[i]!));
}
