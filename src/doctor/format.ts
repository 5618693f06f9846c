import type { Paint, Style } from '../config/diagnostic.js';
import type { DoctorMessage } from './examine.js';
import { type Finding, isWrong, type Severity } from './finding.js';

const STYLES: Readonly<Record<Severity, Style>> = {
  error: 'red',
  warning: 'yellow',
  note: 'bold',
  unknown: 'dim',
  ok: 'green',
};

/** Findings for people: what is wrong first, what is well in one line at the end, unless `all`. */
export function formatFindings({ findings }: DoctorMessage, paint: Paint, all: boolean): string {
  const shown = findings.filter(({ severity }) => all || severity !== 'ok');
  const fine = findings.filter(({ severity }) => severity === 'ok').map(({ check }) => check);
  const blocks = shown.map((finding) => formatFinding(finding, paint, all));
  if (!all && fine.length > 0) blocks.push(`${paint('green', 'ok')}: ${fine.join(', ')}`);
  const wrong = findings.filter(isWrong).length;
  blocks.push(wrong === 0 ? 'nothing is wrong' : `${wrong} to repair`);
  return blocks.join('\n');
}

function formatFinding(finding: Finding, paint: Paint, all: boolean): string {
  const { check, severity, tunnel, looked, found, next } = finding;
  const whose = tunnel === null ? '' : ` ${tunnel}:`;
  const lines = [`${paint(STYLES[severity], severity.padEnd(7))} ${check}:${whose} ${found}`];
  if (all || isWrong(finding)) lines.push(`        looked at: ${looked}`);
  // A line can be typed as it is: what comes after the first step has one of its own.
  if (next !== null) lines.push(`        next: ${next.replaceAll('; ', `\n${' '.repeat(14)}`)}`);
  return lines.join('\n');
}
