// Counts the texts and conversations of test/vectors/nano-tokens.json with real llama.cpp and writes the counts back, so
// that the recount's everyday test needs no model. Run it when the model or its tokenizer changes, or to check the file:
//
//     node scripts/nano-vectors.mjs
//
// `texts` are [text, tokens]. `chats` are [messages, tokens consumed, answer, tokens generated, stop reason] as the token
// meter of node-llama-cpp's LlamaChat saw them, greedy, at most 40 tokens.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ChatMLChatWrapper, getLlama, LlamaChat } from 'node-llama-cpp';

const root = new URL('../', import.meta.url);
const file = new URL('test/vectors/nano-tokens.json', root);
/** @type {{ texts: [string, number][], chats: [{ role: 'system' | 'user' | 'assistant', content: string }[]][] }} */
const vectors = JSON.parse(readFileSync(file, 'utf8'));

const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true });
const model = await llama.loadModel({
  modelPath: fileURLToPath(new URL('models/cygnet-nano-q8_0.gguf', root)),
});
const context = await model.createContext({ contextSize: 512, sequences: 1, threads: 1 });
const sequence = context.getSequence();

const texts = vectors.texts.map(([text]) => [text, model.tokenize(text, false).length]);

const chats = [];
for (const [messages] of vectors.chats) {
  const chat = new LlamaChat({ contextSequence: sequence, chatWrapper: new ChatMLChatWrapper() });
  const history = messages.map(({ role, content }) =>
    role === 'assistant'
      ? { type: /** @type {const} */ ('model'), response: [content] }
      : { type: role, text: content },
  );
  const before = sequence.tokenMeter.getState();
  const { response, metadata } = await chat.generateResponse([...history, { type: 'model', response: [] }], {
    temperature: 0,
    maxTokens: 40,
  });
  const used = sequence.tokenMeter.diff(before);
  chats.push([messages, used.usedInputTokens, response, used.usedOutputTokens, metadata.stopReason]);
  chat.dispose({ disposeSequence: false });
  await sequence.clearHistory();
}

/** @param {unknown[]} rows */
const lines = (rows) => `[\n${rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')}\n  ]`;
writeFileSync(file, `{\n  "texts": ${lines(texts)},\n  "chats": ${lines(chats)}\n}\n`);
await llama.dispose();
