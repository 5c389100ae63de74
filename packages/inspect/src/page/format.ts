/** Numbers as people read them. */

const steps = ["", "K", "M", "G", "T"] as const;

/** `1.2 M` */
export function count(value: number): string {
  let [n, i] = [value, 0];
  while (n >= 999.5 && i < steps.length - 1) [n, i] = [n / 1000, i + 1];
  return i === 0 ? short(n) : `${short(n)} ${steps[i]}`;
}

/** `1.2 Mflop` */
export function flops(value: number): string {
  const [n, unit] = count(value).split(" ");
  return `${n} ${unit === "K" ? "k" : (unit ?? "")}flop`;
}

/** `1.2 MiB` */
export function bytes(value: number): string {
  let [n, i] = [value, 0];
  while (n >= 1023.5 && i < steps.length - 1) [n, i] = [n / 1024, i + 1];
  return i === 0 ? `${n} B` : `${short(n)} ${steps[i]}iB`;
}

/** Time, of seconds. */
export function seconds(value: number): string {
  if (value >= 1) return `${short(value)} s`;
  if (value >= 1e-3) return `${short(value * 1e3)} ms`;
  return `${short(value * 1e6)} µs`;
}

export function percent(share: number): string {
  return share > 0 && share < 0.005 ? "<1%" : `${Math.round(share * 100)}%`;
}

/** Three digits, no more. */
export function short(n: number): string {
  if (Number.isInteger(n)) return String(n);
  if (n >= 100) return String(Math.round(n));
  return String(Number(n.toPrecision(n >= 10 ? 3 : 2)));
}

/** `1 kernel`, `3 kernels` */
export function plural(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
