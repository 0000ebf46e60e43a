/** Bytes as the chain's programs write them: `0x` and lower-case hexadecimal digits, two for each byte. */
export type Hex = `0x${string}`;

/**
 * The address of an account or contract, always in lower case here: so equal addresses are equal texts, and their order as
 * texts is their order as numbers.
 */
export type Address = Hex;

export const ZERO_ADDRESS: Address = `0x${'0'.repeat(40)}`;

/** Reads an address in any spelling of its letters; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  return /^0x[0-9a-fA-F]{40}$/.test(text) ? (text.toLowerCase() as Address) : undefined;
}
