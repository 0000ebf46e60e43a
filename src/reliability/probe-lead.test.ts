import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RoundTerms } from '#db/round-terms.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import { candidate } from '#support/candidate.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { ProbeAnswer, ProbeQuestion } from './probe-check.ts';
import { ProbeLead } from './probe-lead.ts';
import { Probes } from './probes.ts';

// Two gateways of one market in this process: real PostgreSQL between them, a clock for each, so that one can stand still.

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const good = (question: ProbeQuestion): ProbeAnswer => ({
  status: 200,
  code: null,
  text: question.word,
  ttftMs: 40,
  ttltMs: 90,
});
const gone: ProbeAnswer = { status: 0, code: null, text: '', ttftMs: null, ttltMs: 5 };

/** One gateway; an agent of another one is known to it by another link, with that gateway's name before it. */
function gateway(name: string, answers: Map<string, (question: ProbeQuestion) => ProbeAnswer>) {
  const clock = new VirtualClock();
  const database = fresh.another();
  const terms = new RoundTerms({ database, holder: name, clock });
  const fleet = [...answers.keys()].map((agent) =>
    candidate(agent, {
      region: 'eu',
      ...(agent.startsWith(name) ? {} : { id: `other/link-${agent}/m`, linkId: `other/link-${agent}` }),
    }),
  );
  const asked: string[] = [];
  const shut: string[] = [];
  const passed: string[] = [];
  const kept: string[] = [];
  const signals: string[] = [];
  const cut = { off: false };
  const told = (which: Candidate): string => which.nodeId.replace('node-', '');
  const lead: ProbeLead = new ProbeLead({
    database,
    clock,
    log: silentLog,
    once: async (what, work) => {
      if (cut.off) throw new Error('The database cannot be reached.');
      return await terms.take(what, work);
    },
    instance: name,
    shared: true,
    heard: (finding) => probes.hear(finding),
  });
  const probes: Probes = new Probes({
    clock,
    random: seededRandomness(7),
    log: silentLog,
    models: () => ['m'],
    candidates: () => fleet,
    ask: async (_model, question, to) => {
      const which = fleet.find(({ id }) => id === to);
      asked.push(which ? told(which) : 'door');
      return which ? (answers.get(told(which)) ?? (() => gone))(question) : good(question);
    },
    signals: { probed: ({ region, ok }) => signals.push(`${region || 'door'} ${ok}`) },
    keep: ({ region, ok }) => kept.push(`${region || 'door'} ${ok}`),
    shutOut: (which) => shut.push(told(which)),
    passed: (which) => passed.push(told(which)),
    leads: () => lead.leads,
    tell: (finding) => lead.tell(finding),
  });
  const live = async (seconds: number): Promise<void> => {
    for (let at = 0; at < seconds; at += 5) {
      await clock.advance(5_000);
      await lead.look();
    }
  };
  const close = async (): Promise<void> => {
    probes.close();
    await lead.close();
    await terms.close();
  };
  return { cut, clock, lead, probes, fleet, asked, shut, passed, kept, signals, live, close };
}

/** The term of probing runs out, as it does when its holder dies. */
async function termRunsOut(): Promise<void> {
  await fresh.database.sql`update round_terms set until = now() - interval '1 second' where name = 'probes'`;
}

test('one of two gateways probes; both shut out who fails, and the one that stays goes on when the other dies', async () => {
  const answers = new Map<string, (question: ProbeQuestion) => ProbeAnswer>([
    ['a-agent', good],
    ['b-agent', () => gone],
  ]);
  const [a, b] = [gateway('a', answers), gateway('b', answers)];
  await a.lead.look();
  await b.lead.look();
  expect([a.lead.leads, b.lead.leads]).toEqual([true, false]);

  await a.live(65);
  await b.live(65);
  const first = a.asked.length;
  expect(a.asked.filter((each) => each === 'door').length).toBeGreaterThanOrEqual(1);
  expect(b.asked).toEqual([]);
  await vi.waitFor(() => expect(b.signals).toHaveLength(a.signals.length));
  expect(b.signals).toEqual(a.signals);
  // What is kept for the months is kept once.
  expect(b.kept).toEqual([]);

  // The second failure in a row takes it out of rotation at both, whoever asked.
  await a.live(65);
  await vi.waitFor(() => expect(b.shut).toEqual(['b-agent']));
  expect(a.shut).toEqual(['b-agent']);
  const known = b.fleet.map((each) => b.probes.lastOf(each)?.ok);
  expect(known).toEqual([true, false]);
  expect(a.asked.length).toBeGreaterThan(first);

  // The one that leads is cut off: it leads no more by its own clock, and the other one takes the next term.
  a.cut.off = true;
  await a.clock.advance(15_000);
  expect(a.lead.leads).toBe(false);
  await termRunsOut();
  const before = a.asked.length;
  answers.set('b-agent', good);
  await b.live(65);
  expect(b.lead.leads).toBe(true);
  expect(b.asked).toContain('b-agent');
  await vi.waitFor(() => expect(a.passed).toContain('b-agent'));
  a.cut.off = false;
  await a.live(30);
  expect(a.lead.leads).toBe(false);
  expect(a.asked).toHaveLength(before);
  await Promise.all([a.close(), b.close()]);
});

test('a gateway that leaves makes room at the next look of another, within five seconds', async () => {
  const answers = new Map([['c-agent', good]]);
  const [c, d] = [gateway('c', answers), gateway('d', answers)];
  await c.lead.look();
  expect([c.lead.leads, d.lead.leads]).toEqual([true, false]);
  await c.close();
  expect(c.lead.leads).toBe(false);
  await d.live(5);
  expect(d.lead.leads).toBe(true);
  await d.close();
});

test('words that are not ours, or too new to be understood, are heard without harm', async () => {
  const answers = new Map([['e-agent', good]]);
  const e = gateway('e', answers);
  await e.lead.look();
  for (const payload of ['', '{', '{"from":"x"}', '{"from":"x","model":"m","ok":"yes","failures":-1}'])
    await fresh.database.sql`select pg_notify('probes_found', ${payload})`;
  const ours = { model: 'm', ok: false, failures: 1, ttftMs: null, from: 'x' };
  await fresh.database.sql`select pg_notify('probes_found', ${JSON.stringify(ours)})`;
  await vi.waitFor(() => expect(e.signals).toEqual(['door false']));
  await e.close();
});
