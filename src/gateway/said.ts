/**
 * What an answer said, read back from the bytes that went to the consumer. Done after the answer, off the hot path, to
 * count its tokens.
 */
export interface Said {
  /** The text of each choice. */
  readonly texts: readonly string[];
  /** How many choices ended by themselves: each may have cost one token that nobody sees. */
  readonly stopped: number;
  /** Every choice came to an end. */
  readonly complete: boolean;
  /** There was more than text (calls of tools, reasoning kept apart), so its tokens cannot be counted from here. */
  readonly opaque: boolean;
}

/** What a choice of either form may carry besides its text. Present and not empty, it makes the answer opaque. */
const BESIDES_TEXT = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'refusal', 'audio'];

interface Choice {
  text: string;
  finishReason: string | undefined;
}

/** Reads server-sent events of a streamed answer. Bytes that are no events say nothing; nothing throws. */
export function saidByEvents(bytes: Uint8Array): Said {
  const choices = new Map<unknown, Choice>();
  let opaque = false;
  for (const line of text(bytes).split('\n')) {
    if (!line.startsWith('data:')) continue;
    for (const choice of choicesOf(line.slice(5))) {
      const one = choices.get(choice['index']) ?? { text: '', finishReason: undefined };
      choices.set(choice['index'], one);
      opaque = add(one, choice, choice['delta']) || opaque;
    }
  }
  return sum([...choices.values()], opaque);
}

/** Reads the body of an unstreamed answer. What is no completion says nothing; nothing throws. */
export function saidByCompletion(bytes: Uint8Array): Said {
  let opaque = false;
  const choices = choicesOf(text(bytes)).map((choice) => {
    const one: Choice = { text: '', finishReason: undefined };
    opaque = add(one, choice, choice['message']) || opaque;
    return one;
  });
  return sum(choices, opaque);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function choicesOf(json: string): Record<string, unknown>[] {
  try {
    const choices: unknown = JSON.parse(json)?.choices;
    return Array.isArray(choices)
      ? choices.filter((choice) => typeof choice === 'object' && choice !== null)
      : [];
  } catch {
    return [];
  }
}

/** Adds one choice's part of an event or completion; true when it holds more than text. */
function add(one: Choice, choice: Record<string, unknown>, said: unknown): boolean {
  if (typeof choice['finish_reason'] === 'string') one.finishReason = choice['finish_reason'];
  if (typeof choice['text'] === 'string') one.text += choice['text'];
  if (typeof said !== 'object' || said === null) return false;
  const fields = said as Record<string, unknown>;
  if (typeof fields['content'] === 'string') one.text += fields['content'];
  return BESIDES_TEXT.some((name) => {
    const value = fields[name];
    return Array.isArray(value) ? value.length > 0 : Boolean(value);
  });
}

function sum(choices: readonly Choice[], opaque: boolean): Said {
  return {
    texts: choices.map((choice) => choice.text),
    stopped: choices.filter((choice) => choice.finishReason === 'stop').length,
    complete: choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined),
    opaque,
  };
}
