// Proves the install: the model runtime is there as a prebuilt binary (nothing was compiled on this machine, nothing is
// downloaded), and the model we ship runs on it and computes.

import { fileURLToPath } from 'node:url';
import { ChatMLChatWrapper, getLlama, LlamaChat } from 'node-llama-cpp';
import { expect, test } from 'vitest';

test('the prebuilt runtime runs the shipped model, and it can add', async () => {
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true });
  expect(llama.buildType).toBe('prebuilt');

  const model = await llama.loadModel({
    modelPath: fileURLToPath(new URL('../models/cygnet-nano-q8_0.gguf', import.meta.url)),
  });
  // One thread: with more, the threads of so small a model only wait for each other.
  const context = await model.createContext({ contextSize: 512, threads: 1 });
  const chat = new LlamaChat({
    contextSequence: context.getSequence(),
    chatWrapper: new ChatMLChatWrapper(),
  });

  const { response, metadata } = await chat.generateResponse(
    [
      { type: 'user', text: 'What is 17 + 25?' },
      { type: 'model', response: [] },
    ],
    { temperature: 0, seed: 1, maxTokens: 40 },
  );
  expect(response).toContain('42');
  expect(metadata.stopReason).toBe('eogToken');
  await llama.dispose();
});
