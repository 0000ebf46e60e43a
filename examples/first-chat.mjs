// The official OpenAI client at this market: only the address and the key differ from what you have today.
//
//     CYGNET_KEY=sk-swan-… node examples/first-chat.mjs

import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env.CYGNET_URL ?? 'http://127.0.0.1:8100/v1',
  apiKey: process.env.CYGNET_KEY,
});

const stream = await client.chat.completions.create({
  model: 'cygnet-nano',
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? '');
  if (chunk.usage)
    console.log(`\n${chunk.usage.prompt_tokens} tokens in, ${chunk.usage.completion_tokens} out`);
}
