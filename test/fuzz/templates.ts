/** Valid requests of every kind, with as many of their fields as there are: what fuzzing bends. */

const TOOL_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['a', 'b'] } },
  required: ['city'],
};
const PNG = 'iVBORw0KGgo=';

export const BODIES = {
  chat: [
    {
      model: 'glm-4.7-flash:floor',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello, 世界 💥', name: 'ann' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: 'sun' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
          ],
        },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 64,
      temperature: 0.5,
      top_p: 0.9,
      n: 2,
      stop: ['\n', 'END'],
      presence_penalty: 1,
      frequency_penalty: -1,
      tools: [{ type: 'function', function: { name: 'f', parameters: TOOL_SCHEMA } }],
      response_format: { type: 'json_object' },
      seed: 7,
      user: 'ann',
      metadata: { a: 'b' },
      store: false,
      session_id: 's',
      models: ['other/model', 'third'],
      route: 'fallback',
      provider: {
        order: ['a'],
        only: ['a', 'b'],
        ignore: ['c'],
        allow_fallbacks: true,
        require_parameters: true,
        quantizations: ['fp8'],
        sort: { by: 'price' },
        max_price: { prompt: 1, completion: '2.5', request: 0.01 },
        preferred_min_throughput: { p50: 10 },
        preferred_max_latency: 2,
        data_collection: 'deny',
        zdr: false,
      },
    },
    { model: 'm', messages: [{ role: 'user', content: 'Hi' }] },
  ],
  text: [
    {
      model: 'm',
      prompt: ['one', 'two'],
      max_tokens: 5,
      n: 2,
      best_of: 3,
      stream: true,
      stream_options: { include_usage: true },
      stop: '\n',
      echo: true,
      suffix: '.',
      logprobs: 2,
      seed: 1,
      user: 'ann',
    },
    { model: 'm', prompt: [[1, 2, 3], [4]] },
    { model: 'm', prompt: 'Once' },
  ],
  embeddings: [
    { model: 'm', input: ['a', 'b'], encoding_format: 'base64', dimensions: 8, user: 'ann' },
    { model: 'm', input: [[1, 2], [3]] },
    { model: 'm', input: 'a' },
  ],
  images: [{ model: 'm', prompt: 'a cat', n: 2, size: '64x64', response_format: 'b64_json', user: 'ann' }],
  messages: [
    {
      model: 'm',
      max_tokens: 10,
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Hi' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
            { type: 'document', title: 't', source: { type: 'text', data: 'd' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'tool_use', id: 't', name: 'f', input: { city: 'a' } },
          ],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 't',
              content: [{ type: 'text', text: 'sun' }],
              is_error: false,
            },
          ],
        },
      ],
      stop_sequences: ['x'],
      stream: true,
      temperature: 0.1,
      top_k: 3,
      tools: [{ name: 'f', description: 'd', input_schema: TOOL_SCHEMA }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      thinking: { type: 'enabled', budget_tokens: 5 },
      metadata: { user_id: 'ann' },
    },
    { model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] },
  ],
  responses: [
    {
      model: 'm',
      instructions: 'Be brief.',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Hi' },
            { type: 'input_image', image_url: 'https://x/y' },
          ],
        },
        { type: 'reasoning', id: 'r', summary: [] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'sun' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'So' }] },
      ],
      max_output_tokens: 9,
      stream: true,
      tools: [{ type: 'function', name: 'f', parameters: TOOL_SCHEMA, strict: true }],
      tool_choice: { type: 'function', name: 'f' },
      text: { format: { type: 'json_schema', name: 's', schema: TOOL_SCHEMA } },
      reasoning: { effort: 'low' },
      metadata: { a: 'b' },
      store: true,
      previous_response_id: null,
    },
    { model: 'm', input: 'Hi' },
  ],
} as const;

/** What a model's server answers: chunks and whole answers of a chat. */
export const CHATS = [
  {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [
      { index: 0, delta: { role: 'assistant', content: 'x', reasoning_content: 'hm' }, finish_reason: null },
    ],
  },
  {
    id: 'chatcmpl-1',
    created: 1,
    model: 'm',
    choices: [
      {
        index: 0,
        delta: { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{"a"' } }] },
        finish_reason: 'tool_calls',
      },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  },
  {
    id: 'chatcmpl-1',
    created: 1,
    model: 'm',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'x',
          tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }],
        },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  },
] as const;

/** Everything that any call of the console takes. */
export const CONSOLE = [
  {
    email: 'ann@example.org',
    password: 'correct horse',
    present_password: 'correct horse',
    new_password: 'battery staple',
    display_name: 'Ann',
    name: 'Ann',
    wallet_address: `0x${'1'.repeat(40)}`,
    worker_address: '',
    owner_address: `0x${'2'.repeat(40)}`,
    beneficiary_address: null,
    description: 'd',
    provider_name: 'p',
    hardware_summary: 'h',
    contact_email: 'ann@example.org',
    models: ['m'],
    categories: ['llm'],
    cap_day_usd: '1.5',
    cap_month_usd: 2,
    addresses: ['192.0.2.0/24'],
    requests_per_minute: 5,
    expires_at: '2030-01-01T00:00:00Z',
    overlap_hours: 1,
    state: 'active',
    reason: 'r',
    page: '1',
    page_size: 2,
    limit: '5',
    duration: '24h',
    bucket: '1h',
    category: 'llm',
  },
  {
    name: 'Mine',
    url: 'https://api.example.com/v1',
    api_key: 'sk-0',
    capacity: 3,
    models: [
      { model: 'm', upstream_name: 'x', ask: { input_price: '0.000001', output_price: 0.5 } },
      { model: 'n', operations: ['images/generations'], ask: { request_price: '0.01', minute_price: 1 } },
    ],
    model: 'm',
    ask: { input_price: 1, output_price: '2' },
  },
] as const;
