import type { Price } from './price.ts';

/** What is sold. */
export type Category = 'llm' | 'image' | 'audio' | 'embedding' | 'multimodal';

export const CATEGORIES: readonly Category[] = ['llm', 'image', 'audio', 'embedding', 'multimodal'];

export interface Model {
  /** The canonical repository id, case-sensitive: `zai-org/GLM-4.7-Flash`. Answers always carry this name. */
  readonly id: string;
  /** The short lower-case name that resolves too: `glm-4.7-flash`. */
  readonly slug: string;
  readonly aliases: readonly string[];
  readonly name: string;
  readonly category: Category;
  /** Tokens of prompt and answer together; null where the notion does not apply. */
  readonly contextTokens: number | null;
  /** The longest answer in tokens; null where the notion does not apply. */
  readonly maxOutputTokens: number | null;
  readonly minVramGb: number;
  readonly active: boolean;
  /** `free`, `standard` or `premium`: which plans may call it. */
  readonly tier?: string;
  /** The price in force, with the id of its version in the history. */
  readonly price: Price;
  /** A version on trial, by the hash of its weights, and the share of requests that it leads (0 to 1). */
  readonly canary: Canary | null;
  /** What the operator pins it to, by the names of `wire/requirements.ts`; absent: to nothing. */
  readonly requirements?: Readonly<Record<string, string | number>> | undefined;
  /** The id of the smaller model that may answer in its place while it is in trouble; absent: none may. */
  readonly standIn?: string | undefined;
}

export interface Canary {
  readonly version: string;
  readonly share: number;
}
