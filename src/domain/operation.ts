/**
 * What may be asked of a model: the path of OpenAI's API behind `/v1/`, which is also the word that agents are sent.
 */
export const OPERATIONS = [
  'chat/completions',
  'completions',
  'embeddings',
  'images/generations',
  'audio/transcriptions',
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** Some of the operations, as bits: routing compares two sets for every candidate of every request. */
export type OperationSet = number;

/** The set of `operations`; words that are none are passed over. */
export function operationSet(operations: Iterable<string>): OperationSet {
  let set = 0;
  for (const operation of operations) {
    const index = (OPERATIONS as readonly string[]).indexOf(operation);
    if (index >= 0) set |= 1 << index;
  }
  return set;
}

export const CHAT_ONLY: OperationSet = operationSet(['chat/completions']);
