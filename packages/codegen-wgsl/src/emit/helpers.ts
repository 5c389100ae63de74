/** Functions that kernels call where WGSL has no operation of the exact meaning, for one lane and for four. */

/** A function's text and the functions it calls. `F`, `I`, `U`, `B` in the text stand for types of its lanes. */
interface Helper {
  readonly needs?: readonly string[];
  /** Only for one lane; four lanes call it four times. */
  readonly scalar?: true;
  readonly text: string;
}

const helpers: Readonly<Record<string, Helper>> = {
  bits: { scalar: true, text: "fn bits(x: u32) -> f32 {\n  return bitcast<f32>(x);\n}" },
  isNan: {
    text: "fn isNan(x: F) -> B {\n  return (bitcast<U>(x) & U(0x7fffffffu)) > U(0x7f800000u);\n}",
  },
  isFinite: {
    text: "fn isFinite(x: F) -> B {\n  return (bitcast<U>(x) & U(0x7fffffffu)) < U(0x7f800000u);\n}",
  },
  // The same bits, which a compiler does not know: the dispatch sets the word to 0.
  exact: { text: "fn exact(x: F) -> F {\n  return bitcast<F>(bitcast<U>(x) ^ U(unknownZero));\n}" },
  // NaN wins, and +0 is above -0.
  maxF: {
    needs: ["isNan"],
    text: `fn maxF(x: F, y: F) -> F {
  let larger = select(select(y, x, x > y), bitcast<F>(bitcast<U>(x) & bitcast<U>(y)), x == y);
  return select(select(larger, y, isNan(y)), x, isNan(x));
}`,
  },
  minF: {
    needs: ["isNan"],
    text: `fn minF(x: F, y: F) -> F {
  let smaller = select(select(y, x, x < y), bitcast<F>(bitcast<U>(x) | bitcast<U>(y)), x == y);
  return select(select(smaller, y, isNan(y)), x, isNan(x));
}`,
  },
  // x / 0 is 0.
  divI: { text: "fn divI(x: I, y: I) -> I {\n  return select(x / y, I(0), y == I(0));\n}" },
  divW: { text: "fn divW(x: U, y: U) -> U {\n  return select(x / y, U(0), y == U(0));\n}" },
  remI: { text: "fn remI(x: I, y: I) -> I {\n  return select(x - y * (x / y), I(0), y == I(0));\n}" },
  remW: { text: "fn remW(x: U, y: U) -> U {\n  return select(x % y, U(0), y == U(0));\n}" },
  // Saturates; NaN gives 0.
  toI: {
    needs: ["isNan"],
    text: `fn toI(x: F) -> I {
  let inside = I(clamp(x, F(-2147483648.0), F(2147483520.0)));
  return select(select(inside, I(2147483647), x >= F(2147483648.0)), I(0), isNan(x));
}`,
  },
  toU: {
    needs: ["isNan"],
    text: `fn toU(x: F) -> U {
  let inside = U(clamp(x, F(0.0), F(4294967040.0)));
  return select(select(inside, U(4294967295u), x >= F(4294967296.0)), U(0u), isNan(x));
}`,
  },
  // The upper half of the product, by halves of 16 bits.
  mulhi: {
    text: `fn mulhi(x: U, y: U) -> U {
  let a = x >> U(16u);
  let b = x & U(0xffffu);
  let c = y >> U(16u);
  let d = y & U(0xffffu);
  let m = a * d + ((b * d) >> U(16u));
  let n = b * c + (m & U(0xffffu));
  return a * c + (m >> U(16u)) + (n >> U(16u));
}`,
  },
  // C's fmod: exact long division of the significands.
  remF: {
    scalar: true,
    needs: ["bits"],
    text: `fn remF(x: f32, y: f32) -> f32 {
  let sign = bitcast<u32>(x) & 0x80000000u;
  let a = bitcast<u32>(x) & 0x7fffffffu;
  let b = bitcast<u32>(y) & 0x7fffffffu;
  if (b == 0u || b > 0x7f800000u || a >= 0x7f800000u) {
    return bits(0x7fc00000u);
  }
  if (a < b) {
    return x;
  }
  var ea = i32(a >> 23u);
  var eb = i32(b >> 23u);
  var ma = (a & 0x7fffffu) | 0x800000u;
  var mb = (b & 0x7fffffu) | 0x800000u;
  if (ea == 0) {
    let s = countLeadingZeros(a) - 8u;
    ma = a << s;
    ea = 1 - i32(s);
  }
  if (eb == 0) {
    let s = countLeadingZeros(b) - 8u;
    mb = b << s;
    eb = 1 - i32(s);
  }
  while (ea > eb) {
    if (ma >= mb) {
      ma -= mb;
    }
    ma = ma << 1u;
    ea--;
  }
  if (ma >= mb) {
    ma -= mb;
  }
  if (ma == 0u) {
    return bitcast<f32>(sign);
  }
  let s = countLeadingZeros(ma) - 8u;
  ma = ma << s;
  ea -= i32(s);
  if (ea > 0) {
    return bitcast<f32>(sign | (ma - 0x800000u) | (u32(ea) << 23u));
  }
  return bitcast<f32>(sign | (ma >> u32(1 - ea)));
}`,
  },
  // Payne and Hanek: x = (4 k + q) pi/2 + r with |r| <= pi/4, as (r, q), for |x| >= 1 (2/pi in words, shifted by 2).
  reducePi: {
    scalar: true,
    needs: ["bits", "mulhi"],
    text: `const inversePi = array<u32, 7>(0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);

fn reducePi(x: f32) -> vec2f {
  let a = bitcast<u32>(x) & 0x7fffffffu;
  if (a >= 0x7f800000u) {
    return vec2f(bits(0x7fc00000u), 0.0f);
  }
  var words = inversePi;
  let e = (a >> 23u) - 126u;
  let i = e >> 5u;
  let s = e & 31u;
  let m = (a << 8u) | 0x80000000u;
  var high = select(0u, words[max(i, 1u) - 1u], i > 0u);
  var middle = words[i];
  var low = words[i + 1u];
  if (s != 0u) {
    high = (high << s) | (middle >> (32u - s));
    middle = (middle << s) | (low >> (32u - s));
    low = (low << s) | (words[i + 2u] >> (32u - s));
  }
  let carry = mulhi(m, low);
  var p0 = m * middle + carry;
  var p1 = m * high + mulhi(m, middle) + select(0u, 1u, p0 < carry);
  var q = p1 >> 30u;
  p1 = p1 & 0x3fffffffu;
  var negative = false;
  if ((p1 & 0x20000000u) != 0u) {
    q++;
    negative = true;
    p1 = 0x3fffffffu - p1;
    p0 = ~p0 + 1u;
    p1 += select(0u, 1u, p0 == 0u);
  }
  let zeros = select(32u + countLeadingZeros(p0), countLeadingZeros(p1), p1 != 0u);
  var top = p0 << (zeros & 31u);
  if (zeros < 32u) {
    top = (p1 << zeros) | select(0u, p0 >> (32u - max(zeros, 1u)), zeros > 0u);
  }
  let r = f32(mulhi(top, 0xc90fdaa2u)) * bitcast<f32>((98u - min(zeros, 64u)) << 23u);
  if ((bitcast<u32>(x) >> 31u) != 0u) {
    return vec2f(select(-r, r, negative), f32((4u - q) & 3u));
  }
  return vec2f(select(r, -r, negative), f32(q & 3u));
}`,
  },
  // Arguments in [-pi/2, pi/2] whose sine is the sine, or the cosine, of x.
  sineArgument: {
    scalar: true,
    needs: ["reducePi"],
    text: `fn sineArgument(x: f32) -> f32 {
  let p = reducePi(x);
  let r = select(p.x, 1.5707964f - abs(p.x), p.y == 1.0f || p.y == 3.0f);
  return select(r, -r, p.y >= 2.0f);
}`,
  },
  cosineArgument: {
    scalar: true,
    needs: ["reducePi"],
    text: `fn cosineArgument(x: f32) -> f32 {
  let p = reducePi(x);
  let r = select(1.5707964f - abs(p.x), p.x, p.y == 1.0f || p.y == 3.0f);
  return select(r, -r, p.y == 1.0f || p.y == 2.0f);
}`,
  },
  // smallTangent is a function of the math library.
  wideTangent: {
    scalar: true,
    needs: ["reducePi"],
    text: `fn wideTangent(x: f32) -> f32 {
  let p = reducePi(x);
  let t = smallTangentOf(p.x);
  return select(t, -1.0f / t, p.y == 1.0f || p.y == 3.0f);
}`,
  },
};

