// A session as an SVG that plays: lines appear, commands are typed, the screen scrolls. CSS alone; where motion is
// not wanted (prefers-reduced-motion), or not supported, it is the last screen.
import type { Line, Run } from './screen.js';

const CHARACTER = 8;
const LINE_HEIGHT = 18;
const MARGIN = 16;
const BAR = 30;
/** How long the last screen stays. */
const END_MS = 6000;

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  readonly title: string;
}

export function pictureOf(lines: readonly Line[], endMs: number, terminal: Terminal): string {
  const totalMs = endMs + END_MS;
  const width = terminal.columns * CHARACTER + 2 * MARGIN;
  const height = terminal.rows * LINE_HEIGHT + BAR + MARGIN;
  const share = (ms: number): string => `${((100 * ms) / totalMs).toFixed(3)}%`;
  const rules: string[] = [];
  const drawn = lines.map((line, n) => drawLine(line, n, share, rules));
  const hidden = Math.max(0, lines.length - terminal.rows);
  rules.push(scrollRule(lines, terminal.rows, share));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(terminal.title)}">
<title>${escapeXml(terminal.title)}</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6dbe3;white-space:pre}
.bold{font-weight:700}.dim{fill:#8b95a5}.red{fill:#ff7b72}.green{fill:#7ee787}.yellow{fill:#e3b341}.blue{fill:#79c0ff}.magenta{fill:#d2a8ff}.cyan{fill:#76e3ea}
.l,.s,.c{animation:${(totalMs / 1000).toFixed(1)}s step-end infinite}
.c{transform:translateX(${width}px)}
.s{transform:translateY(${-hidden * LINE_HEIGHT}px)}
@media (prefers-reduced-motion:reduce){.l,.s,.c{animation:none}}
${rules.join('\n')}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#161b22"/>
<circle cx="20" cy="15" r="5" fill="#ff5f57"/><circle cx="38" cy="15" r="5" fill="#febc2e"/><circle cx="56" cy="15" r="5" fill="#28c840"/>
<clipPath id="screen"><path d="M0 0H${width - MARGIN}V${terminal.rows * LINE_HEIGHT}H0z"/></clipPath>
<g transform="translate(${MARGIN} ${BAR})" clip-path="url(#screen)"><g class="s" style="animation-name:s">
${drawn.join('\n')}
</g></g>
</svg>
`;
}

/** The text of a line and, over what is typed, a cover that moves away. */
function drawLine(
  { runs, ms, typingMs }: Line,
  n: number,
  share: (ms: number) => string,
  rules: string[],
): string {
  const y = n * LINE_HEIGHT;
  const text = drawText(runs, y + 13);
  rules.push(`@keyframes l${n}{0%{opacity:0}${share(ms)}{opacity:1}}`);
  const cover = typingMs === 0 ? '' : drawCover(runs, y, n);
  if (typingMs > 0) {
    const typed = runs.at(-1)?.text.length ?? 0;
    const [from, to] = [share(ms), share(ms + typingMs)];
    const end = `transform:translateX(${typed * CHARACTER}px)`;
    rules.push(
      `@keyframes c${n}{0%,${from}{transform:none;animation-timing-function:steps(${typed})}${to}{${end};animation-timing-function:step-end}${share(ms + typingMs + 1)}{transform:translateX(2000px)}}`,
    );
  }
  return `<g class="l" style="animation-name:l${n}">${text}${cover}</g>`;
}

/** Every run has its own place and length, so that columns stand whatever the font is. */
function drawText(runs: readonly Run[], y: number): string {
  let column = 0;
  const spans = runs.map(({ text, style }) => {
    const x = column * CHARACTER;
    column += text.length;
    if (text.trim() === '') return '';
    const start = text.length - text.trimStart().length;
    const shown = text.trim();
    const names = style.length > 0 ? ` class="${style.join(' ')}"` : '';
    const length = shown.length * CHARACTER;
    return `<text x="${x + start * CHARACTER}" y="${y}" textLength="${length}"${names}>${escapeXml(shown)}</text>`;
  });
  return spans.join('');
}

function drawCover(runs: readonly Run[], y: number, n: number): string {
  const before = runs.slice(0, -1).reduce((sum, { text }) => sum + text.length, 0);
  const [x, typed] = [before * CHARACTER, runs.at(-1)?.text.length ?? 0];
  const block = `<rect x="${x}" y="${y}" width="${CHARACTER}" height="17" fill="#8b95a5"/>`;
  const rest = `<rect x="${x + CHARACTER}" y="${y}" width="${typed * CHARACTER}" height="${LINE_HEIGHT}" fill="#161b22"/>`;
  return `<g class="c" style="animation-name:c${n}">${rest}${block}</g>`;
}

/** The screen moves up by a line when one more does not fit. */
function scrollRule(lines: readonly Line[], rows: number, share: (ms: number) => string): string {
  const steps = new Map<string, number>([['0%', 0]]);
  lines.forEach(({ ms }, n) => {
    if (n >= rows) steps.set(share(ms), (rows - 1 - n) * LINE_HEIGHT);
  });
  const frames = [...steps].map(([at, y]) => `${at}{transform:translateY(${y}px)}`);
  return `@keyframes s{${frames.join('')}}`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
