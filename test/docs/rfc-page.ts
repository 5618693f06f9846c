// docs/rfc.md: what the RFCs ask, and how it stands.
import { generatedFrom, table } from './markdown.js';
import { RFCS } from './rfc/index.js';
import type { Evidence, Requirement, Rfc, State } from './rfc/requirement.js';

export function rfcPage(): string {
  return `# What the RFCs ask of a tunnel router

${generatedFrom('test/docs/rfc')}

Every MUST and SHOULD of the RFCs on these tunnels that concerns a router, and some that they say without the word
("–"), in our own words. A dash for the section: the text has none to name.

- **done**: with the tests that show it. "row" is a line of [strictness.md](strictness.md), "answer" a known answer that
  every build gives before it goes live (\`src/codec/known-*.ts\`), "packet" a line of \`test/cases/hostile-packets.jsonl\`;
  the others are tests by file and name. A test checks that all of them are there.
- **not done**: with the reason.
- **open**: being built.
- **elsewhere**: the host’s IP stack does it, or whoever runs the router decides it.

${table(['RFC', 'done', 'not done', 'open', 'elsewhere'], RFCS.map(summary))}

${RFCS.map(section).join('\n\n')}
`;
}

function summary({ number, title, requirements }: Rfc): string[] {
  const count = (kind: string): string =>
    String(requirements.filter(({ state }) => kindOf(state) === kind).length);
  const counts = ['done', 'not done', 'open', 'elsewhere'].map(count);
  return [`[${number}](#${anchor(number, title)}) ${title}`, ...counts];
}

function section({ number, title, requirements }: Rfc): string {
  const head = ['Section', 'Level', 'What it asks', 'State', 'Shown by, or why'];
  const sorted = [...requirements].sort((a, b) => compareSections(a.section, b.section));
  return `## ${heading(number, title)}\n\n${table(head, sorted.map(cells))}`;
}

/** By their numbers; what has none comes last. */
function compareSections(a: string, b: string): number {
  const [ofA, ofB] = [a, b].map((section) => section.split('.').map((part) => Number(part)));
  if (ofA === undefined || ofB === undefined) return 0;
  for (let depth = 0; depth < Math.max(ofA.length, ofB.length); depth++) {
    const [left = -1, right = -1] = [ofA[depth], ofB[depth]];
    if (Number.isNaN(left) || Number.isNaN(right))
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
    if (left !== right) return left - right;
  }
  return 0;
}

function heading(number: number, title: string): string {
  return `RFC ${number}: ${title}`;
}

/** As GitHub makes it of a heading. */
function anchor(number: number, title: string): string {
  return heading(number, title)
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}

function cells({ section, level, text, state }: Requirement): string[] {
  return [section, level, text, kindOf(state), reasonOf(state)];
}

function kindOf(state: State): string {
  if ('done' in state) return 'done';
  if ('not' in state) return 'not done';
  return 'open' in state ? 'open' : 'elsewhere';
}

function reasonOf(state: State): string {
  if ('done' in state) return state.done.map(describe).join('; ');
  if ('not' in state) return state.not;
  return 'open' in state ? state.open : state.other;
}

function describe(evidence: Evidence): string {
  if ('row' in evidence) return `row “${evidence.row}”`;
  if ('answer' in evidence) return `answer “${evidence.answer}”`;
  if ('packet' in evidence) return `packet \`${evidence.packet}\``;
  return `\`${evidence.file}\`: “${evidence.name}”`;
}
