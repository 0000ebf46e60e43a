import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { monthOf, parseMonth } from '#domain/window.ts';
import { Collateral } from '#funds/collateral.ts';
import { PLAYGROUND } from '#gateway/playground.ts';
import { Fault } from '#kit/fault.ts';
import type { Contract } from '#sla/contracts.ts';
import { SlaDesk } from '#sla/desk.ts';
import { ENTERED_KINDS } from '#sla/exclusions.ts';
import { SLA_DEADLINE_MS } from '#sla/open.ts';
import type { SlaReportBody } from '#wire/sla.ts';
import { printed, statementsOf, written } from './papers.ts';
import { theConsumer, theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, type Report, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const LISTED = 10_000;
const LONG = { deadlineMs: SLA_DEADLINE_MS };
const ACTOR = 'cli';

/** `cygnet sla` */
export function sla(command: Command): void {
  command
    .command('run')
    .description('close a month: reports, credits, charges (an open market does it two days after its end)')
    .requiredOption('--month <month>', 'such as 2026-11')
    .option('--dry-run', 'show what it would come to; of a month that is not over, so far')
    .action((wish: { month: string; dryRun?: true }, self: Command) => {
      const month = monthFrom(wish.month);
      return withDesk(self, async (desk) => {
        if (wish.dryRun) {
          const reports = await desk.rehearse(month);
          return {
            value: { month: wish.month, dryRun: true, reports },
            lines: [...listed(reports), 'Nothing was booked.'],
          };
        }
        const { reports, made, failed } = await refusing(desk.run(month));
        if (failed.length > 0) process.exitCode = 1;
        return {
          value: {
            month: wish.month,
            made,
            reports,
            failed: failed.map(({ consumerId, error }) => ({ consumerId, error: String(error) })),
          },
          lines: [
            ...listed(reports),
            `${made} of ${reports.length} reports were made now.`,
            ...failed.map(({ consumerId, error }) => `${consumerId} could not be settled: ${String(error)}`),
          ],
        };
      });
    });
  command
    .command('report')
    .description('show the report of a consumer, or an estimate of the month so far')
    .argument('[consumer]', 'its id or name')
    .option('--month <month>', 'such as 2026-11 (default: this one)')
    .option('--pdf <file>', 'write it as PDF; - is stdout')
    .action((name: string | undefined, wish: { month?: string; pdf?: string }, self: Command) => {
      const asked = wish.month === undefined ? undefined : monthFrom(wish.month);
      return withDesk(self, async (desk, session) => {
        const { database, clock } = session;
        const { id } = await theConsumer(database, name);
        const report = await desk.report(id, asked ?? monthOf(clock.wallMs()));
        if (!report) throw new Refusal(`Nothing was agreed with ${id} for that month.`);
        const charges = report.id === null ? [] : await desk.charges({ reportId: report.id, limit: LISTED });
        const shownAs = { value: { ...report, charges: charges.map(plainCharge) }, lines: shown(report) };
        if (wish.pdf === undefined) return shownAs;
        const paper = await statementsOf(session).slaPaper(report);
        const pdf = await printed(paper, session.config.statements.fontFile);
        return written(wish.pdf, pdf, shownAs);
      });
    });
  command
    .command('list')
    .description('list the reports that were made, newest month first')
    .option('--month <month>', 'only this month')
    .action((wish: { month?: string }, self: Command) => {
      if (wish.month !== undefined) monthFrom(wish.month);
      return withDesk(self, async (desk) => {
        const reports = await desk.list({ limit: LISTED, ...(wish.month && { month: wish.month }) });
        return { value: reports, lines: listed(reports) };
      });
    });
  command
    .command('verify')
    .description('compute a report again from the rows that it was made from; ends with 1 when it differs')
    .argument('<consumer>', 'its id or name')
    .requiredOption('--month <month>', 'such as 2026-11')
    .action((name: string, wish: { month: string }, self: Command) => {
      const month = monthFrom(wish.month);
      return withDesk(self, async (desk, { database }) => {
        const { id } = await theConsumer(database, name);
        const found = await desk.recompute(id, month);
        if (!found) throw new Refusal(`No report of ${wish.month} was made for ${id}.`);
        const { same, late, kept, now } = found;
        if (!same) process.exitCode = 1;
        return {
          value: found,
          lines: [
            same
              ? `The same: ${kept.credit_usd} USD, inputs ${kept.inputs_digest}.`
              : `Another: ${kept.credit_usd} USD was booked, the rows of now give ${now.credit_usd} USD.`,
            ...(late > 0
              ? [
                  `${late} requests arrived after it was made: their money counts in the account's next report.`,
                ]
              : []),
          ],
        };
      });
    });
  const terms = command.command('terms').description('what was contracted with single accounts');
  terms
    .command('set')
    .description('contract terms with a consumer from a month on; versions are added, never changed')
    .argument('<consumer>', 'its id or name')
    .requiredOption(
      '--from <month>',
      'the first month that they count for, such as 2026-12; not one that is over',
    )
    .option('--file <file>', 'the terms as JSON, as `terms list --json` shows them')
    .option('--of-tier', 'no terms of its own: from then on those of its tier')
    .action((name: string, wish: { from: string; file?: string; ofTier?: true }, self: Command) => {
      const { from, file } = wish;
      if ((file === undefined) === (wish.ofTier === undefined)) {
        throw new WrongUsage('Say either --file or --of-tier.');
      }
      const month = monthFrom(from);
      const asked = file === undefined ? null : termsIn(file);
      return withDesk(self, async (desk, { database }) => {
        const { id } = await theConsumer(database, name);
        const made = await refusing(desk.contract({ consumerId: id, month, terms: asked, actor: ACTOR }));
        return {
          value: plainContract(made),
          lines: [
            `Version ${made.version}: from ${made.fromMonth} on, ${id} has ${made.terms?.name ?? 'the terms of its tier'}.`,
          ],
        };
      });
    });
  terms
    .command('list')
    .description('list every version of what was contracted with a consumer')
    .argument('<consumer>', 'its id or name')
    .action((name: string, _options: unknown, self: Command) =>
      withDesk(self, async (desk, { database }) => {
        const { id } = await theConsumer(database, name);
        const all = await desk.contracts(id);
        return {
          value: all.map(plainContract),
          lines: table(
            ['>version', 'from', 'terms', '>availability', '>cap', 'by', 'at (UTC)'],
            all.map(({ version, fromMonth, terms: kept, actor, atMs }) => [
              `${version}`,
              fromMonth,
              kept?.name ?? "its tier's",
              kept ? percent(kept.availabilityPpm) : '',
              kept ? `${kept.capBasisPoints / 100} %` : '',
              actor,
              moment(atMs),
            ]),
          ),
        };
      }),
    );
  command
    .command('exclude')
    .description('enter a stretch that does not count, with what proves it')
    .argument('<evidence>', 'where the proof is: an incident, a notice, a document; the consumer reads it')
    .requiredOption('--kind <kind>', ENTERED_KINDS.join(', '))
    .requiredOption('--from <time>', 'ISO 8601 with a time zone, such as 2026-11-05T22:00Z')
    .requiredOption('--until <time>', 'likewise')
    .option('--consumer <consumer>', 'its id or name; without it, everybody')
    .action(
      (
        evidence: string,
        wish: { kind: string; from: string; until: string; consumer?: string },
        self: Command,
      ) => {
        const kind = ENTERED_KINDS.find((each) => each === wish.kind);
        if (!kind) throw new WrongUsage(`--kind is one of ${ENTERED_KINDS.join(', ')}.`);
        const [fromMs, untilMs] = [instant(wish.from, '--from'), instant(wish.until, '--until')];
        if (untilMs <= fromMs) throw new WrongUsage('--until comes after --from.');
        if (evidence.trim() === '' || evidence.length > 1_000) {
          throw new WrongUsage('The evidence has 1 to 1,000 characters.');
        }
        return withDesk(self, async (desk, { database }) => {
          const consumerId =
            wish.consumer === undefined ? '' : (await theConsumer(database, wish.consumer)).id;
          const exclusion = await refusing(
            desk.exclude({ consumerId, kind, fromMs, untilMs, evidence: evidence.trim(), actor: ACTOR }),
          );
          return {
            value: exclusion,
            lines: [
              `${exclusion.id} is entered: ${moment(fromMs)} to ${moment(untilMs)} (UTC) does not count for ${consumerId || 'anybody'}.`,
              'Reports that were made already stay as they are.',
            ],
          };
        });
      },
    );
  command
    .command('exclusions')
    .description('list what was entered and not withdrawn, of a month')
    .option('--month <month>', 'such as 2026-11 (default: this one)')
    .action((wish: { month?: string }, self: Command) => {
      const asked = wish.month === undefined ? undefined : monthFrom(wish.month);
      return withDesk(self, async (desk, { clock }) => {
        const all = await desk.exclusions(asked ?? monthOf(clock.wallMs()));
        return {
          value: all,
          lines: table(
            ['exclusion', 'consumer', 'kind', 'from (UTC)', 'until', 'evidence'],
            all.map((each) => [
              each.id,
              each.consumerId || 'everybody',
              each.kind,
              moment(each.fromMs),
              moment(each.untilMs),
              each.evidence,
            ]),
          ),
        };
      });
    });
  command
    .command('withdraw')
    .description('withdraw an exclusion; reports that were made already stay as they are')
    .argument('<exclusion>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      withDesk(self, async (desk) => {
        await refusing(desk.withdraw(id, ACTOR));
        return { value: { id }, lines: [`${id} is withdrawn.`] };
      }),
    );
  command
    .command('charges')
    .description('list what reports charged of the pledges of providers')
    .option('--provider <provider>', 'its id or name')
    .action((wish: { provider?: string }, self: Command) =>
      withDesk(self, async (desk, { database }) => {
        const providerId =
          wish.provider === undefined ? undefined : (await theProvider(database, wish.provider)).id;
        const all = await desk.charges({ limit: LISTED, ...(providerId !== undefined && { providerId }) });
        return {
          value: all.map(plainCharge),
          lines: table(
            ['finding', 'provider', 'month', '>minutes', '>share', '>taken', 'appeal'],
            all.map((each) => [
              each.findingId,
              each.providerId,
              each.month,
              `${each.minutes}`,
              formatUsd(each.share),
              formatUsd(each.taken),
              each.appeal ?? '',
            ]),
          ),
        };
      }),
    );
  command
    .command('appeal')
    .description("decide a provider's appeal against a charge; granted, what was taken is given back")
    .argument('<finding>', 'as the list of charges shows it')
    .option('--grant', 'give it back; the market bears it')
    .option('--reject', 'let it stand')
    .requiredOption('--reason <text>', 'why; the provider reads it')
    .action((findingId: string, wish: { grant?: true; reject?: true; reason: string }, self: Command) => {
      if ((wish.grant === undefined) === (wish.reject === undefined)) {
        throw new WrongUsage('Say either --grant or --reject.');
      }
      const reason = wish.reason.trim();
      if (reason === '' || reason.length > 1_000) throw new WrongUsage('--reason has 1 to 1,000 characters.');
      const decision = wish.grant ? 'granted' : 'rejected';
      return withDesk(self, async (desk) => {
        const decided = await refusing(desk.decideAppeal({ findingId, decision, reason, actor: ACTOR }));
        return {
          value: { findingId, decision, ...decided },
          lines: [
            `The appeal is ${decision}${decided.known ? ', as before' : ''}.`,
            ...(decided.dollars > 0n ? [`${formatUsd(decided.dollars)} are back in its pledge.`] : []),
          ],
        };
      });
    });
}

