// print and hostCall inside staged ifs and loops: they act for the branch that is taken and in each round, as in JavaScript.
import { compile, hostCall, print, range, setPrintSink, spec, type Tensor, tensor, withEager } from "sinter";
import { afterEach, beforeEach, expect, test } from "vitest";

let log: string[] = [];
let before: ReturnType<typeof setPrintSink>;
beforeEach(() => {
  log = [];
  before = setPrintSink((text) => log.push(text));
});
afterEach(() => {
  setPrintSink(before);
});

/** What a call logs, compiled; as JavaScript it must log the same. */
function logged<A extends readonly unknown[]>(fn: (...args: A) => unknown, ...args: A): string[] {
  withEager(() => fn(...args));
  const plain = log.splice(0);
  fn(...args);
  const compiled = log.splice(0);
  expect(compiled).toEqual(plain);
  return compiled;
}

test("the branch that is taken prints", () => {
  const f = compile((x: Tensor) => {
    if (x.gt(0)) print("positive {}", x);
    else {
      print("not positive");
      x = x.neg();
    }
    const y = x.gt(2) ? x : x.add(1);
    print("then {}", y);
    return y;
  });
  expect(logged(f, tensor(1))).toEqual(["positive 1", "then 2"]);
  expect(logged(f, tensor(-5))).toEqual(["not positive", "then 5"]);
  expect(f.traces).toBe(1);
});

test("each round of a while prints, with numbers of the source in it", () => {
  const f = compile((x: Tensor) => {
    let rounds = 0;
    let odd = false;
    while (x.gt(1)) {
      print("round {}: {} {}", rounds, x, odd);
      x = x.div(2);
      rounds++;
      odd = !odd;
    }
    return rounds;
  });
  expect(logged(f, tensor(5))).toEqual(["round 0: 5 false", "round 1: 2.5 true", "round 2: 1.25 false"]);
});

test("a condition that prints is asked as often as in JavaScript", () => {
  const f = compile((x: Tensor) => {
    const small = (y: Tensor): Tensor => {
      print("asked {}", y);
      return y.lt(10);
    };
    while (small(x)) x = x.mul(3);
    return x;
  });
  expect(logged(f, tensor(2))).toEqual(["asked 2", "asked 6", "asked 18"]);
});

test("counted loops print each round, unrolled or not, also where they end early", () => {
  const counted = compile((x: Tensor, rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      print("{}: {}", i, x);
      x = x.add(2);
    }
    return x;
  });
  expect(logged(counted, tensor(1), 3)).toEqual(["0: 1", "1: 3", "2: 5"]);
  const long = logged(counted, tensor(1), 40);
  expect([long.length, long[39]]).toEqual([40, "39: 79"]);
  expect(
    counted
      .lower(tensor(1), 40)
      .text("trace")
      .match(/ print /g)?.length,
  ).toBe(1);

  const ended = compile((x: Tensor) => {
    for (let i = 0; i < 30; i++) {
      print("try {}", i);
      if (x.gt(20)) return x;
      if (x.eq(4)) {
        x = x.mul(3);
        print("jump");
        continue;
      }
      x = x.mul(2);
      print("end of {}", i);
    }
    return x;
  });
  expect(logged(ended, tensor(1))).toEqual([
    "try 0",
    "end of 0",
    "try 1",
    "end of 1",
    "try 2",
    "jump",
    "try 3",
    "end of 3",
    "try 4",
  ]);
});

test("for-of over rows and over range", () => {
  const f = compile((rows: Tensor) => {
    let sum = tensor(0);
    for (const row of rows) {
      if (row.sum().lt(0)) {
        print("skip {}", row);
        continue;
      }
      sum = sum.add(row.sum());
    }
    for (const i of range(2)) print("again {} {}", i, sum);
    return sum;
  });
  const rows = tensor([
    [1, 2],
    [-3, 1],
    [4, 5],
  ]);
  expect(logged(f, rows)).toEqual(["skip [-3, 1]", "again 0 12", "again 1 12"]);
});

test("short-circuits", () => {
  const f = compile((x: Tensor) => {
    const check = (y: Tensor, name: string): Tensor => {
      print("{}", name);
      return y.gt(0);
    };
    return check(x, "left") && check(x.sub(1), "right") ? x : x.neg();
  });
  expect(logged(f, tensor(-1))).toEqual(["left"]);
  expect(logged(f, tensor(3))).toEqual(["left", "right"]);
});

test("functions of the host get numbers where the source has numbers, rolled or not, and may keep what they see", () => {
  const rows = Array.from({ length: 30 }, (_, i) => i * i);
  const row = (i: number): number => {
    log.push(`row ${i}`);
    return rows[i]!;
  };
  const f = compile((x: Tensor, count: number) => {
    let last = tensor(0);
    for (let i = 0; i < count; i++) {
      last = hostCall(row, spec([]), i);
      x = x.add(last);
    }
    if (x.gt(100)) hostCall((y: Tensor, z: Tensor) => log.push(`many ${y.item()} ${z.item()}`), null, x, last);
    return x;
  });
  expect(logged(f, tensor(0), 3)).toEqual(["row 0", "row 1", "row 2"]);
  const many = logged(f, tensor(0), 25);
  expect([many.length, many.at(-2), many.at(-1)]).toEqual([26, "row 24", "many 4900 576"]);
});

test("functions of the host may count outside: what they read is read when they run", () => {
  let calls = 0;
  const f = compile((x: Tensor) => {
    while (x.gt(1)) {
      hostCall(
        (v: Tensor) => {
          calls++;
          if (v.gt(4)) log.push(`large, call ${calls}`);
        },
        null,
        x,
      );
      x = x.div(2);
    }
    return x;
  });
  f(tensor(8));
  f(tensor(3));
  expect([calls, log]).toEqual([5, ["large, call 1"]]);
});
