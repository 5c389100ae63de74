/** Datasets: order, batches, resuming, and what augmentation does. */
import { type Tensor, tensor } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import { augment, fromArrays, Random, type Sample } from "../src/data/index.ts";

const x = Float32Array.from({ length: 10 }, (_, i) => i);
async function all<T>(elements: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const element of elements) found.push(element);
  return found;
}
const values = (batch: Tensor): number[] => Array.from(batch.dataSync());

describe("datasets", () => {
  test("rows of trees become batches; the last one is smaller or left out", async () => {
    const rows = fromArrays({ image: { data: x, shape: [5, 2] }, label: Int32Array.of(0, 1, 2, 3, 4) });
    const batches = await all(rows.batch(2));
    expect(batches.map(({ image, label }) => [image.shape, label.dtype, values(label)])).toEqual([
      [[2, 2], "i32", [0, 1]],
      [[2, 2], "i32", [2, 3]],
      [[1, 2], "i32", [4]],
    ]);
    expect(values(batches[1]!.image)).toEqual([4, 5, 6, 7]);
    expect(rows.batch(2, { dropRemainder: true }).size).toBe(2);
  });

  test("tensors, nested arrays and booleans are columns too", async () => {
    const [batch] = await all(
      fromArrays([
        tensor([
          [1, 2],
          [3, 4],
        ]),
        [[true], [false]],
      ] as const).batch(2),
    );
    expect([values(batch![0]), batch![1].dtype, values(batch![1])]).toEqual([[1, 2, 3, 4], "bool", [1, 0]]);
  });

  test("each epoch has an order of its own, which the seed decides; no row is lost", async () => {
    const order = async (seed: number, epoch: number, buffer = 10) =>
      (await all(fromArrays(x).shuffle(buffer, seed).iterate(epoch))).map(({ data }) => data[0]!);
    expect(await order(1, 0)).toEqual(await order(1, 0));
    expect(await order(1, 0)).not.toEqual(await order(1, 1));
    expect(await order(1, 0)).not.toEqual(await order(2, 0));
    for (const buffer of [1, 3, 10, 99]) expect((await order(5, 2, buffer)).sort((a, b) => a - b)).toEqual([...x]);
    expect(await order(5, 2, 1)).toEqual([...x]);
    // Drawn from the next three: nothing comes more than two places early.
    for (const [i, row] of (await order(5, 2, 3)).entries()) expect(row).toBeLessThanOrEqual(i + 2);
  });

  test("iterating goes through the epochs; an epoch goes on in its middle with the same elements", async () => {
    const made = () =>
      fromArrays(x)
        .shuffle(10, 3)
        .map(({ data }, { random }) => data[0]! + random.uniform())
        .batch(3);
    const dataset = made();
    const [first, second] = [await all(dataset), await all(dataset)];
    expect(first.map(values)).not.toEqual(second.map(values));
    expect((await all(made().iterate(1, 2))).map(values)).toEqual(second.slice(2).map(values));
  });

  test("repeat, take and skip", async () => {
    const read = async (rows: AsyncIterable<Sample>) => (await all(rows)).map(({ data }) => data[0]);
    const two = fromArrays(x).take(2);
    expect(await read(two.repeat(2))).toEqual([0, 1, 0, 1]);
    expect(await read(two.repeat().take(5))).toEqual([0, 1, 0, 1, 0]);
    expect(await read(fromArrays(x).skip(8))).toEqual([8, 9]);
    const shuffled = fromArrays(x).shuffle(10, 1);
    const epochs = [...(await read(shuffled.iterate(0))), ...(await read(shuffled.iterate(1)))];
    expect(await read(shuffled.repeat(2).iterate(0))).toEqual(epochs);
    expect((await all(fromArrays(x).repeat().batch(4).take(3))).map(values)[2]).toEqual([8, 9, 0, 1]);
  });

  test("a map may wait; prefetch begins so many before they are asked for", async () => {
    const begun: number[] = [];
    const slow = fromArrays(x).map(async ({ data }, { index }) => {
      begun.push(index);
      await new Promise((done) => setTimeout(done, 1));
      return data[0]! * 2;
    });
    const iterator = slow.prefetch(3).iterate();
    expect((await iterator.next()).value).toBe(0);
    expect(begun).toEqual([0, 1, 2]);
    expect((await all(slow.batch(5))).map(values)[1]).toEqual([10, 12, 14, 16, 18]);
  });

  test("what does not fit is said", async () => {
    expect(() => fromArrays({ a: [1, 2, 3], b: [1, 2] })).toThrow(
      "arrays.a has 3 rows, but arrays.b has 2; all must have the same number",
    );
    expect(() => fromArrays({})).toThrow("there are no arrays");
    expect(() => fromArrays([[1, 2], [3]])).toThrow("ragged");
    const ragged = fromArrays(x)
      .map((_, { index }) => new Float32Array(index === 4 ? 2 : 3))
      .batch(3);
    await expect(all(ragged)).rejects.toThrow(
      "the rows are ragged: row of row 4 is Float32Array [2], that of row 3 Float32Array [3]",
    );
    expect(() => fromArrays(x).batch(0)).toThrow("batch: count must be above 0");
    expect(() => fromArrays(x).repeat().shuffle(3)).toThrow("shuffle before repeat");
    expect(() => fromArrays([] as number[]).repeat()).toThrow("the dataset is empty");
    expect(await all(fromArrays([] as number[]).batch(2))).toEqual([]);
  });
});

