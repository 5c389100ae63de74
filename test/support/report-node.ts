// Says which engine the tests run on: results that depend on relaxed SIMD or on V8 flags can only be read with it.
export function setup(): void {
  console.log(`Node ${process.version}, V8 ${process.versions.v8}, ${process.platform} ${process.arch}`);
}
