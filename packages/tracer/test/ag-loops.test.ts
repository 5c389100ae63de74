// Loops as the source transform emits them: while, do-while, for, for-of, with break, continue and return in them.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { arange, range, Tensor, tensor, variable } from "../src/index.ts";
import { $ag, $l, backends, compiled, same, state, stateless, type Value } from "./ag-support.ts";

await programsOnWebgpu("Loops of transformed sources");

const l = $l[1]!;

describe("while", () => {
  same(
    "with a number that counts",
    (x) => {
      let n = 0;
      let y = x;
      while (y.lt(100) && n < 8) {
        y = y.mul(2);
        n++;
      }
      return [y, n];
    },
    (x) => {
      let n: unknown = 0;
      let y = x;
      $ag.while_(
        l,
        () => $ag.and(l, y.lt(100), () => $ag.lt(n, 8)),
        () => {
          y = y.mul(2);
          n = $ag.inc(n);
        },
        ...state(
          () => [y, n],
          (s) => {
            [y, n] = s as [Value, unknown];
          },
          "y n",
        ),
      );
      return [y, n];
    },
  );

  same(
    "a whole number that becomes a fraction is a float from the start",
    (x) => {
      let n = 1;
      let y = x;
      while (y.lt(20)) {
        y = y.add(3);
        n = n / 2;
      }
      return n;
    },
    (x) => {
      let n: unknown = 1;
      let y = x;
      $ag.while_(
        l,
        () => y.lt(20),
        () => {
          y = y.add(3);
          n = $ag.div(n, 2);
        },
        ...state(
          () => [n, y],
          (s) => {
            [n, y] = s as [unknown, Value];
          },
          "n y",
        ),
      );
      return n;
    },
  );

  same(
    "rounds while the condition is plain, then staged",
    (x) => {
      let err: unknown = Number.POSITIVE_INFINITY;
      let y = x;
      while (err === Number.POSITIVE_INFINITY || (err as Value).gt(1)) {
        y = y.mul(0.5);
        err = y;
      }
      return y;
    },
    (x) => {
      let err: unknown = Number.POSITIVE_INFINITY;
      let y = x;
      $ag.while_(
        l,
        () => $ag.or(l, $ag.eq(err, Number.POSITIVE_INFINITY), () => (err as Value).gt(1)),
        () => {
          y = y.mul(0.5);
          err = y;
        },
        ...state(
          () => [y, err],
          (s) => {
            [y, err] = s as [Value, unknown];
          },
          "y err",
        ),
      );
      return y;
    },
  );

  same(
    "break, continue and code after them",
    (x) => {
      let y = x;
      let n = 0;
      for (;;) {
        n++;
        y = y.add(1);
        if (y.gt(10)) break;
        if (y.lt(2)) continue;
        y = y.mul(2);
      }
      return [y, n];
    },
    (x) => {
      let y = x;
      let n: unknown = 0;
      let $b: unknown = false;
      const outer = state(
        () => [y, n, $b],
        (s) => {
          [y, n, $b] = s as [Value, unknown, unknown];
        },
        "y n $b",
      );
      $ag.while_(
        l,
        () => $ag.none($b),
        () => {
          let $c: unknown = false;
          n = $ag.inc(n);
          y = y.add(1);
          const inner = state(
            () => [y, $b, $c],
            (s) => {
              [y, $b, $c] = s as [Value, unknown, unknown];
            },
            "y $b $c",
          );
          $ag.if_(
            l,
            y.gt(10),
            () => {
              $b = true;
            },
            () => {
              $ag.if_(
                l,
                y.lt(2),
                () => {
                  $c = true;
                },
                () => {
                  y = y.mul(2);
                },
                ...inner,
              );
            },
            ...inner,
          );
        },
        ...outer,
      );
      return [y, n];
    },
  );

  same(
    "return from a loop, and after it",
    (x) => {
      let y = x;
      let n = 0;
      while (n < 3) {
        if (y.gt(4)) return [n, y];
        y = y.mul(3);
        n++;
      }
      return [-1, y];
    },
    (x) => {
      let $r: unknown = false;
      let $v = $ag.U;
      let y = x;
      let n: unknown = 0;
      const all = state(
        () => [$r, $v, y, n],
        (s) => {
          [$r, $v, y, n] = s as [unknown, unknown, Value, unknown];
        },
        "$r $v y n",
      );
      $ag.while_(
        l,
        () => $ag.and(l, $ag.none($r), () => $ag.lt(n, 3)),
        () => {
          $ag.if_(
            l,
            y.gt(4),
            () => {
              $v = [n, y];
              $r = true;
            },
            () => {
              y = y.mul(3);
              n = $ag.inc(n);
            },
            ...all,
          );
        },
        ...all,
      );
      $ag.if_(
        l,
        $ag.none($r),
        () => {
          $v = [-1, y];
          $r = true;
        },
        null,
        ...all,
      );
      return $ag.ret(l, $r, $v, false);
    },
  );

  same(
    "a test that assigns",
    (x) => {
      let y = x;
      let d = x;
      let n = 0;
      while ((d = y.mul(0.5)).gt(1)) {
        y = d;
        n++;
      }
      return [y, d, n];
    },
    (x) => {
      let y = x;
      let d = x;
      let n: unknown = 0;
      $ag.while_(
        l,
        () => (d = y.mul(0.5)).gt(1),
        () => {
          y = d;
          n = $ag.inc(n);
        },
        ...state(
          () => [y, n, d],
          (s) => {
            [y, n, d] = s as [Value, unknown, Value];
          },
          "y n d",
          2,
        ),
      );
      return [y, y.mul(0.5), n];
    },
  );

  same(
    "nested loops over numbers",
    (x) => {
      let s = x;
      let i = 0;
      while (s.lt(50) && i < 5) {
        let j = 0;
        while (s.lt(40) && j < i) {
          s = s.add(j + 1);
          j++;
        }
        s = s.add(1);
        i++;
      }
      return [s, i];
    },
    (x) => {
      let s = x;
      let i: unknown = 0;
      $ag.while_(
        l,
        () => $ag.and(l, s.lt(50), () => $ag.lt(i, 5)),
        () => {
          let j: unknown = 0;
          $ag.while_(
            $l[2]!,
            () => $ag.and(l, s.lt(40), () => $ag.lt(j, i)),
            () => {
              s = s.add($ag.add(j, 1) as Value);
              j = $ag.inc(j);
            },
            ...state(
              () => [s, j],
              (v) => {
                [s, j] = v as [Value, unknown];
              },
              "s j",
            ),
          );
          s = s.add(1);
          i = $ag.inc(i);
        },
        ...state(
          () => [s, i],
          (v) => {
            [s, i] = v as [Value, unknown];
          },
          "s i",
        ),
      );
      return [s, i];
    },
  );

  test("numbers that do not change stay numbers; strings and untouched objects stay what they are", () => {
    const seen = new Set<unknown>();
    const f = compiled((x) => {
      let y = x;
      let k: unknown = 2;
      let mode: unknown = "fast";
      $ag.while_(
        l,
        () => y.lt(100),
        () => {
          seen.add(k).add(mode);
          y = y.mul(k as number);
          k = 2;
          mode = "fast";
        },
        ...state(
          () => [y, k, mode],
          (s) => {
            [y, k, mode] = s as [Value, unknown, unknown];
          },
          "y k mode",
        ),
      );
      return [y, k, mode];
    });
    expect(f(tensor(1))).toMatchObject([expect.any(Tensor), 2, "fast"]);
    expect([...seen]).toEqual([2, "fast"]);
  });

  test("arrays and objects go round element by element", () => {
    const f = compiled(
      (x) => {
        let p: { a: Value; n: unknown[] } = { a: x, n: [0, 1] };
        $ag.while_(
          l,
          () => p.a.lt(10),
          () => {
            p = { a: p.a.mul(2), n: [$ag.inc(p.n[0]), p.n[1]] };
          },
          ...state(
            () => [p],
            (s) => {
              [p] = s as [typeof p];
            },
            "p",
          ),
        );
        return p;
      },
      { backend: "reference" },
    );
    const out = f(tensor(3)) as { a: Tensor; n: [Tensor, number] };
    expect([out.a.item(), out.n[0].item(), out.n[1]]).toEqual([12, 2, 1]);
  });

  test("variables are written as often as the body runs", () => {
    for (const backend of backends) {
      const count = variable(0, { name: "count" });
      const f = compiled(
        (x) => {
          let y = x;
          $ag.while_(
            l,
            () => y.lt(100),
            () => {
              y = y.mul(2);
              count.assignAdd(1);
            },
            ...state(
              () => [y],
              (s) => {
                [y] = s as [Value];
              },
              "y",
            ),
          );
          return y;
        },
        { backend },
      );
      f(tensor(3));
      f(tensor(300));
      expect(count.item(), backend).toBe(6);
    }
  });

  test("a throw in the body ends the call", () => {
    for (const backend of backends) {
      const f = compiled(
        (x) => {
          let y = x;
          const how = state(
            () => [y],
            (s) => {
              [y] = s as [Value];
            },
            "y",
          );
          $ag.while_(
            l,
            () => y.lt(100),
            () => {
              y = y.sub(1);
              $ag.if_(l, y.lt(-1000), () => $ag.throw_(l, () => new RangeError("diverges")), null, ...how);
            },
            ...how,
          );
          return y;
        },
        { backend },
      );
      expect((f(tensor(100)) as Tensor).item(), backend).toBe(100);
      expect(() => f(tensor(5)), backend).toThrow("diverges");
    }
  });

  test("the work of tracing grows with the depth of nesting, not with its power", () => {
    const depth = 8;
    let bodies = 0;
    const f = compiled(
      (x) => {
        let y = x;
        const nest = (level: number): void => {
          let n: unknown = 0;
          $ag.while_(
            $l[10 + level]!,
            () => $ag.and(l, y.lt(10), () => $ag.lt(n, 2)),
            () => {
              bodies++;
              if (level < depth) nest(level + 1);
              else y = y.add(1);
              n = $ag.inc(n);
            },
            ...state(
              () => [y, n],
              (s) => {
                [y, n] = s as [Value, unknown];
              },
              "y n",
            ),
          );
        };
        nest(1);
        return y;
      },
      { backend: "reference" },
    );
    expect((f(tensor(1)) as Tensor).item()).toBe(10);
    expect(bodies).toBeLessThan(depth * 12);
  });
});

