import path from 'node:path';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { type GameDay, gameDay } from '#cli/game-day.ts';
import { askDesk } from '#support/desk.ts';
import { freshDatabase } from '#support/postgres.ts';

// A day on which providers fail, played two hundred times as fast as it passes: the market, its database, its probes and its
// agents' processes are real. What is asserted is what happened and in which order; how long it took is for people to read.

const LARGE = 'mistralai/Mistral-Nemo-Instruct-2407';

let day: GameDay;
beforeAll(async () => {
  const { program } = await askDesk<{ program: string }>(inject('programDeskPort'));
  const fresh = await freshDatabase();
  try {
    const agentProgram = path.join(path.dirname(program), 'agent.mjs');
    day = await gameDay({ speed: 200, say: () => {}, databaseUrl: fresh.url, agentProgram });
  } finally {
    await fresh.drop();
  }
}, 180_000);

/** The happenings of a kind with these words, as places in the day's order. */
const when = (kind: string, words: RegExp): number =>
  day.happenings.findIndex((each) => each.kind === kind && words.test(each.words));

describe('a game day', () => {
  test('ends with every incident over, the books balanced, and the status page and the consumers of one mind', () => {
    expect(day.problems).toEqual([]);
  });

  test('the loss of one of two providers is an incident, and paying consumers do not notice', () => {
    expect(day.oneLost.asked).toBeGreaterThan(0);
    // Whoever was being answered when the process was killed may have been cut off.
    expect(day.oneLost.failed).toBeLessThanOrEqual(1);
    expect(when('incident', /1 of 2 providers are left/)).toBeGreaterThan(when('staged', /north is killed/));
  });

  test('the loss of both burns the budget, the smaller model answers whose agreement allows it, and Business is refused', () => {
    const { hobby, pro, business } = day.outage;
    expect(business.asked).toBeGreaterThan(0);
    expect(business).toMatchObject({ failed: business.asked, byStandIn: 0 });
    for (const tier of [hobby, pro]) expect(tier).toMatchObject({ failed: 0, byStandIn: tier.asked });
    const staged = when('staged', /Nobody is left/);
    for (const place of [
      when('incident', /0 of 2 providers are left/),
      when('posture', /Business gets 503/),
      when('alert', /budget of business burns \(rule: fast\)/),
    ]) {
      expect(place).toBeGreaterThan(staged);
      expect(place).toBeLessThan(when('recovery', /Business is served again/));
    }
  });

  test('a pool that is slow for five minutes is an incident, and Hobby gets shorter answers until it is over', () => {
    const staged = when('staged', /^SLOW/);
    expect(when('incident', /p95 of the time to first token .* above 1200 ms for 5 minutes/)).toBeGreaterThan(
      staged,
    );
    expect(when('posture', /at most 256 tokens/)).toBeGreaterThan(staged);
  });

  test('a provider that answers wrong is out of rotation after two probes, nobody is asked to try it, and a probe brings it back', () => {
    const staged = when('staged', /^WRONG/);
    const out = when('posture', /out of rotation/);
    const failed = day.happenings
      .slice(staged, out)
      .filter(({ kind, words }) => kind === 'alert' && /prov_\S+ failed: the answer was wrong/.test(words));
    expect(failed).toHaveLength(2);
    expect(day.wrong.after).toBe(0);
    expect(when('recovery', /A probe is its trial/)).toBeGreaterThan(out);
  });

  test('is told to operators by signed webhooks and as files of mail', () => {
    expect(day.notices.forged).toBe(0);
    expect(day.notices.told).toEqual(
      expect.arrayContaining([
        'incident.opened',
        'incident.changed',
        'incident.resolved',
        'budget.began',
        'budget.ended',
      ]),
    );
    expect(day.notices.mails).toBeGreaterThan(0);
  });

  test('is on the status page: what was wrong, that it is over, and the minutes that it cost', () => {
    const { status } = day;
    const whys = status.incidents.filter(({ region }) => region === '').map(({ because }) => because);
    for (const why of [/providers are left/, /p95/])
      expect(whys.some((because) => why.test(because))).toBe(true);
    expect(status.incidents.every(({ resolved_at }) => resolved_at !== null)).toBe(true);
    const large = status.components.find(({ model, region }) => model === LARGE && region === '');
    expect(large).toMatchObject({ state: 'operational', providers: 2 });
    expect(large?.availability_90d).toBeLessThan(1);
  });

  test('gives Business the credit that a calculation from its own notes gives, to the pico-dollar, and Pro none', () => {
    const [business, pro] = ['business', 'pro'].map((name) => day.credits.find(({ tier }) => tier === name));
    expect(business?.byHand.credit).toBeGreaterThan(0n);
    expect(business?.booked.credit).toBe(business?.byHand.credit);
    // Five hundredths of what it paid: more than one thousandth of the month was missed, and not more than two.
    expect(business?.booked.credit).toBe(((business?.booked.fee ?? 0n) * 5n) / 100n);
    // Until the smaller model stood in, a minute or two of Pro's may have failed as well.
    expect(pro).toMatchObject({ byHand: { credit: 0n }, booked: { credit: 0n } });
  });

  test('leaves a draft of the post-mortem with the timeline and the budget that was spent', () => {
    expect(day.postMortem).toMatch(/^# critical incident/);
    expect(day.postMortem).toMatch(/\*\*resolved\*\* \(rule\)/);
    expect(day.postMortem).toMatch(/\d+ of 43\.2 minutes spent \(1\d\d %\)/);
  });
});
