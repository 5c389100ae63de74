// Branches as the source transform emits them: if, conditional expressions, logical operators, early returns, throw.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { compile, grad, type Tensor, tensor, variable, vmap } from "../src/index.ts";
import { $ag, $l, backends, compiled, same, state, stateless, type Value } from "./ag-support.ts";

await programsOnWebgpu("Branches of transformed sources");

const [l0, l1, l2] = $l as [(typeof $l)[0], (typeof $l)[0], (typeof $l)[0]];

describe("if", () => {
  same(
    "assigns in both arms",
    (x) => {
      let y = x;
      let n = 0;
      if (x.gt(0)) {
        y = x.mul(2);
        n = 1;
      } else {
        y = x.neg();
        n = 0.5;
      }
      return [y, n];
    },
    (x) => {
      let y = x;
      let n: unknown = 0;
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          y = x.mul(2);
          n = 1;
        },
        () => {
          y = x.neg();
          n = 0.5;
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
    "without else, nested, restores what is dead",
    (x) => {
      let y = x;
      let t = x.add(1);
      if (x.gt(0)) {
        t = x.mul(3);
        y = t.add(1);
        if (x.gt(1)) y = y.mul(t);
      }
      t = x;
      return y.add(t);
    },
    (x) => {
      let y = x;
      let t = x.add(1);
      const inner = state(
        () => [y],
        (s) => {
          [y] = s as [Value];
        },
        "y",
      );
      const outer = state(
        () => [y, t],
        (s) => {
          [y, t] = s as [Value, Value];
        },
        "y t",
        1,
      );
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          t = x.mul(3);
          y = t.add(1);
          $ag.if_(
            l2!,
            x.gt(1),
            () => {
              y = y.mul(t);
            },
            null,
            ...inner,
          );
        },
        null,
        ...outer,
      );
      t = x;
      return y.add(t);
    },
  );

  same(
    "merges arrays and plain objects, keeps equal strings",
    (x) => (x.gt(0) ? { a: [x, 1], mode: "m" } : { a: [x.neg(), 2], mode: "m" }),
    (x) => {
      let out: unknown;
      const how = state(
        () => [out],
        (s) => {
          [out] = s;
        },
        "out",
      );
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          out = { a: [x, 1], mode: "m" };
        },
        () => {
          out = { a: [x.neg(), 2], mode: "m" };
        },
        ...how,
      );
      return out;
    },
  );

  same(
    "static paths of objects are variables",
    (x) => {
      const cell = { h: x };
      if (x.gt(0)) cell.h = cell.h.add(1);
      return cell.h;
    },
    (x) => {
      const cell = { h: x };
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          cell.h = cell.h.add(1);
        },
        null,
        ...state(
          () => [cell.h],
          (s) => {
            [cell.h] = s as [Value];
          },
          "cell.h",
        ),
      );
      return cell.h;
    },
  );

  test("a tensor that is known branches in JavaScript: one arm is traced", () => {
    const ran: string[] = [];
    const flag = tensor(true);
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
        $ag.if_(
          l1!,
          flag,
          () => void ran.push("then"),
          () => void ran.push("else"),
          ...how,
        );
        return y;
      },
      { backend: "reference" },
    );
    f(tensor(1));
    expect(ran).toEqual(["then"]);
  });

  test("a variable as condition: its value now, or when the program gets there", () => {
    const flag = variable(true, { name: "flag" });
    const program = (x: Value): unknown =>
      $ag.cond_(
        l1,
        flag,
        () => x,
        () => x.neg(),
        ...stateless,
      );
    for (const backend of backends) {
      const f = compiled(program, { backend });
      flag.assign(true);
      expect([(program(tensor(2)) as Tensor).item(), (f(tensor(2)) as Tensor).item()], backend).toEqual([2, 2]);
      flag.assign(false);
      expect([(program(tensor(2)) as Tensor).item(), (f(tensor(2)) as Tensor).item()], backend).toEqual([-2, -2]);
    }
  });

  test("operations carry the place of the construct", () => {
    const f = compile(
      (x: Tensor) =>
        $ag.cond_(
          $l[7]!,
          x.gt(0),
          () => x.exp(),
          () => x,
          ...stateless,
        ) as Tensor,
      {
        autograph: false,
      },
    );
    expect(f.lower(tensor(1)).text("trace")).toMatch(/cond .*# a\.ts:7:1 conditional expression/);
  });

  test("derivatives go through the arm that is taken, and round the loop as often as it ran", () => {
    const cube = (x: Tensor): Tensor => {
      let y = x;
      let n: unknown = 0;
      $ag.while_(
        l1,
        () => $ag.and(l1, $ag.lt(n, 2), () => y.lt(1000)),
        () => {
          y = y.mul(x);
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
      return $ag.cond_(
        l2,
        x.gt(0),
        () => y,
        () => y.neg(),
        ...stateless,
      ) as Tensor;
    };
    for (const x of [2, -3, 100]) {
      const expected = x > 31 ? 2 * x : Math.sign(x) * 3 * x * x;
      expect(grad(cube)(tensor(x)).item(), String(x)).toBeCloseTo(expected, 3);
    }
    const lanes = vmap(cube)(tensor([2, -3, 100]));
    expect(lanes.arraySync()).toEqual([8, 27, 10000]);
  });

  test("variables written in an arm are written where it is taken", () => {
    for (const backend of backends) {
      const count = variable(0, { name: "count" });
      const f = compiled(
        (x) => {
          $ag.if_(l1!, x.gt(0), () => void count.assignAdd(1), null, ...stateless);
          return x;
        },
        { backend },
      );
      for (const x of [1, -1, 2]) f(tensor(x));
      expect(count.item(), backend).toBe(2);
    }
  });
});

describe("early return", () => {
  same(
    "the rest moves into the other arm",
    (x) => {
      if (x.gt(0)) return x.mul(2);
      if (x.lt(-1)) return x;
      return x.add(10);
    },
    (x) => {
      let $r: unknown = false;
      let $v = $ag.U;
      const how = state(
        () => [$r, $v],
        (s) => {
          [$r, $v] = s;
        },
        "$r $v",
      );
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          $v = x.mul(2);
          $r = true;
        },
        () => {
          $ag.if_(
            l2!,
            x.lt(-1),
            () => {
              $v = x;
              $r = true;
            },
            () => {
              $v = x.add(10);
              $r = true;
            },
            ...how,
          );
        },
        ...how,
      );
      return $ag.ret(l0!, $r, $v, false);
    },
  );

  same(
    "guards what follows; plain values and structures may be returned",
    (x) => {
      let y = x;
      if (x.gt(0)) {
        if (x.gt(1)) return [1, x.add(1)];
        y = y.mul(5);
      }
      y = y.add(1);
      return [2, y];
    },
    (x) => {
      let $r: unknown = false;
      let $v = $ag.U;
      let y = x;
      const how = state(
        () => [$r, $v, y],
        (s) => {
          [$r, $v, y] = s as [unknown, unknown, Value];
        },
        "$r $v y",
      );
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          $ag.if_(
            l2!,
            x.gt(1),
            () => {
              $v = [1, x.add(1)];
              $r = true;
            },
            () => {
              y = y.mul(5);
            },
            ...how,
          );
        },
        null,
        ...how,
      );
      $ag.if_(
        l2!,
        $ag.none($r),
        () => {
          y = y.add(1);
          $v = [2, y];
          $r = true;
        },
        null,
        ...how,
      );
      return $ag.ret(l0!, $r, $v, false);
    },
  );

  test("returns of nothing give undefined", () => {
    const f = compiled((x) => {
      let $r: unknown = false;
      let $v = $ag.U;
      const how = state(
        () => [$r, $v],
        (s) => {
          [$r, $v] = s;
        },
        "$r $v",
      );
      $ag.if_(
        l1!,
        x.gt(0),
        () => {
          $v = undefined;
          $r = true;
        },
        null,
        ...how,
      );
      return $ag.ret(l0!, $r, $v, true);
    });
    expect(f(tensor(1))).toBe(undefined);
  });
});

