import type { Question } from '#benchmark/tasks/question.ts';

/** A right answer to a question, as a good model may write it. */
export function solutionOf({ key }: Question): string {
  if (key.kind === 'math') return `Step 1 of 2 is done, so the result is ${key.value}.`;
  if (key.kind === 'code') return `Here you go:\n\n\`\`\`javascript\n${key.source}\n\`\`\`\n`;
  return key.items.join(', ');
}
