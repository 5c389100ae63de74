/** The version that files written by this library name. */
export const version = "0.0.0";
