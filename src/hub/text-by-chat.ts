import { areChoices, isFields } from './completion.ts';

/**
 * `/v1/completions` through an agent that only chats: the prompt becomes one message of the user, and what comes back is
 * shown as OpenAI shows a text completion. The model sees its chat template around the prompt; there is no other way, as
 * a Swan agent would take a body with a `prompt` for an image request (Swan contract 1.10).
 *
 * Only for bodies with a single prompt in words: routing sends the others to agents that know the operation.
 */

type Fields = Record<string, unknown>;

/** The chat request for the body of a text completion. */
export function chatBody(body: Buffer): Buffer {
  const { prompt, logprobs, ...rest } = JSON.parse(body.toString()) as Fields;
  const text = Array.isArray(prompt) ? prompt[0] : prompt;
  return Buffer.from(
    JSON.stringify({
      ...rest,
      ...(typeof logprobs === 'number' && { logprobs: true, top_logprobs: logprobs }),
      messages: [{ role: 'user', content: text }],
    }),
  );
}

/** A chat completion as a text completion; undefined when it is none. */
export function textAnswer(response: Fields): Fields | undefined {
  const { choices } = response;
  if (!areChoices(choices, 1)) return undefined;
  const texts: Fields[] = [];
  for (const choice of choices) {
    const { message } = choice;
    if (!isFields(message)) return undefined;
    texts.push(textChoice(choice, message));
  }
  return { ...response, choices: texts };
}

/** A chunk of a chat as a chunk of a text completion; as it is, when it is none. */
export function textChunk(chunk: Fields): Fields {
  const { choices } = chunk;
  if (!areChoices(choices, 1)) return chunk;
  return {
    ...chunk,
    choices: choices.map((choice) => textChoice(choice, isFields(choice['delta']) ? choice['delta'] : {})),
  };
}

function textChoice(choice: Fields, said: Fields): Fields {
  const { index, finish_reason: finish } = choice;
  return {
    index: typeof index === 'number' ? index : 0,
    text: typeof said['content'] === 'string' ? said['content'] : '',
    logprobs: textLogprobs(choice['logprobs']),
    finish_reason: typeof finish === 'string' ? finish : null,
  };
}

/** A chat's log probabilities, one object per token, as the four parallel lists of a text completion. */
function textLogprobs(logprobs: unknown): Fields | null {
  const content = isFields(logprobs) ? logprobs['content'] : undefined;
  if (!Array.isArray(content)) return null;
  const tokens: unknown[] = [];
  const values: unknown[] = [];
  const top: Fields[] = [];
  const offsets: number[] = [];
  let offset = 0;
  for (const one of content) {
    if (!isFields(one) || typeof one['token'] !== 'string') return null;
    tokens.push(one['token']);
    values.push(one['logprob']);
    const alternatives: unknown[] = Array.isArray(one['top_logprobs']) ? one['top_logprobs'] : [];
    const named = alternatives
      .filter((each) => isFields(each))
      .map((each) => [each['token'], each['logprob']]);
    top.push(Object.fromEntries(named));
    offsets.push(offset);
    offset += one['token'].length;
  }
  return { tokens, token_logprobs: values, top_logprobs: top, text_offset: offsets };
}
