// How the floors count exp, tanh and their like.

/**
 * Operations of one transcendental in f32: argument reduction by two fused steps, a polynomial of degree six, and the
 * scaling, with a fused multiply-add as two.
 */
export const flopsPerTranscendental = 20;
