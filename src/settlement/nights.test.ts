import { expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { openLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { Settler } from './day.ts';
import { openNights } from './nights.ts';

function logged() {
  const lines: { level: number; msg: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, log: openLog({ level: 'info', destination }) };
}

const HOUR_MS = 3_600_000;

test('after midnight the books are audited once, and a difference is one line for an alarm', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 20, 23));
  const { lines, log } = logged();
  const difference = { what: 'A balance is wrong.', where: 'provider:a', found: '1', expected: '2' };
  let differences = [difference];
  const audit = async () => ({ balanced: differences.length === 0, differences });
  const nights = openNights({ settler: undefined, audit, clock, log });
  await clock.advance(HOUR_MS / 2);
  expect(lines).toEqual([]);
  await clock.advance(12 * HOUR_MS);
  expect(lines).toMatchObject([
    { level: 50, code: 'audit-differences', msg: 'The nightly audit found differences.' },
  ]);
  differences = [];
  await clock.advance(24 * HOUR_MS);
  expect(lines.slice(1).map(({ msg }) => msg)).toEqual(['The nightly audit found everything in order.']);
  await nights.close();
});

test('payouts that are stopped are an error each round; a chain that is away is a warning', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 20, 12));
  const { lines, log } = logged();
  let code = 'settlement-stopped';
  const round = async () => {
    throw new Fault(code, { inner: 'was a backup restored?' });
  };
  const settler = { round } as unknown as Settler;
  const audit = async () => ({ balanced: true, differences: [] });
  const nights = openNights({ settler, audit, clock, log });
  await clock.advance(31_000);
  const stopped = {
    level: 50,
    msg: 'Payouts are stopped: a person must look.',
    reason: 'was a backup restored?',
  };
  expect(lines).toMatchObject([stopped, stopped]);
  code = 'chain-unreachable';
  await clock.advance(15_000);
  expect(lines[2]).toMatchObject({ level: 40 });
  await nights.close();
});

test('what an audit finds and the next does not is no difference: the market goes on meanwhile', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 20, 23, 59));
  const { lines, log } = logged();
  const answers = [
    {
      balanced: false,
      differences: [{ what: 'A balance is wrong.', where: 'a', found: '1', expected: '2' }],
    },
    { balanced: true, differences: [] },
  ];
  const kept: boolean[] = [];
  const nights = openNights({
    settler: undefined,
    audit: async () => answers.shift() ?? { balanced: true, differences: [] },
    audited: async ({ balanced }) => void kept.push(balanced),
    clock,
    log,
  });
  expect(nights.standing()).toEqual({ at: undefined, balanced: undefined });
  await clock.advance(120_000);
  expect(lines.map(({ msg }) => msg)).toEqual(['The nightly audit found everything in order.']);
  expect(kept).toEqual([true]);
  expect(nights.standing()).toMatchObject({ balanced: true });
  await nights.close();
});

test('a market that was closed at midnight makes up for the audit, and one that was not does not', async () => {
  const noon = Date.UTC(2026, 10, 20, 12);
  let audits = 0;
  const open = (lastAudit: number | undefined, clock: VirtualClock) =>
    openNights({
      settler: undefined,
      audit: async () => {
        audits += 1;
        return { balanced: true, differences: [] };
      },
      lastAudit: async () => lastAudit,
      clock,
      log: logged().log,
    });
  for (const [lastAudit, expected] of [
    [noon - 24 * HOUR_MS, 1],
    [noon - 11 * HOUR_MS, 0],
    [undefined, 0],
  ] as const) {
    audits = 0;
    const clock = new VirtualClock(noon);
    const nights = open(lastAudit, clock);
    await clock.advance(HOUR_MS);
    expect(audits).toBe(expected);
    await nights.close();
  }
});

test('of several gateways one makes the nightly audit, and the others find that it was made', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 20, 23, 59));
  let lastAudit: number | undefined;
  const made: string[] = [];
  /** Who has the term of audits. */
  let holder = 'a';
  const open = (name: string) =>
    openNights({
      settler: undefined,
      audit: async () => {
        made.push(name);
        return { balanced: true, differences: [] };
      },
      audited: async () => {
        lastAudit = clock.wallMs();
      },
      lastAudit: async () => lastAudit,
      once: async (_round, work) => {
        if (holder === name) await work();
      },
      clock,
      log: logged().log,
    });
  const gateways = [open('b'), open('a')];
  await clock.advance(600_000);
  expect(made).toEqual(['a']);
  // It dies: the other has the next term, finds that tonight's was made, and makes tomorrow's.
  holder = 'b';
  await clock.advance(600_000);
  expect(made).toEqual(['a']);
  await clock.advance(24 * HOUR_MS);
  expect(made).toEqual(['a', 'b']);
  await Promise.all(gateways.map((each) => each.close()));
});
