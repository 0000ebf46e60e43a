import type { Command } from 'commander';
import { AppealDesk } from '#benchmark/appeals.ts';
import { whyUnlike } from '#benchmark/likeness/judge.ts';
import { type Finding, LikenessStore } from '#benchmark/likeness/store.ts';
import { BenchmarkStore, type Run } from '#benchmark/store.ts';
import { formatUsd } from '#domain/money.ts';
import { Collateral } from '#funds/collateral.ts';
import { pledgedOn } from '#funds/open.ts';
import { slashLadder } from '#funds/slash.ts';
import { Fault } from '#kit/fault.ts';
import { anyChain } from './chain-session.ts';
import { theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 50;
const SHOWN_CHARS = 160;

/** `cygnet benchmarks` */
export function benchmarks(command: Command): void {
  command
    .command('list')
    .description('list the latest runs, newest first')
    .option('--provider <provider>', 'of one provider: its id or name')
    .action((wish: { provider?: string }, self: Command) =>
      inSession(self, async ({ database }) => {
        const providerId =
          wish.provider === undefined ? undefined : (await theProvider(database, wish.provider)).id;
        const runs = await new BenchmarkStore(database).latest({ providerId, limit: LISTED });
        return {
          value: runs.map(plain),
          lines: table(
            [
              'run',
              'provider',
              'node',
              'model',
              'ended (UTC)',
              'result',
              '>math',
              '>code',
              '>ttft ms',
              '>tok/s',
              'follows',
            ],
            runs.map((run) => [
              run.id,
              run.providerId,
              run.nodeId.slice(0, 12),
              run.modelId,
              moment(run.endedAt),
              resultOf(run),
              run.score.math.join('/'),
              run.score.code.join('/'),
              run.score.ttftMs === null ? '-' : run.score.ttftMs.toFixed(0),
              run.score.tokensPerSecond.toFixed(1),
              run.verdict.step,
            ]),
          ),
        };
      }),
    );
  command
    .command('show')
    .description('show a run with what was asked and answered; keep it from the provider')
    .argument('<run>', 'its id, as the list shows it')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const run = await new BenchmarkStore(database).find(id);
        if (!run) throw new Refusal(`There is no benchmark run ${JSON.stringify(id)}.`);
        return {
          value: { ...plain(run), papers: run.papers },
          lines: [
            `${run.id}  ${run.providerId}  ${run.nodeId}  ${run.modelId}  ${moment(run.endedAt)}  ${resultOf(run)}`,
            ...run.shortcomings,
            ...(run.papers ?? []).flatMap(({ answers }, i) => [
              '',
              `Paper ${i + 1}`,
              ...table(
                ['kind', 'mark', '>ttft ms', 'asked', 'answered'],
                answers.map((each) => [
                  each.kind,
                  each.why,
                  each.ttftMs === null ? '-' : each.ttftMs.toFixed(0),
                  oneLine(each.prompt),
                  oneLine(each.answer),
                ]),
              ),
            ]),
          ],
        };
      }),
    );
  command
    .command('run')
    .description("let a provider's nodes be asked now, by the market that is open")
    .argument('<provider>', 'its id or name')
    .option('--node <id>', 'one node only')
    .option('--model <id>', 'one model only, by its canonical id')
    .action((name: string, wish: { node?: string; model?: string }, self: Command) =>
      inSession(self, async ({ database, clock, config }) => {
        if (config.benchmarks.mode === 'off') {
          throw new Refusal('Benchmarks are off (CYGNET_BENCHMARKS): no market would ask.');
        }
        const { id: providerId } = await theProvider(database, name);
        const which = { providerId, nodeId: wish.node, modelId: wish.model };
        const turns = await new BenchmarkStore(database).hurry({ ...which, at: clock.wallMs() });
        if (turns === 0) {
          throw new Refusal('Nothing to hurry: no such node was seen yet, or its turn has come already.');
        }
        return {
          value: { providerId, turns },
          lines: [`${turns} ${turns === 1 ? 'turn comes' : 'turns come'} now, for nodes that are connected.`],
        };
      }),
    );
  command
    .command('likeness')
    .description(
      'list whose nodes were found to answer unlike others of their model, newest first; or show one',
    )
    .argument('[finding]', 'its id: with what was asked and how the answers began; keep it from the provider')
    .option('--provider <provider>', 'of one provider: its id or name')
    .action((id: string | undefined, wish: { provider?: string }, self: Command) =>
      inSession(self, async ({ database }) => {
        const store = new LikenessStore(database);
        if (id !== undefined) {
          const shown = await store.show(id);
          if (!shown) throw new Refusal(`There is no finding ${JSON.stringify(id)}.`);
          const { nodeId, modelId } = shown.finding;
          const { byNode } = await new BenchmarkStore(database).lastOf(shown.finding.providerId, {
            nodeIds: [nodeId],
            modelIds: [modelId],
          });
          const [benchmark] = byNode;
          return {
            value: {
              ...plainFinding(shown.finding),
              lastBenchmark: benchmark ? plain(benchmark) : null,
              checksShown: shown.checks.map((check) => ({ ...check, at: iso(check.at) })),
            },
            lines: [
              `${id}  ${shown.finding.providerId}  ${shown.finding.nodeId}  ${shown.finding.modelId}  ${endOf(shown.finding)}`,
              `It ${whyUnlike(shown.finding)}.`,
              benchmark
                ? `Its last benchmark ${resultOf(benchmark)} ${moment(benchmark.endedAt)}: math ${benchmark.score.math.join('/')}, code ${benchmark.score.code.join('/')}, first token after ${benchmark.score.ttftMs?.toFixed(0) ?? '-'} ms.`
                : 'It was not benchmarked yet.',
              ...shown.checks.flatMap(({ at, prompt, answers }) => [
                '',
                `${moment(at)}  ${oneLine(prompt)}`,
                ...table(
                  ['node', 'provider', 'verdict', '>ttft ms', 'began'],
                  answers.map((each) => [
                    `${each.nodeId.slice(0, 12)}${each.nodeId === shown.finding.nodeId ? ' *' : ''}`,
                    each.providerId,
                    each.verdict,
                    each.ttftMs === null ? '-' : each.ttftMs.toFixed(0),
                    oneLine(each.opening),
                  ]),
                ),
              ]),
            ],
          };
        }
        const providerId =
          wish.provider === undefined ? undefined : (await theProvider(database, wish.provider)).id;
        const [findings, records] = await Promise.all([
          store.findings({ providerId, limit: LISTED }),
          store.records(providerId),
        ]);
        return {
          value: {
            findings: findings.map(plainFinding),
            nodes: records.map((record) => ({ ...record, lastAt: iso(record.lastAt) })),
          },
          lines: [
            ...(findings.length === 0
              ? ['No node was found to answer unlike others.']
              : table(
                  ['finding', 'provider', 'node', 'model', 'found (UTC)', '>unlike', 'stands'],
                  findings.map((each) => [
                    each.id,
                    each.providerId,
                    each.nodeId.slice(0, 12),
                    each.modelId,
                    moment(each.foundAt),
                    `${each.unlike}/${each.checks}`,
                    endOf(each),
                  ]),
                )),
            ...(records.length === 0
              ? ['No answers were compared yet: at least three providers must serve a model.']
              : [
                  '',
                  ...table(
                    ['provider', 'node', 'model', '>alike', '>unlike', '>unclear', '>ttft ms', 'last (UTC)'],
                    records.map((each) => [
                      each.providerId,
                      each.nodeId.slice(0, 12),
                      each.modelId,
                      `${each.alike}`,
                      `${each.unlike}`,
                      `${each.unclear}`,
                      each.ttftMs === null ? '-' : each.ttftMs.toFixed(0),
                      moment(each.lastAt),
                    ]),
                  ),
                ]),
          ],
        };
      }),
    );
  command
    .command('clear')
    .description('end a finding of likeness: its node stands behind nobody for it, and is judged anew')
    .argument('<finding>', 'its id, as `benchmarks likeness` shows it')
    .requiredOption('--reason <text>', 'why; the provider reads it')
    .action((id: string, wish: { reason: string }, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const because = wish.reason.slice(0, 1_000);
        const finding = await new LikenessStore(database).clear(id, {
          at: clock.wallMs(),
          by: 'cli',
          because,
        });
        if (!finding) throw new Refusal(`There is no finding ${JSON.stringify(id)}.`);
        return {
          value: plainFinding(finding),
          lines: [
            finding.ended?.as === 'cleared' ? 'The finding is cleared.' : `It had ended: ${endOf(finding)}.`,
          ],
        };
      }),
    );
  command
    .command('appeals')
    .description(
      'list what providers appeal against and nobody decided yet, oldest first; a charge is decided by `sla appeal`',
    )
    .action((_wish: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const waiting = await new AppealDesk(database).waiting();
        return {
          value: waiting.map((each) => ({ ...each, askedAt: iso(each.askedAt) })),
          lines:
            waiting.length === 0
              ? ['No appeal waits.']
              : table(
                  ['about', 'against', 'provider', 'asked (UTC)', 'reason'],
                  waiting.map(({ about, kind, providerId, askedAt, reason }) => [
                    about,
                    { benchmark: 'a benchmark', slash: 'a slash', 'service-level': 'a charge' }[kind],
                    providerId,
                    moment(askedAt),
                    oneLine(reason),
                  ]),
                ),
        };
      }),
    );
  command
    .command('appeal')
    .description(
      'decide an appeal against a failed run or a slash; granted, it is set aside and what it took is given back',
    )
    .argument('<about>', 'the id of the run, or of the finding that slashed')
    .option('--grant', 'set it aside')
    .option('--reject', 'let it stand')
    .requiredOption('--reason <text>', 'why; the provider reads it')
    .action((about: string, wish: { grant?: true; reject?: true; reason: string }, self: Command) => {
      if ((wish.grant === undefined) === (wish.reject === undefined)) {
        throw new WrongUsage('Say either --grant or --reject.');
      }
      return inSession(self, async (session) => {
        const { config, database, clock, makeId, log } = session;
        const market = await anyChain(config);
        try {
          const chain = market && pledgedOn(market, session);
          const ladder = slashLadder(config.benchmarks.slashPercents);
          const collateral = new Collateral({ database, chain, clock, makeId, log, ladder });
          const store = new BenchmarkStore(database);
          const decision = wish.grant ? 'granted' : 'rejected';
          const reason = wish.reason.slice(0, 1_000);
          const appeal = { about, decision, reason, actor: 'cli', at: clock.wallMs() } as const;
          const decided = await new AppealDesk(database)
            .decide({ store, collateral }, appeal)
            .catch((error: unknown) => {
              throw error instanceof Fault && error.outer !== undefined ? new Refusal(error.outer) : error;
            });
          return {
            value: { about, ...decided },
            lines: [
              `The appeal is ${decision}${decided.known ? ', as before' : ''}.`,
              ...(decided.dollars > 0n ? [`${formatUsd(decided.dollars)} are back in its pledge.`] : []),
              ...decided.tokens.map(
                ({ asset, amount, account }) =>
                  `The contract holds ${amount} (smallest units) of ${asset} that it took: pay them to ${account}.`,
              ),
            ],
          };
        } finally {
          await market?.close();
        }
      });
    });
}

/** How a finding stands, in a word or two. */
function endOf({ ended, expiresAt }: Finding): string {
  return ended ? `${ended.as} ${moment(ended.at)}` : `until ${moment(expiresAt)}`;
}

function plainFinding(finding: Finding): Record<string, unknown> {
  const { ended } = finding;
  return {
    ...finding,
    foundAt: iso(finding.foundAt),
    expiresAt: iso(finding.expiresAt),
    because: whyUnlike(finding),
    ended: ended && { ...ended, at: iso(ended.at) },
  };
}

function resultOf({ verdict, appeal }: Run): string {
  if (verdict.passed) return 'passed';
  return appeal ? `failed (appeal ${appeal.decision})` : 'failed';
}

function plain(run: Run): Record<string, unknown> {
  const { papers: _papers, beganAt, endedAt, verdict, ...rest } = run;
  return {
    ...rest,
    beganAt: iso(beganAt),
    endedAt: iso(endedAt),
    verdict: { ...verdict, withheldUntil: iso(verdict.withheldUntil) },
  };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').replace(/\p{Cc}/gu, '');
  return line.length > SHOWN_CHARS ? `${line.slice(0, SHOWN_CHARS)}…` : line;
}