describe("expressions", () => {
  same(
    "conditional expressions",
    (x) => [x.gt(0) ? x : x.neg(), x.gt(1) ? 1 : 0, !!x.gt(0)],
    (x) => [
      $ag.cond_(
        l1!,
        x.gt(0),
        () => x,
        () => x.neg(),
        ...stateless,
      ),
      $ag.cond_(
        l1!,
        x.gt(1),
        () => 1,
        () => 0,
        ...stateless,
      ),
      $ag.cond_(
        l1!,
        x.gt(0),
        () => true,
        () => false,
        ...stateless,
      ),
    ],
  );

  same(
    "logical operators",
    (x) => [x.gt(0) && x.lt(1), x.gt(0) || x.lt(-1), !x.gt(0), !x.gt(0) && true],
    (x) => [
      $ag.and(l1!, x.gt(0), () => x.lt(1)),
      $ag.or(l1!, x.gt(0), () => x.lt(-1)),
      $ag.not(l1!, x.gt(0)),
      $ag.and(l1!, $ag.not(l1!, x.gt(0)), () => true),
    ],
  );

  test("plain operands keep JavaScript's values, and are not evaluated in vain", () => {
    const never = (): never => {
      throw new Error("evaluated");
    };
    expect($ag.and(l1!, 0, never)).toBe(0);
    expect($ag.and(l1!, "a", () => "b")).toBe("b");
    expect($ag.or(l1!, "a", never)).toBe("a");
    expect($ag.or(l1!, undefined, () => null)).toBe(null);
    expect($ag.and(l1!, tensor(false), never)).toBe(false);
    expect($ag.or(l1!, tensor(true), never)).toBe(true);
    expect($ag.not(l1!, null)).toBe(true);
  });

  test("the right side runs only where it counts, if it does more than compute", () => {
    for (const backend of backends) {
      const asked = variable(0, { name: "asked" });
      const f = compiled((x) => $ag.and(l1!, x.gt(0), () => asked.assignAdd(1).value.lt(2)), { backend });
      const answers = [-1, 1, -1, 1].map((x) => (f(tensor(x)) as Tensor).item());
      expect(answers, backend).toEqual([false, true, false, false]);
      expect(asked.item(), backend).toBe(2);
    }
  });

  test("flags need no branch: they are computed", () => {
    const f = compile(
      (x: Tensor) => {
        let found: unknown = false;
        const how = state(
          () => [found],
          (s) => {
            [found] = s;
          },
          "found",
        );
        $ag.if_(
          l1!,
          x.gt(0),
          () => {
            found = true;
          },
          null,
          ...how,
        );
        return found as Tensor;
      },
      { autograph: false },
    );
    expect(f.lower(tensor(1)).text("simplified")).not.toContain("cond");
  });
});

