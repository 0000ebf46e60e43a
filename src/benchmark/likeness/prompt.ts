import { Draw } from '../draw.ts';

/**
 * What is asked: the sort of thing that people ask all day, about people, places and days that a seed makes up, so that no
 * answer can have been kept. There is no right answer and no form of an exam; what counts is what others write. The same
 * seed makes the same prompt.
 */
export interface LikenessPrompt {
  readonly prompt: string;
  readonly outputTokensMax: number;
}

export function likenessPrompt(seed: string): LikenessPrompt {
  const draw = new Draw(seed);
  return { prompt: draw.one(FORMS)(draw), outputTokensMax: draw.whole(48, 80) };
}

const FORMS: readonly ((draw: Draw) => string)[] = [
  (d) =>
    `${d.one(['Summarize this in one sentence', 'Give me a short summary', 'tl;dr please'])}:\n\n${story(d, 5)}`,
  (d) =>
    `${d.one(['Summarize the note below for a colleague.', 'What is the gist of this?'])}\n\n"${story(d, 4)}"`,
  (d) =>
    `${d.one(['Rewrite this so that it sounds more formal', 'Make this friendlier', 'Reword this, keep the facts'])}:\n${story(d, 3)}`,
  (d) =>
    `${d.one(['Continue this story', 'Go on with this text', 'Write the next two sentences'])}: ${story(d, 3)}`,
  (d) =>
    `${d.one(['Explain', 'Can you explain', 'Tell me in simple words'])} why ${d.one(TRADES)} in ${town(d)} might ${d.one(WHYS)} ${d.one(SEASONS)}.`,
  (d) =>
    `${d.one(['List the names and places in this text', 'Pull out who, where and when', 'Extract every number with what it counts'])}:\n\n${story(d, 4)}`,
  (d) =>
    `${d.one(['Make a short list of things', 'Give me five ideas for what'])} ${person(d)}, who works with ${d.one(TRADES)} in ${town(d)}, could ${d.one(TASKS)} ${d.one(SEASONS)} with ${d.whole(12, 940)} euros.`,
  (d) =>
    `${d.one(['Write a short e-mail', 'Draft a polite message', 'Help me write a few lines'])} to ${person(d)} at ${firm(d)} about ${d.one(MATTERS)} on ${day(d)}. ${event(d)}`,
  (d) =>
    `${d.one(['Translate into plain language', 'Turn these notes into one paragraph'])}: ${[1, 2, 3].map(() => note(d)).join('; ')}`,
];

function story(d: Draw, sentences: number): string {
  return Array.from({ length: sentences }, () => event(d)).join(' ');
}

function event(d: Draw): string {
  const who = d.one([
    () => person(d),
    () => `${person(d)} and ${person(d)}`,
    () => `the ${d.one(PLACES)} in ${town(d)}`,
  ])();
  return capital(d.one(EVENTS)(who, d));
}

const EVENTS: readonly ((who: string, d: Draw) => string)[] = [
  (who, d) => `${who} ordered ${d.whole(3, 480)} ${d.one(THINGS)} from ${firm(d)} on ${day(d)}.`,
  (who, d) => `On ${day(d)}, ${who} moved the meeting about ${d.one(MATTERS)} to ${hour(d)}.`,
  (who, d) => `${who} found ${d.whole(2, 90)} ${d.one(THINGS)} behind the ${d.one(PLACES)} near ${town(d)}.`,
  (who, d) =>
    `After ${d.whole(2, 19)} weeks ${who} still waited for ${d.one(THINGS)} worth ${d.whole(20, 9_800)} euros.`,
  (who, d) =>
    `${who} told ${firm(d)} that ${d.one(MATTERS)} would cost ${d.whole(15, 870)} euros more ${d.one(SEASONS)}.`,
  (who, d) =>
    `By ${hour(d)} ${who} had lost the ${d.one(THINGS)} somewhere between ${town(d)} and ${town(d)}.`,
  (who, d) =>
    `${who} painted the ${d.one(PLACES)} ${d.one(COLOURS)} and sold ${d.whole(4, 75)} ${d.one(THINGS)} at once.`,
];

function note(d: Draw): string {
  return `${d.one(THINGS)} x${d.whole(2, 300)}, ${firm(d)}, ${day(d)}, ask ${person(d)} re ${d.one(MATTERS)}`;
}

/** Somebody of whom nobody has heard. */
function person(d: Draw): string {
  return `${d.one(NAMES)} ${capital(d.word(d.whole(2, 3)))}`;
}
function town(d: Draw): string {
  return `${capital(d.word(2))}${d.one(['ford', 'burg', ' Hill', 'by', 'stad', ''])}`;
}
function firm(d: Draw): string {
  return `${capital(d.word(d.whole(2, 3)))} ${d.one(['& Sons', 'Ltd', 'Logistics', 'Foods', 'Tools', 'Studio'])}`;
}
function day(d: Draw): string {
  return `${d.one(MONTHS)} ${d.whole(1, 28)}`;
}
function hour(d: Draw): string {
  return `${d.whole(7, 21)}:${d.one(['00', '10', '15', '30', '40', '45'])}`;
}
function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const NAMES = [
  'Anna',
  'Luis',
  'Mei',
  'Tom',
  'Fatima',
  'Jonas',
  'Priya',
  'Elena',
  'Kofi',
  'Sara',
  'Ivo',
  'Nadia',
] as const;
const MONTHS = [
  'January',
  'March',
  'April',
  'May',
  'June',
  'July',
  'September',
  'October',
  'November',
] as const;
const THINGS = [
  'lanterns',
  'invoices',
  'bicycles',
  'jars of honey',
  'keys',
  'chairs',
  'tickets',
  'seedlings',
  'cameras',
  'blankets',
  'letters',
  'spare parts',
] as const;
const PLACES = [
  'bakery',
  'station',
  'library',
  'harbour',
  'school',
  'mill',
  'museum',
  'workshop',
  'market hall',
] as const;
const MATTERS = [
  'the broken heating',
  'the late delivery',
  'the summer festival',
  'a new roof',
  'the wrong invoice',
  'the garden project',
  'a refund',
  'the night shift',
  'the lease',
] as const;
const TRADES = [
  'bakers',
  'ferry drivers',
  'teachers',
  'beekeepers',
  'carpenters',
  'nurses',
  'shopkeepers',
  'farmers',
] as const;
const WHYS = [
  'work shorter days',
  'raise their prices',
  'prefer smaller tools',
  'start before dawn',
  'share one van',
] as const;
const TASKS = [
  'repair',
  'plan for a party',
  'buy for a workshop',
  'cook for guests',
  'collect for a museum',
] as const;
const SEASONS = [
  'in spring',
  'in a dry summer',
  'before winter',
  'during the holidays',
  'after the flood',
] as const;
const COLOURS = ['green', 'dark red', 'pale blue', 'yellow', 'grey'] as const;
