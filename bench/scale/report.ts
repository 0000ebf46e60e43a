import type { Scenario } from './scenario.ts';
import { addedAt, type Tally } from './tally.ts';
import { TRAVELLING, type World } from './world.ts';

/** Tables in Markdown, as `docs/scale.md` shows them. */

const percent = (part: number, of: number, digits = 2) =>
  of === 0 ? '-' : ((100 * part) / of).toFixed(digits);
const whole = (value: number) => Math.round(value).toLocaleString('en');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function worldInWords({ world, hour, lost }: Scenario): string {
  const { size } = world;
  const slots = world.slots.reduce((a, b) => a + b, 0);
  const pools = world.slots.filter((count) => count > 0).length;
  return [
    `# ${world.cells} cells, ${whole(size.nodes)} nodes with ${whole(slots)} slots, ${whole(size.consumers)} consumers, ${whole(size.rate)} requests/s on average`,
    `${world.models} models in ${pools} pools of ${world.cells * world.models}; ${percent(TRAVELLING, 1, 0)} % of requests enter elsewhere; ${size.regions[lost]!.name} is lost at ${hour}:00 UTC`,
  ].join('\n');
}

/** The phases whose flows are shown. */
const SHOWN = ['steady', 'region lost, settled', 'a whole day'];

export function phases(tallies: readonly Tally[], { world }: Scenario): string {
  const rows = tallies.map((tally) => {
    const refused = tally.noRoom + tally.noLease + tally.unreached + tally.short;
    const used = utilisation(tally);
    return [
      tally.name,
      whole(tally.asked),
      percent(tally.taken, tally.asked),
      percent(tally.inHome, tally.asked),
      percent(tally.inRegion, tally.asked),
      percent(tally.far, tally.asked),
      `${addedAt(tally, 0.5)} / ${addedAt(tally, 0.99)}`,
      used,
      percent(refused, tally.asked),
      [tally.noRoom, tally.unreached, tally.noLease, tally.short]
        .map((count) => percent(count, tally.asked))
        .join(' / '),
    ];
  });
  const head = [
    'phase',
    'asked',
    'taken %',
    'in home cell %',
    'elsewhere in region %',
    'other region %',
    'added ms p50 / p99',
    'cells full % least / mean / most',
    'refused %',
    'no room / unreached / no lease / no money %',
  ];
  const shown = tallies.filter(({ name }) => SHOWN.includes(name));
  return [
    table(head, rows),
    ...tallies.flatMap((tally) =>
      tally.broken + tally.movedOn === 0
        ? []
        : `\nUnder way with the region when it was lost: ${whole(tally.broken)} ended (free), ${whole(tally.movedOn)} had no answer yet and went to another node.`,
    ),
    ...shown.flatMap((tally) => [
      `\nFrom region (down) to region, "${tally.name}", % of what was taken:\n\n${matrix(tally, world)}`,
      `\nLargest flows between cells, "${tally.name}": ${flows(tally, world)}`,
    ]),
  ].join('\n');
}

function utilisation({ used, there }: Tally): string {
  const full = [...used].flatMap((sum, cell) => (there[cell]! > 0 ? [(100 * sum) / there[cell]!] : []));
  const mean = (100 * used.reduce((a, b) => a + b, 0)) / there.reduce((a, b) => a + b, 0);
  return [Math.min(...full), mean, Math.max(...full)].map((value) => value.toFixed(0)).join(' / ');
}

function matrix(tally: Tally, world: World): string {
  const { regions } = world.size;
  const { regionOf } = world.geography;
  const sums = regions.map(() => regions.map(() => 0));
  tally.pairs.forEach((count, pair) => {
    sums[regionOf[Math.floor(pair / world.cells)]!]![regionOf[pair % world.cells]!]! += count;
  });
  return table(
    ['', ...regions.map(({ name }) => name)],
    sums.map((row, from) => [regions[from]!.name, ...row.map((sum) => percent(sum, tally.taken))]),
  );
}

function flows(tally: Tally, world: World): string {
  const names = world.geography.regionOf.map((region, cell) => {
    const at = world.geography.cellsOf[region]!.indexOf(cell);
    return `${world.size.regions[region]!.name} ${at + 1}`;
  });
  const pairs = [...tally.pairs]
    .map((count, pair) => ({ count, from: Math.floor(pair / world.cells), to: pair % world.cells }))
    .filter(({ from, to, count }) => from !== to && count > 0);
  const top = pairs.toSorted((a, b) => b.count - a.count).slice(0, 5);
  const said = top.map(
    ({ count, from, to }) => `${names[from]} → ${names[to]} ${percent(count, tally.taken, 3)} %`,
  );
  return `${pairs.length} pairs in use; ${said.join(', ')}`;
}

export function comparison({ compared, world }: Scenario): string {
  const rows = compared.flatMap(({ exact, fluid }) => {
    const measure = (name: string, of: (tally: Tally) => number) => [
      `${exact.name}: ${name}`,
      (100 * of(exact)).toFixed(2),
      (100 * of(fluid)).toFixed(2),
      (100 * (of(exact) - of(fluid))).toFixed(2),
    ];
    return [
      measure('taken', (t) => t.taken / t.asked),
      measure('in the cell it entered', (t) => t.inEntry / t.asked),
      measure('elsewhere in the region', (t) => t.inRegion / t.asked),
      measure('in another region', (t) => t.far / t.asked),
      measure('refused for want of room', (t) => t.noRoom / t.asked),
      measure('nodes full', (t) => t.used.reduce((a, b) => a + b, 0) / t.there.reduce((a, b) => a + b, 0)),
      [
        `${exact.name}: moved between cell pairs otherwise`,
        '',
        '',
        (100 * apart(exact, fluid, world)).toFixed(2),
      ],
    ];
  });
  return table(['% of requests', 'exact', 'fluid', 'difference'], rows);
}

/** The part of all that was served that one manner has on another pair of cells than the other. */
function apart(exact: Tally, fluid: Tally, world: World): number {
  let sum = 0;
  for (let pair = 0; pair < world.cells * world.cells; pair++)
    sum += Math.abs(exact.pairs[pair]! / exact.taken - fluid.pairs[pair]! / fluid.taken);
  return sum / 2;
}