describe("throw", () => {
  same(
    "the other arm's values go on",
    (x) => {
      let y = x;
      if (x.gt(100)) throw new RangeError("too large");
      y = x.add(1);
      return y;
    },
    (x) => {
      let y = x;
      const how = state(
        () => [y],
        (s) => {
          [y] = s as [Value];
        },
        "y",
      );
      $ag.if_(
        l1!,
        x.gt(100),
        () => $ag.throw_(l2!, () => new RangeError("too large")),
        () => {
          y = x.add(1);
        },
        ...how,
      );
      return y;
    },
  );

  test("the call fails where the arm is taken, and only there", () => {
    for (const backend of backends) {
      const writes = variable(0, { name: "writes" });
      const f = compiled(
        (x) => {
          writes.assignAdd(1);
          $ag.if_(l1!, x.gt(1), () => $ag.throw_(l2!, () => new RangeError("too large")), null, ...stateless);
          return x;
        },
        { backend },
      );
      expect((f(tensor(1)) as Tensor).item()).toBe(1);
      expect(() => f(tensor(2)), backend).toThrow(RangeError);
      expect((f(tensor(0)) as Tensor).item()).toBe(0);
      expect(writes.item(), backend).toBe(2);
    }
  });

  test("in an arm that is plain it throws while tracing", () => {
    const f = compiled((x) => {
      $ag.if_(l1!, true, () => $ag.throw_(l2!, () => new RangeError("plain")), null, ...stateless);
      return x;
    });
    expect(() => f(tensor(2))).toThrow("plain");
  });

  test("both arms may throw", () => {
    const f = compiled(
      (x) => {
        $ag.if_(
          l1!,
          x.gt(0),
          () => $ag.throw_(l2!, () => new Error("above")),
          () => $ag.throw_(l2!, () => new Error("below")),
          ...stateless,
        );
        return x;
      },
      { backend: "reference" },
    );
    expect(() => f(tensor(2))).toThrow("above");
    expect(() => f(tensor(-2))).toThrow("below");
  });
});