describe("do-while", () => {
  same(
    "runs at least once, and may initialise",
    (x) => {
      let d: unknown;
      let y = x;
      do {
        y = y.mul(0.5);
        d = y.add(1);
      } while ((d as Value).gt(2));
      return [y, d];
    },
    (x) => {
      let d: unknown;
      let y = x;
      $ag.doWhile_(
        l,
        () => {
          y = y.mul(0.5);
          d = y.add(1);
        },
        () => (d as Value).gt(2),
        ...state(
          () => [d, y],
          (s) => {
            [d, y] = s as [unknown, Value];
          },
          "d y",
        ),
      );
      return [y, d];
    },
  );
});

describe("for", () => {
  same(
    "with a staged break",
    (x) => {
      let y = x;
      let last = -1;
      for (let i = 0; i < 10; i++) {
        y = y.add(i);
        last = i;
        if (y.gt(12)) break;
      }
      return [y, last];
    },
    (x) => {
      let y = x;
      let last: unknown = -1;
      let $b: unknown = false;
      const how = state(
        () => [y, last, $b],
        (s) => {
          [y, last, $b] = s as [Value, unknown, unknown];
        },
        "y last $b",
      );
      $ag.for_(
        l,
        () => [0],
        (i) => $ag.and(l, $ag.none($b), () => $ag.lt(i, 10)),
        (i) => [$ag.inc(i)],
        (i) => {
          y = y.add(i as number);
          last = i;
          $ag.if_(
            l,
            y.gt(12),
            () => {
              $b = true;
            },
            null,
            ...how,
          );
          return [i];
        },
        ...how,
        ["i"],
        false,
      );
      return [y, last];
    },
  );

  test("closures see the variable of their own round", () => {
    const seen: (() => unknown)[] = [];
    $ag.for_(
      l,
      () => [0],
      (i) => $ag.lt(i, 3),
      (i) => [$ag.inc(i)],
      (i) => {
        seen.push(() => i);
        return [i];
      },
      ...stateless,
      ["i"],
      false,
    );
    expect(seen.map((f) => f())).toEqual([0, 1, 2]);
  });

  test("a bound that is a tensor", () => {
    for (const backend of backends) {
      const f = compiled(
        (n) => {
          let y: unknown = 0;
          $ag.for_(
            l,
            () => [0],
            (i) => $ag.lt(i, n),
            (i) => [$ag.inc(i)],
            (i) => {
              y = $ag.add(y, i);
              return [i];
            },
            ...state(
              () => [y],
              (s) => {
                [y] = s;
              },
              "y",
            ),
            ["i"],
            false,
          );
          return y;
        },
        { backend },
      );
      expect((f(tensor(5, { dtype: "i32" })) as Tensor).item(), backend).toBe(10);
    }
  });
});

