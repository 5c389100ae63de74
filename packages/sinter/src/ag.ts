/** What transformed sources call. Not written by hand: see the source transform. */
export * from "@sinter/tracer/ag";
