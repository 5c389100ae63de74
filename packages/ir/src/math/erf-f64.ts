/** erf in f64, with the coefficients and ranges of fdlibm (s_erf.c). */
import { type MathBuilder, poly64, withSign64 } from "./builder.ts";
import { exp64 } from "./exp-f64.ts";

/** erf(x)/x - 1 in x^2, |x| < 0.84375. */
const PP = [
  -0.000023763016656650163, -0.005770270296489442, -0.02848174957559851, -0.3250421072470015, 0.12837916709551256,
];
const QQ = [
  -0.000003960228278775368, 0.00013249473800432164, 0.005081306281875766, 0.0650222499887673, 0.39791722395915535, 1,
];
/** erf(1 + s) - 0.845..., 0.84375 <= 1 + s < 1.25. */
const ERX = 0.8450629115104675;
const PA = [
  -0.002166375594868791, 0.035478304325618236, -0.11089469428239668, 0.31834661990116175, -0.3722078760357013,
  0.41485611868374833, -0.0023621185607526594,
];
const QA = [
  0.011984499846799107, 0.01363708391202905, 0.12617121980876164, 0.07182865441419627, 0.540397917702171,
  0.10642088040084423, 1,
];
/** log(x erfc(x)) + x^2 + 0.5625 in 1/x^2: x < 1/0.35, and beyond. */
const RA = [
  -9.814329344169145, -81.2874355063066, -184.60509290671104, -162.39666946257347, -62.375332450326006,
  -10.558626225323291, -0.6938585727071818, -0.009864944034847148,
];
const SA = [
  -0.0604244152148581, 6.570249770319282, 108.63500554177944, 429.00814002756783, 645.3872717332679, 434.56587747522923,
  137.65775414351904, 19.651271667439257, 1,
];
const RB = [
  0, -483.5191916086514, -1025.0951316110772, -637.5664433683896, -160.63638485582192, -17.757954917754752,
  -0.799283237680523, -0.0098649429247001,
];
const SB = [
  0, -22.44095244658582, 474.52854120695537, 2553.0504064331644, 3199.8582195085955, 1536.729586084437,
  325.7925129965739, 30.33806074348246, 1,
];

/** Horner's rule over coefficients chosen by a mask. */
function polySelected<E>(b: MathBuilder<E>, x: E, mask: E, p: readonly number[], q: readonly number[]): E {
  const [first, ...rest] = p.map((c, i) => b.select(mask, b.f64(c), b.f64(q[i] ?? 0)));
  return rest.reduce((sum, c) => b.fma(sum, x, c), first as E);
}

/**
 * erf(x): x + x R(x^2) below 0.84375; above, a rational function around 1, or 1 - e^(-x^2 - 0.5625 + R(1/x^2)) / x.
 * 15 operations, 1 of them a division or root, 88 more rarely; 1 ulp.
 */
export function erf64<E>(b: MathBuilder<E>, x: E): E {
  const z = b.mul(x, x);
  const small = b.fma(x, b.div(poly64(b, z, PP), poly64(b, z, QQ)), x);
  const a = b.abs(x);
  return b.rarely(b.ge(a, b.f64(0.84375)), small, () => {
    const s = b.sub(a, b.f64(1));
    const middle = b.add(b.f64(ERX), b.div(poly64(b, s, PA), poly64(b, s, QA)));
    const clamped = b.pmin(a, b.f64(6));
    const square = b.mul(clamped, clamped);
    const w = b.div(b.f64(1), square);
    const near = b.lt(a, b.f64(1 / 0.35));
    const bend = b.div(polySelected(b, w, near, RA, RB), polySelected(b, w, near, SA, SB));
    const tail = b.div(exp64(b, b.sub(bend, b.add(square, b.f64(0.5625)))), clamped);
    const large = b.select(b.lt(a, b.f64(1.25)), middle, b.sub(b.f64(1), tail));
    return b.select(b.lt(a, b.f64(0.84375)), small, withSign64(b, large, x));
  });
}