describe("for-of", () => {
  same(
    "over a range of numbers",
    (x) => {
      let y = x;
      for (let i = 2; i < 12; i += 3) y = y.mul(0.5).add(i);
      return y;
    },
    (x) => {
      let y = x;
      $ag.forOf_(
        l,
        range(2, 12, 3),
        (i) => {
          y = y.mul(0.5).add(i as number);
        },
        null,
        ...state(
          () => [y],
          (s) => {
            [y] = s as [Value];
          },
          "y",
        ),
      );
      return y;
    },
  );

  same(
    "with a break, and a variable that the first round sets",
    (x) => {
      let last: unknown;
      for (let i = 0; i < 10; i++) {
        last = x.add(i);
        if ((last as Value).gt(5)) break;
      }
      return last;
    },
    (x) => {
      let last: unknown;
      let $b: unknown = false;
      const how = state(
        () => [last, $b],
        (s) => {
          [last, $b] = s;
        },
        "last $b",
      );
      $ag.forOf_(
        l,
        range(10),
        (i) => {
          last = x.add(i as number);
          $ag.if_(
            l,
            (last as Value).gt(5),
            () => {
              $b = true;
            },
            null,
            ...how,
          );
        },
        () => $ag.none($b),
        ...how,
      );
      return last;
    },
  );

  same(
    "over an array, with a staged break",
    (x) => {
      let y = x;
      let n = 0;
      for (const k of [1, 5, 2, 7]) {
        y = y.add(k);
        n++;
        if (y.gt(7)) break;
      }
      return [y, n];
    },
    (x) => {
      let y = x;
      let n: unknown = 0;
      let $b: unknown = false;
      const how = state(
        () => [y, n, $b],
        (s) => {
          [y, n, $b] = s as [Value, unknown, unknown];
        },
        "y n $b",
      );
      $ag.forOf_(
        l,
        [1, 5, 2, 7],
        (k) => {
          y = y.add(k as number);
          n = $ag.inc(n);
          $ag.if_(
            l,
            y.gt(7),
            () => {
              $b = true;
            },
            null,
            ...how,
          );
        },
        () => $ag.none($b),
        ...how,
      );
      return [y, n];
    },
  );

  test("over the rows of a tensor: one scan, however many", () => {
    const program = (xs: Value): unknown => {
      let y = xs.at(0).mul(0);
      $ag.forOf_(
        l,
        xs,
        (row) => {
          y = y.mul(0.5).add(row as Value);
        },
        null,
        ...state(
          () => [y],
          (s) => {
            [y] = s as [Value];
          },
          "y",
        ),
      );
      return y;
    };
    const xs = arange(12).cast("f32").reshape([4, 3]);
    const expected = (program(xs) as Tensor).arraySync();
    for (const backend of backends) {
      const f = compiled(program, { backend });
      expect((f(xs) as Tensor).arraySync(), backend).toEqual(expected);
    }
  });

  test("over the rows of a tensor with a break", () => {
    const program = (xs: Value): unknown => {
      let y: unknown;
      let $b: unknown = false;
      const how = state(
        () => [y, $b],
        (s) => {
          [y, $b] = s;
        },
        "y $b",
      );
      $ag.forOf_(
        l,
        xs,
        (row) => {
          y = (row as Value).mul(10);
          $ag.if_(
            l,
            (row as Value).gt(2),
            () => {
              $b = true;
            },
            null,
            ...how,
          );
        },
        () => $ag.none($b),
        ...how,
      );
      return y;
    };
    for (const backend of backends) {
      const f = compiled(program, { backend });
      expect((f(tensor([1, 2, 3, 4])) as Tensor).item(), backend).toBe(30);
      expect((f(tensor([1, 2, 1, 0.5])) as Tensor).item(), backend).toBe(5);
    }
    expect((program(tensor([1, 2, 3, 4])) as Tensor).item()).toBe(30);
  });

  test("over a range whose bound is a tensor", () => {
    const program = (n: Value): unknown => {
      let y: unknown = 0;
      $ag.forOf_(
        l,
        range(1, n),
        (i) => {
          y = $ag.add(y, $ag.mul(i, i));
        },
        null,
        ...state(
          () => [y],
          (s) => {
            [y] = s;
          },
          "y",
        ),
      );
      return y;
    };
    expect(program(tensor(4, { dtype: "i32" }))).toBe(14);
    for (const backend of backends)
      expect((compiled(program, { backend })(tensor(4, { dtype: "i32" })) as Tensor).item(), backend).toBe(14);
  });

  test("over other iterables it is JavaScript's loop, which ends the iterator", () => {
    const ended: string[] = [];
    function* items(): Generator<number> {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        ended.push("ended");
      }
    }
    let stop = false;
    const seen: unknown[] = [];
    $ag.forOf_(
      l,
      items(),
      (i) => {
        seen.push(i);
        stop = i === 2;
      },
      () => !stop,
      ...stateless,
    );
    expect([seen, ended]).toEqual([[0, 1, 2], ["ended"]]);
  });
});
