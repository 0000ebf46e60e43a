import type { MarketModel } from '../../api.ts';
import type { Sample } from '../../parts/code.tsx';

/** A call of a model with curl, Python and TypeScript, against this very market. Names of keys are environment variables. */
export function samplesFor(model: Pick<MarketModel, 'id' | 'category'>): Sample[] {
  const base = `${location.origin}/v1`;
  const { path, body, python, script } = CALLS[model.category](model.id);
  const curl =
    body === undefined
      ? `curl ${base}/${path} \\\n  -H "Authorization: Bearer $CYGNET_API_KEY" \\\n  -F model=${model.id} \\\n  -F file=@recording.wav`
      : `curl ${base}/${path} \\\n  -H "Authorization: Bearer $CYGNET_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${body}'`;
  return [
    { name: 'curl', code: curl },
    {
      name: 'Python',
      code: `import os\nfrom openai import OpenAI\n\nclient = OpenAI(\n    base_url="${base}",\n    api_key=os.environ["CYGNET_API_KEY"],\n)\n${python}`,
    },
    {
      name: 'TypeScript',
      code: `import OpenAI from 'openai';\n\nconst client = new OpenAI({\n  baseURL: '${base}',\n  apiKey: process.env.CYGNET_API_KEY,\n});\n${script}`,
    },
  ];
}

interface Call {
  readonly path: string;
  readonly body: string | undefined;
  readonly python: string;
  readonly script: string;
}

function chat(id: string): Call {
  return {
    path: 'chat/completions',
    body: `{\n    "model": "${id}",\n    "stream": true,\n    "messages": [{"role": "user", "content": "Hello"}]\n  }`,
    python: `stream = client.chat.completions.create(\n    model="${id}",\n    messages=[{"role": "user", "content": "Hello"}],\n    stream=True,\n)\nfor chunk in stream:\n    print(chunk.choices[0].delta.content or "", end="")`,
    script: `const stream = await client.chat.completions.create({\n  model: '${id}',\n  messages: [{ role: 'user', content: 'Hello' }],\n  stream: true,\n});\nfor await (const chunk of stream) {\n  process.stdout.write(chunk.choices[0]?.delta.content ?? '');\n}`,
  };
}

const CALLS: Readonly<Record<MarketModel['category'], (id: string) => Call>> = {
  llm: chat,
  multimodal: chat,
  embedding: (id) => ({
    path: 'embeddings',
    body: `{"model": "${id}", "input": "A swan on a lake"}`,
    python: `answer = client.embeddings.create(model="${id}", input="A swan on a lake")\nprint(len(answer.data[0].embedding))`,
    script: `const answer = await client.embeddings.create({\n  model: '${id}',\n  input: 'A swan on a lake',\n});\nconsole.log(answer.data[0].embedding.length);`,
  }),
  image: (id) => ({
    path: 'images/generations',
    body: `{"model": "${id}", "prompt": "A swan on a lake", "response_format": "b64_json"}`,
    python: `answer = client.images.generate(\n    model="${id}",\n    prompt="A swan on a lake",\n    response_format="b64_json",\n)`,
    script: `const answer = await client.images.generate({\n  model: '${id}',\n  prompt: 'A swan on a lake',\n  response_format: 'b64_json',\n});`,
  }),
  audio: (id) => ({
    path: 'audio/transcriptions',
    body: undefined,
    python: `answer = client.audio.transcriptions.create(\n    model="${id}",\n    file=open("recording.wav", "rb"),\n)\nprint(answer.text)`,
    script: `const answer = await client.audio.transcriptions.create({\n  model: '${id}',\n  file: await fetch('recording.wav'),\n});\nconsole.log(answer.text);`,
  }),
};