describe("augmentation", () => {
  const image: Sample = { data: Float32Array.from({ length: 12 }, (_, i) => i + 1), shape: [3, 4] };

  test("an image that was shifted is a window of the image in zeros", () => {
    const random = new Random(7);
    for (let i = 0; i < 30; i++) {
      const { data, shape } = augment.shift(image, 2, random);
      expect(shape).toEqual([3, 4]);
      const [at] = [...data.entries()].find(([, value]) => value > 0) ?? [0];
      const [down, right] = [Math.floor(at / 4), at % 4];
      const value = data[at]!;
      for (const [j, other] of data.entries()) {
        const [y, z] = [Math.floor((value - 1) / 4) + Math.floor(j / 4) - down, ((value - 1) % 4) + (j % 4) - right];
        expect(other).toBe(y >= 0 && y < 3 && z >= 0 && z < 4 ? y * 4 + z + 1 : 0);
      }
    }
  });

  test("flip mirrors rows of pixels with their channels; crop takes a part; noise has its deviation", () => {
    const colours: Sample = { data: Float32Array.of(1, 2, 3, 4), shape: [1, 2, 2] };
    const flips = new Set(Array.from({ length: 20 }, (_, i) => String(augment.flip(colours, new Random(i)).data)));
    expect(flips).toEqual(new Set(["1,2,3,4", "3,4,1,2"]));
    const parts = new Set(Array.from({ length: 60 }, (_, i) => augment.crop(image, 3, 2, new Random(i)).data[0]));
    expect(parts).toEqual(new Set([1, 2, 3]));
    expect(augment.crop(image, 3, 4, new Random(1), 1).shape).toEqual([3, 4]);
    expect(() => augment.crop(image, 4, 4, new Random(1))).toThrow(
      "a part of [4, 4] does not fit into an image of [3, 4]",
    );
    const { data } = augment.noise({ data: new Float32Array(4000), shape: [4000] }, 0.5, new Random(1));
    const deviation = Math.sqrt(Array.from(data).reduce((sum, value) => sum + value * value, 0) / 4000);
    expect(deviation).toBeCloseTo(0.5, 1);
  });

  test("random numbers spread evenly", () => {
    const random = new Random(1, 2);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; i++) counts[random.below(7)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(new Random(1, 2).bits()).not.toBe(new Random(2, 1).bits());
  });
});
