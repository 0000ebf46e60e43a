// The first thing every program of ours does: say in one sentence that this Node.js is too old, instead of failing later
// with a message about syntax. Written so that old versions can read it.

/**
 * What is wrong with a version of Node.js; undefined when nothing is.
 * @param {string} version such as `20.19.0`
 * @returns {string | undefined}
 */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return undefined;
  return `Cygnet needs Node.js 20.19 or newer; this is ${version}.`;
}

const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
