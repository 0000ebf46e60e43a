import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';

// What operators do about incidents, by the management API: opened, annotated, silenced, ended, written up.

let market: TestMarket;
let token: string;
beforeAll(async () => {
  market = await TestMarket.open();
  const made = await visit(at('/user/signup'), {
    body: { email: 'boss@example.org', password: 'correct horse' },
  });
  ({ token } = made.json);
  await market.fresh.database.sql`update users set is_operator = true where id = ${made.json.user.id}`;
});
afterAll(() => market.close());

const at = (path: string): string => `${market.url}/api/v1${path}`;
const call = (path: string, body?: unknown, method?: 'DELETE') =>
  visit(at(`/operator${path}`), {
    token,
    ...(body !== undefined && { body }),
    ...(method && { method }),
  });
const look = () => market.marketplace.watching.incidents.look();

describe('200', () => {
  test('an incident is opened, annotated, silenced, ended and written up; the public reads what is for it', async () => {
    const model = market.aModel();
    const opened = await call('/incidents', { words: 'Answers are cut in half.', model: model.slug });
    expect(opened).toMatchObject({
      status: 200,
      json: { model: model.id, severity: 'major', opened_by: 'operator', resolved_at: null },
    });
    const { id } = opened.json;
    await look();
    expect((await call('/posture')).json).toMatchObject({
      changes_frozen: true,
      models: [{ model: model.id, output_tokens_max: { hobby: 256 }, because: ['Answers are cut in half.'] }],
    });

    await call(`/incidents/${id}/notes`, { words: 'A network is slow.' });
    await call(`/incidents/${id}/notes`, { words: 'Ticket 4711.', internal: true });
    const silenced = await call(`/incidents/${id}/silence`, { minutes: 30, words: 'Known.' });
    expect(Date.parse(silenced.json.silenced_until)).toBeGreaterThan(Date.now());
    await look();
    expect((await call('/posture')).json.models).toEqual([]);

    const ended = await call(`/incidents/${id}/resolve`, { words: 'The carrier fixed it.' });
    expect(ended.json.resolved_at).not.toBeNull();
    expect(ended.json.post_mortem_due_at).not.toBeNull();
    const { draft, published } = (await call(`/incidents/${id}/post-mortem`)).json;
    expect(draft).toContain('**note** ');
    expect(published).toBeNull();
    await call(`/incidents/${id}/post-mortem`, { words: '# What we learnt' });
    expect((await call(`/incidents/${id}/post-mortem`)).json).toMatchObject({
      published: '# What we learnt',
      due_at: null,
    });
    const shown = (await call('/incidents?days=1')).json.incidents[0];
    expect(shown.steps.map(({ kind, internal }: Record<string, unknown>) => [kind, internal])).toEqual([
      ['opened', false],
      ['note', false],
      ['note', true],
      ['silenced', false],
      ['resolved', false],
      ['post-mortem', false],
    ]);
    expect(await call(`/incidents/${id}`)).toMatchObject({ json: shown });
    const page = await ask({ url: market.url, method: 'GET', path: '/status.json' });
    expect(page.text).toContain('A network is slow.');
    expect(page.text).not.toContain('4711');
  });

  test('objectives are told by tier, model and region', async () => {
    const { json } = await call('/objectives?days=1');
    expect(Date.parse(json.until) - Date.parse(json.from)).toBe(86_400_000);
    expect(json.objectives).toEqual([]);
    expect((await call('/objectives?days=36')).status).toBe(400);
  });

  test('changes are frozen by hand, everybody who asks is told, and they thaw when it is lifted', async () => {
    const { json } = await call('/freezes', { words: 'The launch.' });
    expect(json).toMatchObject({ words: 'The launch.', until: null, in_force: true, lifted_at: null });
    await look();
    expect((await call('/posture')).json).toMatchObject({
      changes_frozen: true,
      frozen_because: expect.arrayContaining(['The launch.']),
    });
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const timed = (await call('/freezes', { words: 'A holiday.', until: soon })).json;
    expect(timed.until).toBe(soon);
    for (const { id } of [json, timed])
      expect((await call(`/freezes/${id}`, undefined, 'DELETE')).status).toBe(200);
    expect((await call(`/freezes/${json.id}`, undefined, 'DELETE')).status).toBe(404);
    await look();
    expect((await call('/posture')).json.frozen_because).not.toContain('The launch.');
    const [holiday, launch] = (await call('/freezes')).json.freezes;
    expect([holiday, launch]).toMatchObject([
      { words: 'A holiday.', in_force: false, lifted_by: json.by },
      { words: 'The launch.', in_force: false, by: expect.any(String) },
    ]);
  });

  test('maintenance is announced, shown and called off; what comes too soon is not excluded, and says so', async () => {
    const soon = Date.now() + 3_600_000;
    const span = (fromMs: number) => ({
      from: new Date(fromMs).toISOString(),
      until: new Date(fromMs + 1_800_000).toISOString(),
    });
    const late = await call('/maintenance', { words: 'New disks.', ...span(soon) });
    expect(late.json).toMatchObject({ model: '', words: 'New disks.', excluded: false });
    const early = await call('/maintenance', { words: 'New switches.', ...span(soon + 4 * 86_400_000) });
    expect(early.json.excluded).toBe(true);
    await call(`/maintenance/${late.json.id}`, undefined, 'DELETE');
    const ids = (await call('/maintenance')).json.windows.map(({ id }: { id: string }) => id);
    expect(ids).toEqual([early.json.id]);
  });
});

