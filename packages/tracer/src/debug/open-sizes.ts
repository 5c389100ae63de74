/** What debug and verify cannot look into. */
import { ShapeError } from "../errors.ts";

/** A program that debug or verify asks to look into has sizes that are not known. */
export class OpenSizesError extends ShapeError {
  constructor(name: string, signature: string) {
    super(
      `${name}: debug and verify look into programs of known sizes, but ${signature} leaves some open: say all of them`,
    );
  }
}
