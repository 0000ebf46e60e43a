import { describe, expect, it } from 'vitest';
import { News } from './news.ts';
import type { AgentState } from './run.ts';
import { Screen } from './screen.ts';
import { TokenRates, type View, viewLines } from './view.ts';

const model = (
  id: string,
  more: Partial<AgentState['models'][number]> = {},
): AgentState['models'][number] => ({
  id,
  source: 'http://h',
  state: 'ready',
  reasons: [],
  engine: undefined,
  contextLength: undefined,
  concurrency: 8,
  requestsPerMinute: undefined,
  active: 0,
  waiting: 0,
  total: 0,
  failed: 0,
  refused: 0,
  tokensIn: 0,
  tokensOut: 0,
  tookMs: 0,
  ...more,
});
const view = (more: Partial<AgentState> = {}, about: Partial<View> = {}): View => ({
  state: {
    nodeId: '04abcdef0123456789',
    name: 'box',
    version: '1.2.3',
    startedAt: 0,
    draining: false,
    hubs: [{ url: 'wss://hub.example', registered: true, accepted: [], refusal: undefined }],
    hardware: { gpu_model: 'NVIDIA GeForce RTX 4090', vram_gb: 23, gpu_count: 2 },
    processor: { model: 'EPYC', cores: 16, memoryGb: 64 },
    gpu: { gpu_utilization: 71.4, memory_utilization: 88, gpu_0_temperature_c: 64 },
    limits: { concurrency: 16, requestsPerMinute: undefined },
    models: [
      model('Qwen/Qwen3-8B', { active: 3, total: 512, failed: 1 }),
      model('BAAI/bge-m3', { state: 'degraded' }),
    ],
    active: 3,
    waiting: 0,
    total: 512,
    failed: 1,
    latencyMs: 1,
    tokensPerSecond: 1,
    requestsPerMinute: 1,
    ...more,
  },
  tokensPerSecond: new Map([['Qwen/Qwen3-8B', 142.4]]),
  market: { url: 'https://market.example', standing: 'Active and earning.' },
  earned: { today: 1.234, month: 20.5 },
  news: [],
  wallMs: 93_784_000,
  ...about,
});
const size = { columns: 100, rows: 30 };

describe('the view of a running agent', () => {
  it('shows who it is, where it stands, what it does and what it earned', () => {
    expect(viewLines(view(), size)).toEqual([
      'Cygnet agent 1.2.3 · box · up 1 d 2 h',
      'Hub     wss://hub.example  registered',
      'Market  https://market.example  Active and earning.',
      'Earned  $1.23 today, $20.50 in 30 days',
      'GPU     2 × NVIDIA GeForce RTX 4090, 23 GiB  71 % busy, 88 % of memory, 64 °C',
      '',
      'MODEL          STATE     RUNNING  WAITING  TOKENS/S  REQUESTS  FAILED',
      'Qwen/Qwen3-8B  ready         3/8        0       142       512       1',
      'BAAI/bge-m3    degraded      0/8        0       0.0         0       0',
      'all                         3/16        0       142       512       1',
      '',
      'Ctrl-C finishes what runs and leaves.',
    ]);
  });

  it('shows the processor where there is no GPU', () => {
    expect(viewLines(view({ hardware: undefined }), size)).toContain(
      'CPU     EPYC, 16 cores, 64 GiB; no GPU found',
    );
  });

  it('says why a model is not offered, and why a hub refuses', () => {
    const hubs = [{ url: 'wss://h', registered: false, accepted: [], refusal: 'This key is not known.' }];
    const text = viewLines(
      view({
        hubs,
        models: [
          model('a', { state: 'not as pinned', reasons: ['The engine is ollama, and vllm is pinned.'] }),
        ],
      }),
      size,
    ).join('\n');
    expect(text).toContain('wss://h  refused: This key is not known.');
    expect(text).toContain('a: The engine is ollama, and vllm is pinned.');
  });

  it('is never wider or longer than the terminal, and shows the latest news that fit', () => {
    const news = Array.from({ length: 50 }, (_, i) => `news ${i} ${'x'.repeat(200)}`);
    for (const small of [
      { columns: 20, rows: 5 },
      { columns: 60, rows: 18 },
      { columns: 1, rows: 1 },
    ]) {
      const lines = viewLines(view({}, { news }), small);
      expect(lines.length).toBeLessThanOrEqual(small.rows);
      for (const line of lines) expect(Array.from(line).length).toBeLessThanOrEqual(small.columns);
    }
    expect(viewLines(view({}, { news }), { columns: 60, rows: 18 }).join('\n')).toContain('news 49');
  });

  it('lets nothing from a hub move the cursor', () => {
    const hubs = [{ url: 'wss://h', registered: false, accepted: [], refusal: '\u001B[2Jgone\u0007' }];
    const lines = viewLines(view({ hubs }, { news: ['\u001B]0;title\u0007'] }), size).join('');
    expect(lines).not.toMatch(/\p{Cc}/u);
  });

  it('counts tokens a second over the last looks', () => {
    const rates = new TokenRates();
    const look = (tokensOut: number, atMs: number) =>
      rates.look({ models: [model('a', { tokensOut })] }, atMs).get('a');
    expect([look(0, 0), look(100, 1_000), look(300, 2_000)]).toEqual([0, 100, 150]);
    for (let i = 3; i < 20; i++) look(300, i * 1_000);
    expect(look(300, 20_000)).toBe(0);
  });
});

describe('the news of a log', () => {
  it('are its warnings, as lines for people, and every line is passed on', () => {
    const passed: string[] = [];
    const news = new News({ write: (line) => passed.push(line) });
    for (const line of [
      '{"level":30,"time":0,"msg":"nothing much"}\n',
      '{"level":40,"time":3723000,"hub":"ws://h","why":"gone\\u001b[2J","msg":"the line to the hub is lost"}\n',
      '{"level":30,"time":0,"text":"All well.","msg":"notice from the hub"}\n',
      'no JSON\n',
    ])
      news.write(line);
    expect(passed).toHaveLength(4);
    expect(news.lines).toEqual([
      '01:02:03  the line to the hub is lost  ws://h  gone [2J',
      '00:00:00  notice from the hub  All well.',
    ]);
  });
});

describe('the screen', () => {
  it('gives the terminal back as it was', () => {
    let written = '';
    const screen = new Screen({
      write: (text: unknown) => (written += String(text)) !== '',
      columns: 0,
      rows: 0,
    });
    expect(screen.size).toEqual({ columns: 80, rows: 24 });
    screen.close();
    expect(written).toBe('');
    screen.draw(['a', 'b']);
    screen.draw(['c']);
    screen.close();
    screen.close();
    expect(written.match(/\?1049h/g)).toHaveLength(1);
    expect(written.endsWith('\u001B[?25h\u001B[?1049l')).toBe(true);
  });
});