describe('400', () => {
  test.each([
    ['/incidents', {}],
    ['/incidents', { words: ' ' }],
    ['/incidents', { words: 'x', severity: 'awful' }],
    ['/incidents', { words: 'x', region: 'EU!' }],
    ['/freezes', {}],
    ['/freezes', { words: ' ' }],
    ['/freezes', { words: 'x'.repeat(501) }],
    ['/freezes', { words: 'x', until: 'tomorrow' }],
    ['/freezes', { words: 'x', until: '2020-01-01T00:00:00Z' }],
    ['/maintenance', { words: 'x', from: '2026-12-01T22:00', until: '2026-12-01T23:00Z' }],
    ['/maintenance', { words: 'x', from: '2030-01-02T00:00:00Z', until: '2030-01-01T00:00:00Z' }],
    ['/maintenance', { words: 'x', from: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z' }],
  ])('%s refuses %j', async (path, body) => {
    expect((await call(path, body)).status).toBe(400);
  });

  test('what is longer than a year is no silence', async () => {
    const { json } = await call('/incidents', { words: 'Something.', region: 'eu-silent' });
    expect((await call(`/incidents/${json.id}/silence`, { minutes: 0 })).status).toBe(400);
    expect((await call(`/incidents/${json.id}/silence`, { minutes: 600_000 })).status).toBe(400);
    await call(`/incidents/${json.id}/resolve`, { words: 'Nothing.' });
  });
});

describe('403', () => {
  test('nobody else sees or does any of it', async () => {
    const { json } = await visit(at('/user/signup'), {
      body: { email: 'other@example.org', password: 'correct horse' },
    });
    for (const [path, body] of [
      ['/incidents', undefined],
      ['/incidents', { words: 'Mine.' }],
      ['/posture', undefined],
      ['/freezes', undefined],
      ['/freezes', { words: 'Mine.' }],
      ['/objectives', undefined],
      ['/maintenance', undefined],
    ] as const) {
      const answer = await visit(at(`/operator${path}`), { token: json.token, ...(body && { body }) });
      expect(answer.status).toBe(403);
    }
  });
});

describe('404 and 409', () => {
  test('an incident that is not there, over, or open already', async () => {
    expect((await call('/incidents/inc_none')).status).toBe(404);
    expect((await call('/incidents/inc_none/notes', { words: 'x' })).status).toBe(404);
    expect((await call('/incidents', { words: 'x', model: 'no-such-model' })).status).toBe(404);
    expect((await call('/maintenance/mnt_none', undefined, 'DELETE')).status).toBe(404);
    const { json } = await call('/incidents', { words: 'All of it.' });
    expect((await call('/incidents', { words: 'All of it, again.' })).status).toBe(409);
    expect((await call(`/incidents/${json.id}/post-mortem`, { words: 'Early.' })).status).toBe(409);
    expect((await call(`/incidents/${json.id}/resolve`, { words: 'Over.' })).status).toBe(200);
    expect((await call(`/incidents/${json.id}/resolve`, { words: 'Over.' })).status).toBe(409);
    expect((await call(`/incidents/${json.id}/silence`, {})).status).toBe(409);
  });
});
