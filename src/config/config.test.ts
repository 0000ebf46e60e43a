import path from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CATEGORIES } from '#domain/model.ts';
import { parseUsd } from '#domain/money.ts';
import { ConfigProblems, limitClassOf, readConfig } from './config.ts';
import { VARIABLES } from './env.ts';

const problemsOf = (source: Record<string, string>): readonly string[] => {
  try {
    readConfig(source);
  } catch (error) {
    if (error instanceof ConfigProblems) return error.problems;
    throw error;
  }
  return [];
};

describe('with nothing set', () => {
  const config = readConfig({});

  test('the documented defaults hold', () => {
    expect(config.gatewayPort).toBe(8100);
    expect(config.hubPort).toBe(8081);
    expect(config.host).toBe('127.0.0.1');
    expect(config.databaseUrl).toBeUndefined();
    expect(config.dataFolder).toBe(path.resolve('.cygnet'));
    expect(config.limits.requestsPerMinute).toEqual({ llm: 200, image: 60, embedding: 500, other: 200 });
    expect(config.money.exposureMax).toBe(parseUsd('5'));
    expect(config.embeddedAgent.modelPath).toMatch(/cygnet-nano-q8_0\.gguf$/);
  });

  test('nobody can change it afterwards, at any depth', () => {
    expect(() => Object.assign(config.limits.requestsPerMinute, { llm: 1 })).toThrow(TypeError);
  });
});

test('an empty variable counts as absent', () => {
  expect(readConfig({ CYGNET_GATEWAY_PORT: ' ', DATABASE_URL: '' }).gatewayPort).toBe(8100);
});

test('all errors are told at once, each with the bad value quoted', () => {
  const problems = problemsOf({
    CYGNET_GATEWAY_PORT: 'eighty',
    CYGNET_LLM_REQUESTS_PER_MINUTE: '-5',
    CYGNET_DEMO_CREDIT_USD: '1e9',
    CYGNET_SPLIT_POLICY: 'all-mine',
  });
  expect(problems).toHaveLength(4);
  expect(problems[0]).toBe('CYGNET_GATEWAY_PORT is "eighty": expected a whole number from 0 to 65535.');
  expect(problems.join('\n')).toContain('"-5"');
  expect(problems.join('\n')).toContain('"1e9"');
  expect(problems.join('\n')).toContain('"all-mine"');
});

test('a bad secret is never quoted', () => {
  for (const url of ['hunter2', 'mysql://u:hunter2@h/d', 'postgres://u:hunter2@h']) {
    const problems = problemsOf({ DATABASE_URL: url });
    expect(problems).toHaveLength(1);
    expect(problems[0]).not.toContain('hunter2');
  }
});

test('a good secret does not show when the configuration is printed', () => {
  const config = readConfig({ DATABASE_URL: 'postgres://u:hunter2@h/d' });
  expect(config.databaseUrl?.open()).toContain('hunter2');
  expect(inspect(config, { depth: 9 })).not.toContain('hunter2');
  expect(String(config.databaseUrl)).toBe('[sealed]');
});

test.each([
  [{ CYGNET_GATEWAY_PORT: '9000', CYGNET_HUB_PORT: '9000' }, 'both 9000'],
  [{ CYGNET_GAP_DEADLINE_MS: '200000' }, 'longer than CYGNET_REQUEST_TIMEOUT_MS'],
  [{ CYGNET_PER_MODEL_IN_FLIGHT: '60' }, 'more than CYGNET_PER_LINK_IN_FLIGHT'],
  [{ CYGNET_EXPOSURE_MAX_USD: '0' }, 'nothing could ever be served'],
  [{ CYGNET_INCIDENT_WEBHOOK: 'https://hook.example/x' }, 'CYGNET_INCIDENT_WEBHOOK_SECRET'],
  [{ CYGNET_INCIDENT_WEBHOOK: 'hook' }, 'begins with https://'],
  [{ CYGNET_INCIDENT_MAIL_TO: 'a@b.example, c@d.example' }, 'one e-mail address'],
])('settings that do not go together are refused: %j', (source, reason) => {
  expect(problemsOf(source as unknown as Record<string, string>).join()).toContain(reason);
});

test('both ports may be 0, for two free ones', () => {
  expect(problemsOf({ CYGNET_GATEWAY_PORT: '0', CYGNET_HUB_PORT: '0' })).toEqual([]);
});

test('a test changes one field and keeps its neighbours', () => {
  const config = readConfig({}, { limits: { messagesMax: 3 }, money: { exposureMax: 7n } });
  expect(config.limits.messagesMax).toBe(3);
  expect(config.limits.concurrentPerKey).toBe(100);
  expect(config.money.exposureMax).toBe(7n);
});

test('every variable has a name of its own and a meaning', () => {
  const variables = Object.values(VARIABLES);
  expect(new Set(variables.map((variable) => variable.name)).size).toBe(variables.length);
  for (const variable of variables) expect(variable.meaning).toMatch(/\.$/);
});

test('every category is counted against some limit', () => {
  const { requestsPerMinute } = readConfig({}).limits;
  for (const category of CATEGORIES) expect(requestsPerMinute[limitClassOf(category)]).toBeGreaterThan(0);
});

test('a misspelt variable is noticed, the agent’s own are not', () => {
  const config = readConfig({ CYGNET_GATWAY_PORT: '1', CYGNET_AGENT_THREADS: '2', PATH: '/bin' });
  expect(config.strangers).toEqual(['CYGNET_GATWAY_PORT']);
});