export function isHelper(name: string): boolean {
  return Object.hasOwn(helpers, name);
}

/** The functions of a module that were asked for, each behind those it calls. */
export class Helpers {
  private readonly texts = new Map<string, string>();

  /** The name of a helper for values of so many lanes. */
  use(name: string, lanes = 1): string {
    const helper = helpers[name]!;
    const wide = lanes > 1 ? `${name}4` : name;
    if (this.texts.has(wide)) return wide;
    if (helper.scalar === true && lanes > 1) {
      this.use(name);
      const parameters = helper.text
        .match(/\(([^)]*)\) -> /)![1]!
        .split(", ")
        .map((p) => p.split(":")[0]!);
      const list = parameters.map((p) => `${p}: vec4f`).join(", ");
      const call = (c: string): string => `${name}(${parameters.map((p) => `${p}.${c}`).join(", ")})`;
      const calls = ["x", "y", "z", "w"].map(call).join(", ");
      this.texts.set(wide, `fn ${wide}(${list}) -> vec4f {\n  return vec4f(${calls});\n}`);
      return wide;
    }
    for (const need of helper.needs ?? []) this.use(need, lanes);
    this.texts.set(wide, lanes > 1 ? widen(helper.text) : narrow(helper.text));
    return wide;
  }

  /** Adds a function made elsewhere. `text` is asked for once, and before it is there may ask for others. */
  add(name: string, text: () => string): string {
    if (!this.texts.has(name)) {
      const made = text();
      this.texts.set(name, made);
    }
    return name;
  }

  has(name: string): boolean {
    return this.texts.has(name) || this.texts.has(`${name}4`);
  }

  get list(): readonly string[] {
    return [...this.texts.values()];
  }
}

const kinds = { F: ["f32", "vec4f"], I: ["i32", "vec4i"], U: ["u32", "vec4u"], B: ["bool", "vec4<bool>"] } as const;
const types = (text: string, form: 0 | 1): string =>
  text.replace(/\b[FIUB]\b/g, (kind) => kinds[kind as keyof typeof kinds][form]);
const narrow = (text: string): string => types(text, 0);
/** Also calls the wide forms of other helpers. */
const widen = (text: string): string =>
  types(text, 1).replace(/\b(\w+)\(/g, (call, name: string) => (isHelper(name) ? `${name}4(` : call));
