/**
 * Who belongs to which cell, and where a cell turns when it is full. Pure: names in, cells out, no table to keep in step.
 *
 * All of it is rendezvous hashing: each cell draws a number for the key, the greatest wins. When a cell is added or taken
 * away, only keys that it wins or had won move; nobody else's place changes.
 */

/** A number in (0, 1) that a key and a cell always draw together. */
export function draw(key: number, cell: number, salt: number): number {
  let h =
    Math.imul(key ^ 0x2545f491, 0x9e3779b1) ^ Math.imul(cell + 1, 0x85ebca6b) ^ Math.imul(salt, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  h = Math.imul(h ^ (h >>> 15), 0x9e3779b1);
  return (((h ^ (h >>> 16)) >>> 0) + 0.5) / 0x1_0000_0000;
}

/** The cell of `cells` that wins `key`. `weight` says how large a part of the keys a cell should win; without it, all the same. */
export function winner(
  key: number,
  cells: readonly number[],
  salt: number,
  weight?: (cell: number) => number,
): number {
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const cell of cells) {
    const drawn = draw(key, cell, salt);
    const score = weight ? -weight(cell) / Math.log(drawn) : drawn;
    if (score > bestScore) {
      best = cell;
      bestScore = score;
    }
  }
  return best;
}

/** `cells` in the order in which they win `key`, the winner first; all weigh the same. */
export function ranked(key: number, cells: readonly number[], salt: number): number[] {
  return cells.toSorted((a, b) => draw(key, b, salt) - draw(key, a, salt));
}

/** What the salts keep apart: the same number may be a consumer, a node, a model and a cell. */
export const SALT = { home: 1, second: 2, node: 3, model: 4, spill: 5 } as const;

export interface Geography {
  /** Region by cell. */
  readonly regionOf: readonly number[];
  /** Cells by region. */
  readonly cellsOf: readonly (readonly number[])[];
  /** Milliseconds there and back between regions; within one it is the way between two of its cells. */
  readonly roundTripMs: readonly (readonly number[])[];
}

/** Where a consumer's account is opened: one of the cells of the region it signs up in. Recorded then, never recomputed. */
export function homeCell(consumer: number, region: number, map: Geography): number {
  return winner(consumer, map.cellsOf[region]!, SALT.home);
}

/** Where the home cell keeps its standby for this consumer: in another region, the near ones more often than the far. */
export function secondCell(consumer: number, region: number, map: Geography): number {
  const others = map.regionOf.flatMap((r, cell) => (r === region ? [] : [cell]));
  const near = (cell: number) => 100 / map.roundTripMs[region]![map.regionOf[cell]!]!;
  return winner(consumer, others, SALT.second, near);
}

/**
 * The cells of a region that serve a model with `nodes` nodes there: as many as can have `poolMin` nodes each, at least
 * one. Popular models are everywhere, rare ones in a few cells whose pools are large enough to choose from.
 */
export function cellsOfModel(
  model: number,
  region: number,
  nodes: number,
  poolMin: number,
  map: Geography,
): number[] {
  const cells = map.cellsOf[region]!;
  const count = Math.max(1, Math.min(cells.length, Math.floor(nodes / poolMin)));
  return ranked(model, cells, SALT.model).slice(0, count);
}

/** Which of the cells that serve its model a node links to. */
export function cellOfNode(node: number, cells: readonly number[]): number {
  return winner(node, cells, SALT.node);
}

/**
 * Where cell `from` turns when it has no room, of the cells that serve the model: its own region first, then region by
 * region by distance. Within a region each cell has an order of its own, so that the overflow of one is spread over all.
 */
export function spillOrder(from: number, serving: readonly number[], map: Geography): number[] {
  const region = map.regionOf[from]!;
  const others = serving.filter((cell) => cell !== from);
  const rank = new Map(ranked(from, others, SALT.spill).map((cell, at) => [cell, at]));
  const distance = (cell: number) => map.roundTripMs[region]![map.regionOf[cell]!]!;
  return others.toSorted((a, b) => distance(a) - distance(b) || rank.get(a)! - rank.get(b)!);
}