function withDesk(
  command: Command,
  work: (desk: SlaDesk, session: Session) => Promise<Report | undefined>,
): Promise<void> {
  return inSession(
    command,
    async (session) => {
      const { database, clock, makeId, log } = session;
      const collateral = new Collateral({ database, chain: undefined, clock, makeId, log });
      const ourOwn = [PLAYGROUND.ownerId];
      return await work(new SlaDesk({ database, collateral, clock, makeId, ourOwn }), session);
    },
    LONG,
  );
}

async function refusing<T>(work: Promise<T>): Promise<T> {
  return await work.catch((error: unknown) => {
    throw error instanceof Fault && error.outer !== undefined ? new Refusal(error.outer) : error;
  });
}

function listed(reports: readonly SlaReportBody[]): string[] {
  return table(
    ['consumer', 'month', '>uptime', '>unavailable', '>excluded', '>fee', '>credit', '>by stakes', 'state'],
    reports.map((each) => [
      each.consumer,
      each.month,
      percent(each.uptime_ppm),
      `${each.unavailable_minutes} min`,
      `${each.excluded_minutes} min`,
      `$${each.fee_usd}`,
      `$${each.credit_usd}`,
      `$${each.paid_by.stakes_usd}`,
      each.state,
    ]),
  );
}

function shown(report: SlaReportBody): string[] {
  return [
    ...listed([report]),
    ...report.unavailable.map(({ from, until }) => `unavailable  ${from} – ${until}`),
    ...report.market_down.map(({ evidence }) => evidence),
    ...report.not_agreed.map(({ from, until }) => `not agreed   ${from} – ${until}`),
    ...report.slow_hours.map(({ from, until }) => `slow         ${from} – ${until}`),
    ...report.exclusions.map(
      ({ id, kind, minutes, refused, evidence }) =>
        `${kind} ${id}: ${refused === null ? `takes ${minutes} minutes out` : `takes nothing out (${refused})`}; ${evidence}`,
    ),
    ...report.not_counted.map(
      ({ kind, code, requests }) => `${requests} requests not counted: ${kind} (${code})`,
    ),
  ];
}

function percent(ppm: number): string {
  return `${(Math.floor(ppm / 10) / 1_000).toFixed(3)} %`;
}

function plainCharge(each: Awaited<ReturnType<SlaDesk['charges']>>[number]) {
  return { ...each, madeAt: iso(each.madeAt.getTime()) };
}

function plainContract({ atMs, terms, ...rest }: Contract) {
  return { ...rest, terms: terms ?? null, at: iso(atMs) };
}

function termsIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new WrongUsage(`${file} holds no terms: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
}

function monthFrom(text: string): number {
  const month = parseMonth(text);
  if (month === undefined) throw new WrongUsage(`${JSON.stringify(text)} is no month such as 2026-11.`);
  return month;
}

function instant(text: string, name: string): number {
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at)) throw new WrongUsage(`${name} is a time with its zone, such as 2026-11-05T22:00Z.`);
  return at;
}
