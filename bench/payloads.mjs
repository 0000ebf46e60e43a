// What is asked and what is answered, made once. The HTTP upstream and the Swan agent double answer from the same bytes, so
// that making a reply costs the same small constant behind every target.
//
// How an answer comes is written into the prompt, where every gateway must leave it alone:
//   (nothing)                       unstreamed: one completion of about 1 kB; streamed: 62 tokens at once
//   bench pace=5 tokens=62          one event at once, then one every 5 ms, 62 tokens in all
//   bench pace=5 tokens=400 tag=0007   as above, and the upstream keeps a diary under that tag (for hang-ups)
// The rehearsal backend of our own agent, which plays the upstream itself, is told the same in the field `rehearsal`.

const PROSE = 'the quick brown fox jumps over a lazy dog while seven swans glide past '.repeat(12);

/** What the backend calls the model. Not what the consumer asked for: somebody on the way has to say it right. */
const SERVED_AS = 'bench-backend';
const PROMPT_TOKENS = 200;

/** Tokens in a stream of the ordinary length; the finish and the usage come as two further events. */
export const TOKENS = 62;

const usage = (tokens) => ({
  prompt_tokens: PROMPT_TOKENS,
  completion_tokens: tokens,
  total_tokens: PROMPT_TOKENS + tokens,
});

/** The unstreamed answer, as JSON text. */
export const COMPLETION = JSON.stringify({
  id: 'chatcmpl-bench0001',
  object: 'chat.completion',
  created: 1700000000,
  model: SERVED_AS,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: PROSE.slice(0, 760) },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: usage(TOKENS),
  system_fingerprint: null,
});

const chunk = (choices, more) =>
  JSON.stringify({
    id: 'chatcmpl-bench0001',
    object: 'chat.completion.chunk',
    created: 1700000000,
    model: SERVED_AS,
    choices,
    ...more,
  });
const choice = (delta, finish) => [{ index: 0, delta, logprobs: null, finish_reason: finish }];

/** Chunks that carry a token each, as JSON text; a longer stream begins again at the first. */
export const TOKEN_CHUNKS = Array.from({ length: TOKENS }, (_, i) =>
  chunk(choice({ content: ` tok${i}` }, null)),
);
export const FINISH_CHUNK = chunk(choice({}, 'stop'));

/** The chunk that OpenAI's API sends last under `stream_options.include_usage`. */
export const usageChunk = (tokens) => chunk([], { usage: usage(tokens) });

/** Reads the order that a prompt holds (see above), out of a Buffer or a string. */
export function orderIn(text) {
  const at = text.indexOf('bench pace=');
  if (at >= 0) {
    const words = typeof text === 'string' ? text.slice(at, at + 64) : text.latin1Slice(at, at + 64);
    const order = /^bench pace=(\d+) tokens=(\d+)(?: tag=(\d+))?/.exec(words);
    if (order) return { paceMs: Number(order[1]), tokens: Number(order[2]), tag: order[3] ?? null };
  }
  return { paceMs: 0, tokens: TOKENS, tag: null };
}

export const EMBEDDING_MODEL = 'BAAI/bge-m3';
export const INPUTS = 32;
/** Numbers in a vector, as bge-m3 makes them. */
export const DIMENSIONS = 1024;

/** Vectors of length 1 that are the same in every run, in 32-bit floats as models compute them. */
const VECTORS = Array.from({ length: INPUTS }, (_, vector) => {
  let state = vector + 1;
  const numbers = Float32Array.from({ length: DIMENSIONS }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  const length = Math.hypot(...numbers);
  return numbers.map((each) => each / length);
});
const inBase64 = (vector) => Buffer.from(vector.buffer).toString('base64'); // the machines we know put the lowest byte first

const embeddingsIn = (write) =>
  JSON.stringify({
    object: 'list',
    data: VECTORS.map((vector, index) => ({ object: 'embedding', index, embedding: write(vector) })),
    model: SERVED_AS,
    usage: { prompt_tokens: PROMPT_TOKENS, total_tokens: PROMPT_TOKENS },
  });

/** The vectors as JSON text in either writing: 175 kB of base64, 690 kB of numbers. */
export const EMBEDDINGS = { base64: embeddingsIn(inBase64), float: embeddingsIn((vector) => [...vector]) };

/** In which writing a request wants its vectors, out of a Buffer or a string. */
export const writingIn = (text) => (text.includes('"encoding_format":"base64"') ? 'base64' : 'float');

/** A request for embeddings of texts of about 60 tokens each. */
export function embeddingsBody({ writing }) {
  const input = Array.from({ length: INPUTS }, (_, i) => `${i} ${PROSE.slice(i, i + 250)}`);
  return JSON.stringify({ model: EMBEDDING_MODEL, input, encoding_format: writing });
}

/** A message may hold 100,000 characters (a limit of the market's API), so that a long prompt comes in several. */
const MESSAGE_CHARACTERS = 80_000;

/**
 * A request body. With `paceMs` the answer is streamed at that pace; a tagged body holds `tag=@@@@`, to
 * be filled in with four digits by the client that sends it.
 */
export function requestBody({
  model,
  stream = false,
  paceMs = 0,
  tokens = TOKENS,
  tagged = false,
  promptBytes = 800,
}) {
  const order = paceMs > 0 ? ` bench pace=${paceMs} tokens=${tokens}${tagged ? ' tag=@@@@' : ''} .` : '';
  const messages = [{ role: 'system', content: `You are a terse assistant.${order}` }];
  for (let left = promptBytes; left > 0; left -= MESSAGE_CHARACTERS) {
    const length = Math.min(left, MESSAGE_CHARACTERS);
    messages.push({ role: 'user', content: PROSE.repeat(Math.ceil(length / PROSE.length)).slice(0, length) });
  }
  return JSON.stringify({
    model,
    stream,
    ...(stream ? { stream_options: { include_usage: true } } : {}),
    max_tokens: Math.max(64, tokens),
    temperature: 0.7,
    rehearsal: `tokens=${tokens},prompt=${PROMPT_TOKENS}${paceMs > 0 ? `,paced=${paceMs}` : ''}`,
    messages,
  });
}
