/**
 * The curves of the losses. Those of two backends should cover each other, so that the first is drawn broad and pale, and
 * the second thin above it.
 */
import uPlot from "uplot";

export interface Curve {
  readonly label: string;
  readonly color: string;
  readonly width: number;
}

export interface Chart {
  /** Losses by curve, from step 1. */
  show(losses: readonly (readonly number[])[], steps: number): void;
}

const height = 280;

export function drawChart(place: HTMLElement, curves: readonly Curve[]): Chart {
  const ink = "#5b6270";
  const grid = { stroke: "#e8eaee", width: 1 };
  const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui, sans-serif" };
  let last = 200;
  const plot = new uPlot(
    {
      width: Math.max(place.clientWidth, 200),
      height,
      scales: { x: { time: false, range: () => [1, last] }, y: { range: (_, __, max) => [0, max ?? 2.5] } },
      axes: [
        {
          ...axis,
          label: "step",
          labelFont: axis.font,
          labelSize: 20,
          size: 34,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500],
        },
        { ...axis, size: 44 },
      ],
      series: [
        { label: "step", value: (_, value) => (value === null ? "–" : String(value)) },
        ...curves.map(({ label, color, width }) => ({
          label,
          stroke: color,
          width,
          points: { show: false },
          value: (_: uPlot, value: number | null) => (value === null ? "–" : value.toFixed(4)),
        })),
      ],
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      legend: { live: true },
    },
    [[], ...curves.map(() => [])],
    place,
  );
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height })).observe(place);
  return {
    show(losses, steps) {
      last = steps;
      const x = Array.from({ length: steps }, (_, i) => i + 1);
      plot.setData([x, ...losses.map((curve) => x.map((_, i) => curve[i] ?? null))]);
    },
  };
}
