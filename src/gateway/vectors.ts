/**
 * Embeddings in either of OpenAI's two writings: a list of numbers, or the base64 of 32-bit floats, the lowest byte first.
 * OpenAI's own client asks for base64 and decodes whatever comes, so a list in its place would become wrong numbers without
 * a word. Both ways are exact for the 32-bit floats that models compute with.
 */
export type Vector = readonly number[] | string;

/** The vector as base64. A number that is no 32-bit float is rounded to the nearest. */
export function asBase64(vector: Vector): string {
  if (typeof vector === 'string') return vector;
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i] as number, i * 4);
  return bytes.toString('base64');
}

/** The vector as a list of numbers. `vector`, where it is a text, is the base64 of whole floats. */
export function asNumbers(vector: Vector): readonly number[] {
  if (typeof vector !== 'string') return vector;
  const bytes = Buffer.from(vector, 'base64');
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) numbers.push(bytes.readFloatLE(at));
  return numbers;
}
