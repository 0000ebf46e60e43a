import type { Command } from 'commander';
import { formatUsd, type Pico } from '#domain/money.ts';
import { byGpu, gpusCsv, nodesCsv, volumeCsv } from '#statements/tables.ts';
import { type DaysWish, daysOf, LONG, statementsOf, written } from './papers.ts';
import { WrongUsage } from './refusal.ts';
import { type Report, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const WAYS = ['day', 'node', 'gpu'] as const;
type Way = (typeof WAYS)[number];

/** `cygnet revenue` */
export function revenue(command: Command): void {
  command
    .option('--by <way>', 'day (paid, given and free volume apart), node or gpu', 'day')
    .option('--from <day>', 'the first day, such as 2026-11-01 (default: thirty days in all)')
    .option('--to <day>', 'the last day (default: today)')
    .option('--csv <file>', 'write a table as CSV; - is stdout')
    .action((wish: DaysWish & { by: string; csv?: string }, self: Command) => {
      const way = WAYS.find((each) => each === wish.by);
      if (!way) throw new WrongUsage(`--by is one of: ${WAYS.join(', ')}.`);
      return inSession(
        self,
        async (session) => {
          const { report, csv } = await READ[way](session, wish);
          return wish.csv === undefined ? report : written(wish.csv, csv, report);
        },
        LONG,
      );
    });
}

const READ: Record<Way, (session: Session, wish: DaysWish) => Promise<{ report: Report; csv: string }>> = {
  async day(session, wish) {
    const days = await statementsOf(session).revenue.volume(daysOf(wish, session.clock).range);
    return {
      csv: volumeCsv(days),
      report: {
        value: days,
        lines: table(
          [
            'day',
            '>paid',
            '>requests',
            '>tokens',
            '>given',
            '>requests',
            '>tokens',
            '>by plans',
            '>requests',
            '>tokens',
            '>free requests',
            '>tokens',
          ],
          days.map((each) => [
            each.day,
            formatUsd(each.paid),
            `${each.paidRequests}`,
            `${each.paidTokens}`,
            formatUsd(each.given),
            `${each.givenRequests}`,
            `${each.givenTokens}`,
            formatUsd(each.covered),
            `${each.coveredRequests}`,
            `${each.coveredTokens}`,
            `${each.freeRequests}`,
            `${each.freeTokens}`,
          ]),
        ),
      },
    };
  },
  async node(session, wish) {
    const nodes = await statementsOf(session).revenue.byNode(daysOf(wish, session.clock).range);
    return {
      csv: nodesCsv(nodes),
      report: {
        value: nodes,
        lines: table(
          ['provider', 'node', 'mode', 'gpu', '>gpus', '>requests', '>revenue', '>earned'],
          nodes.map((each) => [
            each.providerId,
            short(each.nodeId),
            each.mode ?? '',
            each.gpu ?? '',
            `${each.gpus}`,
            `${each.requests}`,
            formatUsd(each.gross),
            formatUsd(each.earned),
          ]),
        ),
      },
    };
  },
  async gpu(session, wish) {
    const gpus = byGpu(await statementsOf(session).revenue.byNode(daysOf(wish, session.clock).range));
    const amount = (pico: Pico | null): string => (pico === null ? '' : formatUsd(pico));
    return {
      csv: gpusCsv(gpus),
      report: {
        value: gpus,
        lines: table(
          ['gpu', '>nodes', '>gpus', '>requests', '>revenue', '>earned', '>revenue per gpu'],
          gpus.map((each) => [
            each.gpu ?? 'none named',
            `${each.nodes}`,
            `${each.gpus}`,
            `${each.requests}`,
            formatUsd(each.revenue),
            formatUsd(each.earned),
            amount(each.revenuePerGpu),
          ]),
        ),
      },
    };
  },
};

/** A node's id is a public key: its beginning tells it apart on a screen. */
function short(nodeId: string | null): string {
  if (nodeId === null) return '';
  return nodeId.length <= 24 ? nodeId : `${nodeId.slice(0, 23)}…`;
}
