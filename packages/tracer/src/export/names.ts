/** Names in a bundle: distinct, and the same for the same program whatever happened in the process before. */

/** Gives each wanted name as it is, or with the first number behind it that makes it new. */
export class Names {
  private readonly taken: Set<string>;

  constructor(taken: Iterable<string> = []) {
    this.taken = new Set(taken);
  }

  take(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.taken.has(name); i++) name = `${wanted}_${i}`;
    this.taken.add(name);
    return name;
  }
}

export function isIdentifier(text: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(text);
}

/** A path of attributes as an identifier: `encoder.layers.0` becomes `encoder_layers_0`. */
export function identifier(path: string): string {
  const name = path.replace(/[^\w$]+/g, "_");
  return isIdentifier(name) ? name : `_${name}`;
}
