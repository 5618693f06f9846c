// docs/strictness.md, made from the rows that the tests run.
import {
  RECEIVE_ROWS,
  type ReceiveRow,
  SEND_ROWS,
  type SendRow,
  UNLIKE,
} from '../reference/strictness-rows.js';
import { generatedFrom, table } from './markdown.js';

export function strictnessPage(): string {
  return `# What becomes of odd packets

${generatedFrom('test/reference/strictness-rows.ts')}

A tunnel has a profile: \`profile = "rfc"\`, the default, does what the RFCs ask, \`profile = "linux"\` what the \`gre\`
device of Linux does. Both profiles differ in the bold rows and in nothing else. "accept", or the drop reason that
\`grebe status\` counts the packet under. The Linux column is that of Linux 6.1, with the counter of \`ip -s -s link\`
that tells of the packet; the tests send each of them to such a kernel, or by way of it.

## Received

${table(['Packet', 'RFCs', '`rfc`', '`linux`', 'Linux'], RECEIVE_ROWS.map(cells))}

## Sent

${table(['Packet', 'RFCs', '`rfc`', '`linux`', 'Linux'], SEND_ROWS.map(cells))}

## Where profile linux is not Linux

Of the packets above:

${table(
  ['Packet', 'Why'],
  [...RECEIVE_ROWS, ...SEND_ROWS].flatMap(({ packet, unlike }) =>
    unlike === undefined ? [] : [[packet, unlike]],
  ),
)}

And in what no single packet shows:

${table(
  ['Linux', 'grebe, in both profiles'],
  UNLIKE.map(({ linux, grebe }) => [linux, grebe]),
)}
`;
}

function cells(row: ReceiveRow | SendRow): string[] {
  const { packet, asked, rfc, linux, kernel } = row;
  const counter = row.counter === undefined ? '' : `, \`${row.counter}\``;
  const name = rfc === linux ? packet : `**${packet}**`;
  return [name, asked, rfc, linux, `${kernel}${counter}`];
}
