// The heap and what stands on it: blocks, growth, exhaustion, the arena stack, counted buffers, nested calls.
import { describe, expect, test } from "vitest";
import { Arena } from "../src/exec/arena.ts";
import { Heap, HeapFullError } from "../src/exec/heap.ts";
import { Buffer, ByteCache, Machine } from "../src/index.ts";

const mebibyte = 1 << 20;

/** The same numbers every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe.each(["unshared", "shared"] as const)("heap, %s", (kind) => {
  const make = (): Heap => new Heap({ kind, initialBytes: mebibyte, maximumBytes: 64 * mebibyte });

  test("random allocation and release keeps blocks apart, aligned, and coalesces at the end", () => {
    const heap = make();
    const random = generator(1);
    const live: { block: ReturnType<Heap["allocate"]>; mark: number }[] = [];
    for (let i = 0; i < 5000; i++) {
      if (live.length > 0 && random() < 0.5) {
        const { block, mark } = live.splice(Math.floor(random() * live.length), 1)[0]!;
        const view = heap.view("u32", block.address, block.bytes / 4);
        expect([view[0], view.at(-1)]).toEqual([mark, mark]);
        heap.release(block);
      } else {
        const block = heap.allocate(Math.floor(random() ** 3 * 50_000));
        expect(block.address % 64).toBe(0);
        expect(block.address).toBeGreaterThan(0);
        heap.view("u32", block.address, block.bytes / 4).fill(i);
        live.push({ block, mark: i });
      }
      if (i % 500 === 0) heap.verify();
    }
    for (const { block } of live) heap.release(block);
    heap.verify();
    expect(heap.liveBytes).toBe(0);
    const whole = heap.allocate(heap.capacityBytes - 64);
    heap.release(whole);
  });

  test("grows, keeps contents, and says when it cannot", () => {
    const heap = make();
    const first = heap.place("f32", [1, 2, 3]);
    const large = heap.allocate(30 * mebibyte);
    expect(heap.capacityBytes).toBeGreaterThan(30 * mebibyte);
    expect([...heap.view("f32", first.address, 3)]).toEqual([1, 2, 3]);
    expect(() => heap.allocate(60 * mebibyte)).toThrow(HeapFullError);
    expect(() => heap.allocate(60 * mebibyte)).toThrow(
      /asked for 60\.0 MiB with 30\.0 MiB in use of at most 64\.0 MiB/,
    );
    heap.release(large);
    heap.release(heap.allocate(50 * mebibyte));
    heap.verify();
  });

  test("takes the tightest gap and frees once", () => {
    const heap = make();
    const blocks = [1024, 64, 512, 64, 768, 64].map((bytes) => heap.allocate(bytes));
    for (const i of [0, 2, 4]) heap.release(blocks[i]!);
    expect(heap.allocate(500).address).toBe(blocks[2]!.address);
    expect(heap.allocate(700).address).toBe(blocks[4]!.address);
    expect(() => heap.release(blocks[0]!)).toThrow(/freed twice/);
  });

  test("a copy is of memory nobody else has", () => {
    const heap = make();
    const block = heap.place("i32", [1, 2]);
    const copy = heap.copy("i32", block.address, 2);
    heap.view("i32", block.address, 2).fill(9);
    expect([...copy]).toEqual([1, 2]);
    expect(copy.buffer).toBeInstanceOf(ArrayBuffer);
  });
});

describe("arena", () => {
  test("is a stack that is kept between runs and overflows to the heap", () => {
    const heap = new Heap({ initialBytes: mebibyte });
    const arena = new Arena(heap);
    const first = arena.enter(1000);
    arena.leave(1000);
    expect(arena.enter(500)).toBe(first);
    const inner = arena.enter(400);
    expect(inner).toBeGreaterThanOrEqual(first + 500);
    const overflow = arena.enter(10_000);
    expect(Math.abs(overflow - first)).toBeGreaterThanOrEqual(1000);
    const live = heap.liveBytes;
    arena.leave(10_000);
    expect(heap.liveBytes).toBe(live - 10_048);
    arena.leave(400);
    arena.leave(500);
    arena.trim();
    expect(heap.liveBytes).toBe(0);
  });

  test("aligns what is above", () => {
    const arena = new Arena(new Heap({ initialBytes: mebibyte }));
    arena.enter(0);
    arena.leave(0);
    arena.enter(10_000);
    arena.leave(10_000);
    arena.enter(100);
    expect(arena.enter(100) % 64).toBe(0);
  });
});

test("a program may run inside a call of another, with tables of their own", () => {
  const machine = new Machine({ initialBytes: mebibyte });
  const seen: number[][] = [];
  const read = (table: number, count: number): number[] => [...machine.heap.view("u32", table, count)];
  machine.run(
    (outer) => {
      machine.run((inner) => seen.push(read(inner, 2)), [7, 8], -1, 0);
      seen.push(read(outer, 3));
    },
    [1, 0, 3],
    1,
    256,
  );
  expect(seen[0]).toEqual([7, 8]);
  expect([seen[1]![0], seen[1]![2]]).toEqual([1, 3]);
  expect(seen[1]![1]! % 64).toBe(0);
});

test("a call inside another whose pointers do not fit behind that one's has them elsewhere", () => {
  const machine = new Machine({ initialBytes: mebibyte });
  const pointers = (count: number, first: number): number[] => Array.from({ length: count }, (_, i) => first + i);
  const { liveBytes } = machine.heap;
  const check = (table: number, expected: readonly number[]): void =>
    expect([...machine.heap.view("u32", table, expected.length)]).toEqual(expected);
  const [large, larger] = [pointers(4000, 1), pointers(9000, 2)];
  machine.run(
    (outer) => {
      machine.run((inner) => check(inner, larger), larger, -1, 0);
      check(outer, large);
    },
    large,
    -1,
    0,
  );
  expect(machine.heap.liveBytes).toBe(liveBytes);
});

test("a call that throws gives back its arena and table", () => {
  const machine = new Machine({ initialBytes: mebibyte });
  const places: number[] = [];
  for (let i = 0; i < 3; i++)
    expect(() =>
      machine.run(
        (table) => {
          places.push(table);
          throw new Error("trap");
        },
        [0],
        0,
        1024,
      ),
    ).toThrow("trap");
  expect(new Set(places).size).toBe(1);
});

test("buffers are freed by the last release", () => {
  const heap = new Heap({ initialBytes: mebibyte });
  const buffer = new Buffer(heap, 100);
  buffer.retain().release();
  expect(buffer.freed).toBe(false);
  buffer.release();
  expect(heap.liveBytes).toBe(0);
  expect(() => buffer.address).toThrow(/freed/);
  expect(() => buffer.retain()).toThrow(/freed/);
  expect(() => buffer.release()).toThrow(/more often/);
});

test("the cache drops what was used longest ago", () => {
  const cache = new ByteCache<string>(100);
  const gone: string[] = [];
  const add = (key: string, bytes: number): void => cache.set(key, { value: key, bytes, evict: () => gone.push(key) });
  add("a", 40);
  add("b", 40);
  cache.get("a");
  add("c", 40);
  expect(gone).toEqual(["b"]);
  add("huge", 500);
  expect(gone).toEqual(["b", "a", "c"]);
  expect(cache.get("huge")).toBe("huge");
});
